package tenant

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The statuses of a tenant and of its association with a service. Only an association can be purged. Other managers may
// have more statuses.
const (
	StatusActive    = "active"
	StatusSuspended = "suspended"
	StatusPurged    = "purged"
)

// ValidName reports whether text can be the name of a service or of a key in a request: at most 256 bytes of UTF-8
// without control characters. A manager may be stricter about the names of new services.
func ValidName(text string) bool {
	return len(text) <= MaxNameBytes && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// types are all event types. The value says whether an event of it concerns one service alone.
var types = map[EventType]bool{
	EventCreated:              false,
	EventUpdated:              false,
	EventActivated:            false,
	EventSuspended:            false,
	EventDeleted:              false,
	EventServiceAssociated:    true,
	EventServiceReactivated:   true,
	EventServiceDisassociated: true,
	EventServiceSuspended:     true,
	EventServicePurged:        true,
	EventCredentialsRotated:   true,
	EventConnectionsUpdated:   true,
	EventCacheInvalidate:      true,
}

// constants are the event types by their text.
var constants = func() map[string]EventType {
	all := make(map[string]EventType, len(types))
	for t := range types {
		all[string(t)] = t
	}
	return all
}()

// knownType returns the constant with the text, so that no event brings its own copy.
func knownType(text []byte) (EventType, bool) {
	t, known := constants[string(text)]
	return t, known
}

// Known reports whether t is one of the types above.
func (t EventType) Known() bool {
	_, known := types[t]
	return known
}

// PerService reports whether an event of type t concerns one service only, which its payload names (see
// [Event.ServiceName]). An event of any other known type concerns every service that the tenant is associated with.
// PerService is false for an unknown type.
func (t EventType) PerService() bool { return types[t] }
