package tenant

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a tenant, and its association with a service, can be. A tenant is never purged. A manager of others may have more.
const (
	StatusActive    = "active"
	StatusSuspended = "suspended"
	StatusPurged    = "purged"
)

// ValidName reports whether text can be the name of a service or of a key that somebody asks for: at most 256 bytes of UTF-8 without
// control characters. New services get a name of fewer characters.
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

// Known reports whether it is one of the types above.
func (t EventType) Known() bool {
	_, known := types[t]
	return known
}

// PerService reports whether an event of the type concerns one service alone, which its payload names (see [Event.ServiceName]). One of
// the other types concerns each service that the tenant is associated with. It is false for a type that is not known.
func (t EventType) PerService() bool { return types[t] }
