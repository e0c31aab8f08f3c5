package tenant_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestParseEventReadsEveryField(t *testing.T) {
	got, err := tenant.ParseEvent([]byte(`{"event_id":"e-1","event_type":"tenant.service.purged",
		"timestamp":"2026-03-27T16:45:00.123456+02:00","tenant_id":"acme","tenant_slug":"acme-inc","environment":"staging",
		"payload":{"service_name":"ledger"},"epoch":"one","revision":18446744073709551615}`))
	if err != nil {
		t.Fatal(err)
	}
	want := tenant.Event{
		EventID: "e-1", EventType: tenant.EventServicePurged,
		Timestamp: time.Date(2026, 3, 27, 14, 45, 0, 123456000, time.UTC),
		TenantID:  "acme", TenantSlug: "acme-inc", Environment: "staging",
		Payload: json.RawMessage(`{"service_name":"ledger"}`), Epoch: "one", Revision: 18446744073709551615,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if v := got.Version(); v != (tenant.Version{Epoch: "one", Revision: 18446744073709551615}) {
		t.Errorf("Version() = %+v", v)
	}
}

func TestD14ParseEventRefuses(t *testing.T) {
	const deep = 20_000
	tests := []struct {
		name, data string
		reason     string // part of the error's reason
	}{
		{"nothing", "", "unexpected end"},
		{"blanks only", " \n", "unexpected end"},
		{"bad JSON", `{"event_type":`, "unexpected end"},
		{"no JSON at all", "<html>", "invalid character"},
		{"single quotes", `{'event_type':'tenant.created'}`, "invalid character"},
		{"null", "null", "not a JSON object"},
		{"null with blanks", " null ", ""},
		{"true", "true", "not a JSON object"},
		{"number", "7", "not a JSON object"},
		{"string", `"tenant.created"`, "not a JSON object"},
		{"array", `[]`, "not a JSON object"},
		{"array of an event", `[{"event_type":"tenant.created","tenant_id":"acme"}]`, "not a JSON object"},
		{"trailing garbage", `{"event_type":"tenant.created","tenant_id":"acme"}x`, "after top-level value"},
		{"two events", `{"event_type":"tenant.created","tenant_id":"acme"}{}`, "after top-level value"},
		{"10 MiB", `{"event_type":"tenant.created","tenant_id":"acme","x":"` + strings.Repeat("x", 10<<20) + `"}`, "the most is 1048576"},
		{"invalid UTF-8 in the id", "{\"event_type\":\"tenant.created\",\"tenant_id\":\"ac\xffme\"}", "not valid UTF-8"},
		{"invalid UTF-8 in an unknown field", "{\"event_type\":\"tenant.created\",\"tenant_id\":\"acme\",\"x\":\"\xc3\"}", "not valid UTF-8"},
		{"UTF-16", "{\x00}\x00", "invalid character"},
		{"depth 20,000 in an unknown field", `{"event_type":"tenant.created","tenant_id":"acme","x":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `}`, "depth"},
		{"depth 20,000 in the payload", `{"event_type":"tenant.created","tenant_id":"acme","payload":` + strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep) + `}`, "depth"},
		{"depth 20,000 at the top, not closed", strings.Repeat("[", deep), "depth"},
		{"empty object", `{}`, "event_type is missing"},
		{"type missing", `{"tenant_id":"acme"}`, "event_type is missing"},
		{"type null", `{"event_type":null,"tenant_id":"acme"}`, "event_type is missing"},
		{"type empty", `{"event_type":"","tenant_id":"acme"}`, "event_type is missing"},
		{"type blank", `{"event_type":" \t","tenant_id":"acme"}`, "event_type is missing"},
		{"type a number", `{"event_type":7,"tenant_id":"acme"}`, "event_type is not a string"},
		{"tenant_id missing", `{"event_type":"tenant.created"}`, "tenant_id is missing"},
		{"tenant_id null", `{"event_type":"tenant.created","tenant_id":null}`, "tenant_id is missing"},
		{"tenant_id empty", `{"event_type":"tenant.created","tenant_id":""}`, "tenant_id is missing"},
		{"tenant_id a number", `{"event_type":"tenant.created","tenant_id":7}`, "tenant_id is not a string"},
		{"tenant_id an object", `{"event_type":"tenant.created","tenant_id":{"id":"acme"}}`, "tenant_id is not a string"},
		{"tenant_id blank", `{"event_type":"tenant.created","tenant_id":" "}`, "not a valid id"},
		{"tenant_id half a surrogate", `{"event_type":"tenant.created","tenant_id":"a\ud800"}`, "not a valid id"},
		{"tenant_id too long", `{"event_type":"tenant.created","tenant_id":"` + strings.Repeat("a", 257) + `"}`, "not a valid id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			evt, err := tenant.ParseEvent([]byte(tt.data))
			var bad *tenant.EventError
			if !errors.As(err, &bad) || !errors.Is(err, tenant.ErrInvalidEvent) {
				t.Fatalf("got event %+v and error %v, want an EventError", evt, err)
			}
			if !strings.Contains(bad.Reason, tt.reason) {
				t.Errorf("reason %q, want one with %q", bad.Reason, tt.reason)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
}

func TestD14ParseEventReadsTheLargestEventAndNoMore(t *testing.T) {
	const head, tail = `{"event_type":"tenant.created","tenant_id":"acme","x":"`, `"}`
	largest := head + strings.Repeat("x", tenant.MaxEventBytes-len(head)-len(tail)) + tail
	if _, err := tenant.ParseEvent([]byte(largest)); err != nil {
		t.Errorf("%d bytes: %v", len(largest), err)
	}
	if _, err := tenant.ParseEvent([]byte(largest + " ")); err == nil {
		t.Errorf("%d bytes were read", len(largest)+1)
	}
}

func TestD14ParseEventKeepsTypesThatNobodyKnows(t *testing.T) {
	evt, err := tenant.ParseEvent([]byte(`{"event_type":"tenant.teleported","tenant_id":"acme","payload":[1]}`))
	if err != nil || evt.EventType != "tenant.teleported" || string(evt.Payload) != "[1]" {
		t.Errorf("got %+v, %v", evt, err)
	}
}

func TestParseEventErrorTellsWhichEvent(t *testing.T) {
	tests := []struct {
		name, data string
	}{
		{"found by Validate", `{"event_id":"e-7","event_type":"tenant.deleted"}`},
		{"found by decoding", `{"event_id":"e-7","event_type":"tenant.deleted","tenant_id":7}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tenant.ParseEvent([]byte(tt.data))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range []string{`"e-7"`, `"tenant.deleted"`, "invalid lifecycle event", "tenant_id"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not name %s", err, part)
				}
			}
		})
	}
}

func TestD30TheEventCountsWithoutAUsableTimestamp(t *testing.T) {
	tests := []struct {
		name, field string
	}{
		{"none", ``},
		{"null", `,"timestamp":null`},
		{"empty", `,"timestamp":""`},
		{"blank", `,"timestamp":" "`},
		{"a word", `,"timestamp":"yesterday"`},
		{"seconds", `,"timestamp":1774622700`},
		{"negative fraction", `,"timestamp":-1.5e300`},
		{"seconds in a string", `,"timestamp":"1774622700"`},
		{"object", `,"timestamp":{"seconds":1774622700}`},
		{"array", `,"timestamp":["2026-03-27T14:45:00Z"]`},
		{"true", `,"timestamp":true`},
		{"year 0", `,"timestamp":"0000-01-01T00:00:00Z"`},
		{"year 1, second 0", `,"timestamp":"0001-01-01T00:00:00Z"`},
		{"five digits of year", `,"timestamp":"12026-03-27T14:45:00Z"`},
		{"RFC 1123", `,"timestamp":"Fri, 27 Mar 2026 14:45:00 GMT"`},
		{"no zone", `,"timestamp":"2026-03-27T14:45:00"`},
		{"a space for the T", `,"timestamp":"2026-03-27 14:45:00Z"`},
		{"date only", `,"timestamp":"2026-03-27"`},
		{"30 February", `,"timestamp":"2026-02-30T14:45:00Z"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			evt, err := tenant.ParseEvent([]byte(`{"event_id":"e-1","event_type":"tenant.suspended","tenant_id":"acme"` + tt.field + `}`))
			if err != nil {
				t.Fatal(err)
			}
			want := tenant.Event{EventID: "e-1", EventType: tenant.EventSuspended, TenantID: "acme"}
			if !reflect.DeepEqual(evt, want) {
				t.Errorf("got %+v, want %+v", evt, want)
			}
		})
	}
}

func TestD30TimestampsAreReadInEveryZoneAndPrecision(t *testing.T) {
	tests := []struct {
		name, timestamp string
		want            time.Time
	}{
		{"seconds", "2026-03-27T14:45:00Z", time.Date(2026, 3, 27, 14, 45, 0, 0, time.UTC)},
		{"milliseconds", "2026-03-27T14:45:00.250Z", time.Date(2026, 3, 27, 14, 45, 0, 250_000_000, time.UTC)},
		{"nanoseconds", "2026-03-27T14:45:00.000000001Z", time.Date(2026, 3, 27, 14, 45, 0, 1, time.UTC)},
		{"zone", "2026-03-27T09:45:00-05:00", time.Date(2026, 3, 27, 14, 45, 0, 0, time.UTC)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			evt, err := tenant.ParseEvent([]byte(`{"event_type":"tenant.created","tenant_id":"a","timestamp":"` + tt.timestamp + `"}`))
			if err != nil {
				t.Fatal(err)
			}
			if evt.Timestamp != tt.want {
				t.Errorf("got %v, want %v", evt.Timestamp, tt.want)
			}
		})
	}
}

func TestD30TheEventCountsWithFieldsThatWeDoNotKnow(t *testing.T) {
	evt, err := tenant.ParseEvent([]byte(`{"v":2,"event_type":"tenant.created","trace":{"id":[1,{"a":null}]},"tenant_id":"acme","":""}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (tenant.Event{EventType: tenant.EventCreated, TenantID: "acme"}); !reflect.DeepEqual(evt, want) {
		t.Errorf("got %+v, want %+v", evt, want)
	}
}

func TestD30TheEventCountsWithoutAUsableVersion(t *testing.T) {
	tests := []struct {
		name, fields string
		want         tenant.Version
	}{
		{"none", ``, tenant.Version{}},
		{"null", `,"epoch":null,"revision":null`, tenant.Version{}},
		{"epoch a number", `,"epoch":7`, tenant.Version{}},
		{"epoch an object", `,"epoch":{"id":"one"}`, tenant.Version{}},
		{"revision negative", `,"epoch":"one","revision":-1`, tenant.Version{Epoch: "one"}},
		{"revision a fraction", `,"epoch":"one","revision":1.5`, tenant.Version{Epoch: "one"}},
		{"revision with an exponent", `,"epoch":"one","revision":1e3`, tenant.Version{Epoch: "one"}},
		{"revision a string", `,"epoch":"one","revision":"7"`, tenant.Version{Epoch: "one"}},
		{"revision an array", `,"epoch":"one","revision":[7]`, tenant.Version{Epoch: "one"}},
		{"revision true", `,"epoch":"one","revision":true`, tenant.Version{Epoch: "one"}},
		{"both good", `,"epoch":"one","revision":7`, tenant.Version{Epoch: "one", Revision: 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			evt, err := tenant.ParseEvent([]byte(`{"event_type":"tenant.created","tenant_id":"acme"` + tt.fields + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := evt.Version(); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestUnmarshalReplacesWhatWasThere(t *testing.T) {
	evt := tenant.Event{EventID: "old", Environment: "old", Payload: json.RawMessage(`{}`), Revision: 9, Timestamp: time.Unix(1, 0)}
	if err := json.Unmarshal([]byte(`{"event_type":"tenant.created","tenant_id":"acme"}`), &evt); err != nil {
		t.Fatal(err)
	}
	if want := (tenant.Event{EventType: tenant.EventCreated, TenantID: "acme"}); !reflect.DeepEqual(evt, want) {
		t.Errorf("got %+v, want %+v", evt, want)
	}
}

func TestEventKeepsNoPartOfTheBytesItWasReadFrom(t *testing.T) {
	data := []byte(`{"event_id":"e-1","event_type":"tenant.created","tenant_id":"acme","payload":{"a":1}}`)
	evt, err := tenant.ParseEvent(data)
	if err != nil {
		t.Fatal(err)
	}
	copy(data, bytes.Repeat([]byte("x"), len(data)))
	if evt.EventID != "e-1" || evt.TenantID != "acme" || string(evt.Payload) != `{"a":1}` {
		t.Errorf("the event changed with its bytes: %+v", evt)
	}
}

func TestEventsOutliveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyEvent(t)
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tenant.ParseEvent(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\ngot  %+v\nwant %+v", data, got, want)
		}
	})
}

func TestMarshalLeavesOutWhatIsNotThere(t *testing.T) {
	data, err := json.Marshal(tenant.Event{EventType: tenant.EventCreated, TenantID: "acme"})
	if want := `{"event_type":"tenant.created","tenant_id":"acme"}`; err != nil || string(data) != want {
		t.Errorf("got %s, %v, want %s", data, err, want)
	}
}

// anyEvent draws an event that is valid.
func anyEvent(t *rapid.T) tenant.Event {
	types := []tenant.EventType{tenant.EventCreated, tenant.EventServiceAssociated, tenant.EventCacheInvalidate, "tenant.unheard.of"}
	evt := tenant.Event{
		EventID:     rapid.StringN(-1, -1, tenant.MaxNameBytes).Draw(t, "event_id"),
		EventType:   rapid.SampledFrom(types).Draw(t, "event_type"),
		TenantID:    rapid.StringMatching(`[0-9A-Za-z][0-9A-Za-z_-]{0,255}`).Draw(t, "tenant_id"),
		TenantSlug:  rapid.StringN(-1, -1, tenant.MaxNameBytes).Draw(t, "tenant_slug"),
		Environment: rapid.StringN(-1, -1, tenant.MaxNameBytes).Draw(t, "environment"),
		Epoch:       rapid.StringN(-1, -1, tenant.MaxNameBytes).Draw(t, "epoch"),
		Revision:    rapid.Uint64().Draw(t, "revision"),
	}
	if rapid.Bool().Draw(t, "has timestamp") {
		const year1, year9999 = -62135596800, 253402300799
		seconds := rapid.Int64Range(year1, year9999).Draw(t, "seconds")
		evt.Timestamp = time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
	}
	if rapid.Bool().Draw(t, "has payload") {
		fields := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "payload")
		payload, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		evt.Payload = payload
	}
	return evt
}
