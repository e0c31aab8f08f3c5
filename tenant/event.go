package tenant

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxEventBytes is the largest event that [ParseEvent] reads: 1 MiB.
const MaxEventBytes = 1 << 20

// ErrInvalidEvent is what every [EventError] matches with errors.Is.
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
	// EventID identifies the event, so that one that arrives twice is seen as one. It may be empty.
	EventID string `json:"event_id,omitempty"`
	// EventType is required. Types that we do not know are passed on.
	EventType EventType `json:"event_type"`
	// Timestamp is when the manager made the event. Zero means that the event carried none, or none that can be
	// read; the event counts all the same.
	Timestamp time.Time `json:"timestamp,omitzero"`
	// TenantID is required.
	TenantID string `json:"tenant_id"`
	// TenantSlug is the tenant's short name. It may be empty.
	TenantSlug string `json:"tenant_slug,omitempty"`
	// Environment is the one that the event belongs to. Empty belongs to all.
	Environment string `json:"environment,omitempty"`
	// Payload is the JSON object whose shape depends on EventType; see [DecodePayload].
	Payload json.RawMessage `json:"payload,omitempty"`
	// Epoch and Revision are the [Version] that the event made. Both are zero when the manager sends no versions.
	Epoch    string `json:"epoch,omitempty"`
	Revision uint64 `json:"revision,omitempty"`
}

// EventError tells why something is no usable event, and which one it was as far as that could be read.
type EventError struct {
	EventID   string
	EventType EventType
	Reason    string
}

// Error names the event's id and type and the reason.
func (e *EventError) Error() string {
	return fmt.Sprintf("%s (event_id %q, event_type %q): %s", ErrInvalidEvent, e.EventID, e.EventType, e.Reason)
}

// Is reports whether target is [ErrInvalidEvent].
func (e *EventError) Is(target error) bool { return target == ErrInvalidEvent }

// ParseEvent reads one event from its JSON form, as it travels on Redis.
//
// It refuses, with an [EventError], what is larger than [MaxEventBytes], is not valid UTF-8, is no JSON object, or has
// no event_type or no valid tenant_id ([ValidID]). Fields that it does not know are ignored. A timestamp, an epoch or a
// revision that cannot be read counts as absent. The payload is kept as it is; only [DecodePayload] looks into it.
func ParseEvent(data []byte) (Event, error) {
	if len(data) > MaxEventBytes {
		return Event{}, &EventError{Reason: fmt.Sprintf("%d bytes, the most is %d", len(data), MaxEventBytes)}
	}
	if !utf8.Valid(data) {
		return Event{}, &EventError{Reason: "not valid UTF-8"}
	}
	var evt Event
	if err := evt.UnmarshalJSON(data); err != nil { // itself: json.Unmarshal would read the text twice more
		return Event{}, &EventError{EventID: evt.EventID, EventType: evt.EventType, Reason: err.Error()}
	}
	return evt, evt.Validate()
}

// Validate returns an [EventError] when the event has no type or no valid tenant id, and nil otherwise.
func (e Event) Validate() error {
	switch {
	case strings.TrimSpace(string(e.EventType)) == "":
		return e.invalid("event_type is missing")
	case e.TenantID == "":
		return e.invalid("tenant_id is missing")
	case !ValidID(e.TenantID):
		return e.invalid(fmt.Sprintf("tenant_id %.80q is not a valid id", e.TenantID))
	}
	return nil
}

// Version returns the version that the event made. It is zero when the manager sends none.
func (e Event) Version() Version { return Version{Epoch: e.Epoch, Revision: e.Revision} }

// ServiceName returns the payload's service_name. A payload that is missing or is no JSON object, or has no
// service_name or a blank one, is an [EventError]: it must never be taken for another service's event.
func (e Event) ServiceName() (string, error) {
	payload, err := DecodePayload[struct {
		ServiceName string `json:"service_name"`
	}](e)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(payload.ServiceName) == "" {
		return "", e.invalid("payload has no service_name")
	}
	return payload.ServiceName, nil
}

// UnmarshalJSON reads an event without looking whether it is complete; [ParseEvent] does that too.
func (e *Event) UnmarshalJSON(data []byte) error {
	type plain Event // without methods, so that decoding it does not come back here
	wire := struct {
		*plain

		Timestamp json.RawMessage `json:"timestamp"`
		Epoch     json.RawMessage `json:"epoch"`
		Revision  json.RawMessage `json:"revision"`
	}{plain: (*plain)(e)}
	*e = Event{}
	if string(data) == "null" {
		return errors.New("null is no event")
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	e.Timestamp = readTimestamp(wire.Timestamp)
	e.Epoch = readString(wire.Epoch)
	e.Revision = readUint(wire.Revision)
	return nil
}

func (e Event) invalid(reason string) *EventError {
	return &EventError{EventID: e.EventID, EventType: e.EventType, Reason: reason}
}

// readTimestamp reads RFC 3339. Everything else counts as no timestamp, and so does what is outside the years 1 to
// 9999 in UTC, which could not be written again.
func readTimestamp(raw json.RawMessage) time.Time {
	at, err := time.Parse(time.RFC3339Nano, readString(raw))
	if at = at.UTC(); err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}
	}
	return at
}

// readUint reads a whole number of 64 bits; everything else counts as zero. On a number that is too large, ParseUint
// returns the largest one beside its error, and a revision must not become that.
func readUint(raw json.RawMessage) uint64 {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func readString(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
