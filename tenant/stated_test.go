package tenant_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// statedParseEvent is the stated reading of an event, which [tenant.ParseEvent] has to agree with: by encoding/json, into a map,
// whose keys are exact and of which the last counts.
func statedParseEvent(data []byte) (tenant.Event, error) {
	if len(data) > tenant.MaxEventBytes {
		return tenant.Event{}, &tenant.EventError{Reason: fmt.Sprintf("%d bytes, the most is %d", len(data), tenant.MaxEventBytes)}
	}
	if !utf8.Valid(data) {
		return tenant.Event{}, &tenant.EventError{Reason: "not valid UTF-8"}
	}
	evt, err := statedUnmarshal(data)
	if err != nil {
		return tenant.Event{}, statedInvalid(evt, err.Error())
	}
	return evt, evt.Validate()
}

// statedUnmarshal is the stated reading of [tenant.Event.UnmarshalJSON].
func statedUnmarshal(data []byte) (e tenant.Event, wrong error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(data, &fields)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) || err == nil && fields == nil:
		return e, errors.New("it is not a JSON object")
	case err != nil:
		return e, err
	}
	e.Payload = fields["payload"]
	e.Timestamp = statedTimestamp(fields["timestamp"])
	e.Revision, err = strconv.ParseUint(string(fields["revision"]), 10, 64)
	if err != nil {
		e.Revision = 0
	}
	e.Epoch = statedShort(statedString(fields["epoch"]))
	e.TenantName = statedShort(statedString(fields["tenant_name"]))
	var id, eventType string
	for _, field := range []struct {
		name string
		into *string
	}{
		{"event_id", &id},
		{"event_type", &eventType},
		{"tenant_id", &e.TenantID},
		{"tenant_slug", &e.TenantSlug},
		{"environment", &e.Environment},
	} {
		if raw, ok := fields[field.name]; ok && json.Unmarshal(raw, field.into) != nil && wrong == nil {
			wrong = fmt.Errorf("%s is not a string", field.name)
		}
	}
	e.EventID, e.EventType, e.TenantSlug = statedShort(id), tenant.EventType(eventType), statedShort(e.TenantSlug)
	return e, wrong
}

// statedServiceName is the stated reading of [tenant.Event.ServiceName].
func statedServiceName(e tenant.Event) (string, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(e.Payload, " \t\r\n"), []byte("{")) {
		return "", statedInvalid(e, "payload is missing or is not a JSON object")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(e.Payload, &fields); err != nil {
		return "", statedInvalid(e, "payload: "+err.Error())
	}
	var name string
	if raw, ok := fields["service_name"]; ok && json.Unmarshal(raw, &name) != nil {
		return "", statedInvalid(e, "payload: service_name is not a string")
	}
	if strings.TrimSpace(name) == "" {
		return "", statedInvalid(e, "payload has no service_name")
	}
	return name, nil
}

func statedInvalid(e tenant.Event, reason string) error {
	return &tenant.EventError{EventID: e.EventID, EventType: tenant.EventType(statedCut(string(e.EventType))), Reason: statedCut(reason)}
}

func statedCut(text string) string {
	if len(text) <= tenant.MaxNameBytes {
		return text
	}
	return strings.ToValidUTF8(text[:tenant.MaxNameBytes], "") + "…"
}

func statedShort(name string) string {
	if len(name) > tenant.MaxNameBytes {
		return ""
	}
	return name
}

func statedString(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func statedTimestamp(raw json.RawMessage) time.Time {
	at, err := time.Parse(time.RFC3339Nano, statedString(raw))
	if at = at.UTC(); err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}
	}
	return at
}
