package tenant

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxEventBytes is the largest event that [ParseEvent] reads: 1 MiB.
const MaxEventBytes = 1 << 20

// MaxNameBytes is the longest event_type, tenant_id and environment of an event that [ParseEvent] reads. An event_id, a
// tenant_slug or an epoch that is longer counts as absent.
const MaxNameBytes = 256

// ErrInvalidEvent is matched by every [EventError] with errors.Is.
var ErrInvalidEvent = errors.New("invalid lifecycle event")

// EventType says what happened to a tenant, as in "tenant.service.associated".
type EventType string

// The event types that a tenant manager announces.
const (
	EventCreated              EventType = "tenant.created"
	EventUpdated              EventType = "tenant.updated"
	EventActivated            EventType = "tenant.activated"
	EventSuspended            EventType = "tenant.suspended"
	EventDeleted              EventType = "tenant.deleted"
	EventServiceAssociated    EventType = "tenant.service.associated"
	EventServiceReactivated   EventType = "tenant.service.reactivated"
	EventServiceDisassociated EventType = "tenant.service.disassociated"
	EventServiceSuspended     EventType = "tenant.service.suspended"
	EventServicePurged        EventType = "tenant.service.purged"
	EventCredentialsRotated   EventType = "tenant.credentials.rotated"
	EventConnectionsUpdated   EventType = "tenant.connections.updated"
	EventCacheInvalidate      EventType = "tenant.cache.invalidate"
)

// Event is one lifecycle event.
type Event struct {
	// EventID identifies the event, so that a reader recognises an event that arrives twice. It may be empty.
	EventID string `json:"event_id,omitempty"`
	// EventType is required. Unknown types are allowed.
	EventType EventType `json:"event_type"`
	// Timestamp is when the manager made the event. Zero means that the event has no timestamp or an unreadable one;
	// the event is valid all the same.
	Timestamp time.Time `json:"timestamp,omitzero"`
	// TenantID is required.
	TenantID string `json:"tenant_id"`
	// TenantSlug is the tenant's short name. It may be empty.
	TenantSlug string `json:"tenant_slug,omitempty"`
	// Environment is the environment that the event belongs to. Empty means that it belongs to all environments.
	Environment string `json:"environment,omitempty"`
	// TenantName is the tenant's name for people. It is optional. The manager of tenantwatch sends it with events that
	// add a tenant and with events that change its name. A name that is longer than [MaxNameBytes], or is not a string,
	// counts as absent.
	TenantName string `json:"tenant_name,omitempty"`
	// Payload is a JSON object. Its shape depends on EventType; see [DecodePayload].
	Payload json.RawMessage `json:"payload,omitempty"`
	// Epoch and Revision are the [Version] that the event made. Both are zero when the manager sends no versions.
	Epoch    string `json:"epoch,omitempty"`
	Revision uint64 `json:"revision,omitempty"`
}

// EventError says why an event cannot be used. EventID and EventType are set as far as they could be read.
type EventError struct {
	EventID   string
	EventType EventType
	Reason    string
}

// Error returns the event's id and type and the reason.
func (e *EventError) Error() string {
	return fmt.Sprintf("%s (event_id %q, event_type %q): %s", ErrInvalidEvent, e.EventID, e.EventType, e.Reason)
}

// Is reports whether target is [ErrInvalidEvent].
func (e *EventError) Is(target error) bool { return target == ErrInvalidEvent }

// ParseEvent reads one event from its JSON form, as it travels on Redis.
//
// ParseEvent returns an [EventError] for data that is larger than [MaxEventBytes], is not valid UTF-8, is not a JSON
// object, has a field of the wrong type, has no event_type or no valid tenant_id ([ValidID]), or has an event_type, a
// tenant_id or an environment that is longer than [MaxNameBytes]. The names of fields are case-sensitive, and unknown
// fields are ignored. A timestamp or a revision that cannot be read counts as absent, and so does an event_id, a
// tenant_slug or an epoch that is longer than MaxNameBytes. The payload is kept undecoded; [DecodePayload] decodes it.
//
// The event keeps no reference to data. Its texts are cut from one string: clone a text that you keep for long.
func ParseEvent(data []byte) (Event, error) {
	if len(data) > MaxEventBytes {
		return Event{}, &EventError{Reason: fmt.Sprintf("%d bytes, the most is %d", len(data), MaxEventBytes)}
	}
	if !utf8.Valid(data) {
		return Event{}, &EventError{Reason: "not valid UTF-8"}
	}
	var evt Event
	if err := evt.UnmarshalJSON(data); err != nil { // itself: json.Unmarshal would read the text twice more
		return Event{}, evt.invalid(err.Error())
	}
	return evt, evt.Validate()
}

// Validate returns an [EventError] when the event has no type or no valid tenant id, or when its type, tenant id or
// environment is longer than [MaxNameBytes]. Otherwise it returns nil.
func (e Event) Validate() error {
	switch {
	case strings.TrimSpace(string(e.EventType)) == "":
		return e.invalid("event_type is missing")
	case len(e.EventType) > MaxNameBytes:
		return e.invalid(fmt.Sprintf("event_type has %d bytes, the most is %d", len(e.EventType), MaxNameBytes))
	case e.TenantID == "":
		return e.invalid("tenant_id is missing")
	case !ValidID(e.TenantID):
		return e.invalid(fmt.Sprintf("tenant_id %.80q is not a valid id", e.TenantID))
	case len(e.Environment) > MaxNameBytes:
		return e.invalid(fmt.Sprintf("environment has %d bytes, the most is %d", len(e.Environment), MaxNameBytes))
	}
	return nil
}

// Version returns the [Version] that the event made. It is zero when the manager sends no versions.
func (e Event) Version() Version { return Version{Epoch: e.Epoch, Revision: e.Revision} }

// ServiceName returns the payload's service_name. It returns an [EventError] for a payload that is missing, is not a
// JSON object, or has no service_name or a blank one. Never treat such an event as the event of another service.
func (e Event) ServiceName() (string, error) {
	name, err := e.serviceName()
	return string(name), err // the compiler puts this into a caller, and one that only compares the name allocates nothing
}

// invalid cuts what it names: an error is kept and logged where nobody expects a megabyte.
func (e Event) invalid(reason string) *EventError {
	return &EventError{EventID: e.EventID, EventType: EventType(cut(string(e.EventType))), Reason: cut(reason)}
}

// cut returns the beginning of a text that is too long, and keeps nothing of the rest.
func cut(text string) string {
	if len(text) <= MaxNameBytes {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:MaxNameBytes]), "") + "…"
}
