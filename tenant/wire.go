package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/jsonscan"
)

// wire is an event as it is written: the value of each field that we know, nil where there is none. Of two the last counts.
type wire struct {
	eventID, eventType, timestamp, tenantID, tenantSlug, environment, tenantName, payload, epoch, revision []byte
}

// field returns where the value of a field goes, nil for a field that we do not know. Names are told apart by their case.
func (w *wire) field(name []byte) *[]byte {
	switch string(name) {
	case "event_id":
		return &w.eventID
	case "event_type":
		return &w.eventType
	case "timestamp":
		return &w.timestamp
	case "tenant_id":
		return &w.tenantID
	case "tenant_slug":
		return &w.tenantSlug
	case "environment":
		return &w.environment
	case "tenant_name":
		return &w.tenantName
	case "payload":
		return &w.payload
	case "epoch":
		return &w.epoch
	case "revision":
		return &w.revision
	default:
		return nil
	}
}

// readWire reads the fields, which are parts of data.
func readWire(data []byte) (w wire, err error) {
	o := jsonscan.Open(data)
	for o.Next() {
		if field := w.field(o.Name); field != nil {
			*field = o.Value
		} else if jsonscan.Escaped(o.Name) {
			return readOddWire(data)
		}
	}
	if !isWhole(data, o.End()) {
		return readOddWire(data)
	}
	return w, nil
}

// isWhole reports whether an object ends there, and only white space follows.
func isWhole(data []byte, end int) bool {
	return end >= 0 && jsonscan.SkipSpace(data, end) == len(data)
}

// readOddWire is readWire by encoding/json.
func readOddWire(data []byte) (w wire, err error) {
	var fields map[string]json.RawMessage // whose keys, unlike the fields of a struct, are told apart by their case
	err = json.Unmarshal(data, &fields)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) || err == nil && fields == nil:
		return wire{}, errors.New("it is not a JSON object")
	case err != nil:
		return wire{}, err
	}
	for name, value := range fields {
		if field := w.field([]byte(name)); field != nil {
			*field = value
		}
	}
	return w, nil
}

// UnmarshalJSON reads an event and does not check that it is complete. [ParseEvent] also checks.
func (e *Event) UnmarshalJSON(data []byte) error {
	*e = Event{}
	w, err := readWire(data)
	if err != nil {
		return err
	}
	e.Payload = bytes.Clone(w.payload)
	e.Timestamp = readTimestamp(w.timestamp)
	e.Revision = readUint(w.revision)
	return readTexts(e, &w)
}

// readTexts reads what is text. Some of it has to be a string where it is there at all; it goes on behind an error, so that the
// error can name the event.
func readTexts(e *Event, w *wire) (wrong error) {
	must := func(name string, value []byte) []byte {
		said, ok := readString(value)
		if !ok && wrong == nil {
			wrong = fmt.Errorf("%s is not a string", name)
		}
		return said
	}
	may := func(value []byte) []byte {
		said, _ := readString(value)
		return said
	}
	var other string
	id, eventType := must("event_id", w.eventID), must("event_type", w.eventType)
	constant, known := knownType(eventType)
	if known {
		eventType = nil
	}
	keep([]text{
		{short(id), &e.EventID},
		{eventType, &other},
		{must("tenant_id", w.tenantID), &e.TenantID},
		{short(must("tenant_slug", w.tenantSlug)), &e.TenantSlug},
		{must("environment", w.environment), &e.Environment},
		{short(may(w.epoch)), &e.Epoch},
		{short(may(w.tenantName)), &e.TenantName},
	})
	if e.EventType = constant; !known {
		e.EventType = EventType(other)
	}
	return wrong
}

// text is to become a string.
type text struct {
	said []byte
	into *string
}

// keep makes strings of texts. All are cut from one, which is one allocation; but a text that is too long for a name has its
// own: it is refused in most places, and must not be held by a short one that somebody keeps.
func keep(texts []text) {
	size := 0
	for i, t := range texts {
		if len(t.said) > MaxNameBytes {
			*t.into, texts[i].said = string(t.said), nil
		}
		size += len(texts[i].said)
	}
	var all strings.Builder
	all.Grow(size)
	for _, t := range texts {
		all.Write(t.said)
	}
	rest := all.String()
	for _, t := range texts {
		if n := len(t.said); n > 0 {
			*t.into, rest = rest[:n], rest[n:]
		}
	}
}

// short returns a name, or nothing when it is too long for one.
func short(name []byte) []byte {
	if len(name) > MaxNameBytes {
		return nil
	}
	return name
}

// readString returns what a value says that is a string. None, and null, is an empty one.
func readString(value []byte) (said []byte, ok bool) {
	if len(value) == 0 || string(value) == "null" {
		return nil, true
	}
	return jsonscan.String(value)
}

// readTimestamp reads RFC 3339. Everything else counts as no timestamp, and so does what is outside the years 1 to
// 9999 in UTC, which could not be written again.
func readTimestamp(value []byte) time.Time {
	said, _ := readString(value)
	if len(said) == 0 {
		return time.Time{}
	}
	var at time.Time
	err := at.UnmarshalText(said) // as time.Parse does, without a string
	if at = at.UTC(); err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}
	}
	return at
}

// readUint reads a whole number of 64 bits; everything else counts as zero. On a number that is too large, ParseUint
// returns the largest one beside its error, and a revision must not become that.
func readUint(value []byte) uint64 {
	if len(value) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// serviceName is the payload's, a part of it where it is spelled without escapes.
func (e Event) serviceName() ([]byte, error) {
	value, err := e.serviceNameValue()
	if err != nil {
		return nil, err
	}
	name, ok := readString(value)
	if !ok {
		return nil, e.invalid("payload: service_name is not a string")
	}
	if len(bytes.TrimSpace(name)) == 0 {
		return nil, e.invalid("payload has no service_name")
	}
	return name, nil
}

// serviceNameValue is the last one that the payload has, nil if there is none.
func (e Event) serviceNameValue() (value []byte, err error) {
	odd := false
	o := jsonscan.Open(e.Payload)
	for o.Next() {
		if string(o.Name) == "service_name" {
			value = o.Value
		} else if jsonscan.Escaped(o.Name) {
			odd = true
		}
	}
	if !odd && isWhole(e.Payload, o.End()) {
		return value, nil
	}
	fields, err := DecodePayload[map[string]json.RawMessage](e) // exact in its keys
	return fields["service_name"], err
}
