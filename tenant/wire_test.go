package tenant_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// sameEvent: the event, its service and every error are those of the stated reading.
func sameEvent(t *testing.T, data []byte) {
	t.Helper()
	before := string(data)
	got, err := tenant.ParseEvent(data)
	want, wantErr := statedParseEvent([]byte(before))
	differ(t, "ParseEvent", before, got, err, want, wantErr)

	var direct tenant.Event
	err = direct.UnmarshalJSON(data)
	want, wantErr = statedUnmarshal([]byte(before))
	differ(t, "UnmarshalJSON", before, direct, err, want, wantErr)

	for _, evt := range []tenant.Event{direct, {EventID: "e-1", Payload: data}} {
		name, err := evt.ServiceName()
		wantName, wantErr := statedServiceName(evt)
		differ(t, "ServiceName", string(evt.Payload), name, err, wantName, wantErr)
	}
	if string(data) != before {
		t.Errorf("%.300q became %.300q", before, data)
	}
	for i := range data {
		data[i] = 'x'
	}
	differ(t, "UnmarshalJSON, and the bytes changed", before, direct, nil, want, nil)
}

func differ(t *testing.T, what, data string, got any, err error, want any, wantErr error) {
	t.Helper()
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(text(err), text(wantErr)) {
		t.Errorf("%s of %.300q:\ngot  %+v, %v\nwant %+v, %v", what, data, got, err, want, wantErr)
	}
}

// text is what there is to see of an error.
func text(err error) string {
	return fmt.Sprintf("%T %v", err, err)
}

// FuzzEventsAgree: whatever comes in, it is read as by encoding/json, to the words of the errors.
func FuzzEventsAgree(f *testing.F) {
	for _, data := range oddEvents() {
		f.Add([]byte(data))
	}
	f.Fuzz(sameEvent)
}

// oddEvents are events whose reading takes more than one way, and what is none.
func oddEvents() []string {
	long, longer := strings.Repeat("é", 128), strings.Repeat("é", 128)+"x"
	events := []string{
		typical(240), typical(1000), "", " ", "{}", " { } ", "null", "7", "[]", `"a"`, "{", "}", `{"a"`, `{"tenant_id":"a"}x`, `{"tenant_id":"a"} x`, `{"tenant_id":"a"},`, "x",
		`{"tenant\u005fid":"a","event_type":"tenant.created"}`, `{"tenant_id":"a","event_type":"tenant.created","tenant\u005fid":"b"}`, `{"tenant\u005fid":"a","tenant_id":"b"}`,
		`{"Tenant_ID":"a","tenant_id":"b","TENANT_ID":"c"}`, `{"tenant_id":"a","tenant_id":null}`, `{"tenant_id":7,"tenant_id":"a"}`, `{"tenant_id":"a","tenant_id":7,"event_type":7}`,
		`{"payload":{"service_name":"a"},"payload":null}`, `{"payload":null,"payload": { "service_name" : "a" } }`, `{"payload":" {} "}`, `{"payload":[1,2 , 3]}`, `{"payload":1.5e3 }`,
		`{"event_id":"\u0041\n","tenant_id":"\"","tenant_slug":"\ud800","environment":"\u00e9","event_type":"tenant.\u0063reated","epoch":"\\"}`,
		"{\"tenant_id\":\"a\xff\",\"payload\":{\"service_name\":\"\xff\"},\"\xff\":1}", `{"tenant_id":"é","tenant_name":"Müller & Söhne"}`,
		`{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `,"tenant_id":"a","event_type":"b"}`, `{"payload":{"service_name":"a","x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}}`,
		`{"payload":{"service_name":"a","service_name":"b"}}`, `{"payload":{"service_name":"a","service_name":7}}`, `{"payload":{"service_name":7,"service_name":"a"}}`,
		`{"payload":{"service_name":"a","service\u005fname":"b"}}`, `{"payload":{"service\u005fname":"b","service_name":"a"}}`, `{"payload":{"service_name":"\u0061","Service_Name":7}}`,
		`{"payload":{"service_name":null}}`, `{"payload":{"service_name":" \t"}}`, `{"payload":{"service_name":"\u00a0\u2003"}}`, `{"payload":{"x":{"service_name":"a"}}}`, `{"payload":{"service_name":["a"]}}`,
		`{"service_name":"a"}`, `{"service_name":"a"`, `{"service_name":"a"}x`, ` {"service_name":"a"} `, `{"service_name":7}`, `{"service_name":"a",}`,
	}
	for _, field := range []string{"event_id", "event_type", "timestamp", "tenant_id", "tenant_slug", "environment", "tenant_name", "payload", "epoch", "revision"} {
		for _, value := range []string{
			`"` + long + `"`, `"` + longer + `"`, `""`, `null`, `7`, `true`, `{}`, `[]`, `"tenant.created"`, `"tenant.createe"`, `"2026-03-27T14:45:00Z"`, `18446744073709551615`,
			`18446744073709551616`, `-1`, `-0`, `0`, `1e3`, `1.0`, `"1"`, strings.Repeat("9", 40),
		} {
			events = append(events, `{"event_id":"e-1","`+field+`":`+value+`,"x":1}`, `{"`+field+`":"before","event_type":"t","tenant_id":"a","`+field+`" : `+value+` }`)
		}
	}
	for _, at := range []string{
		"2026-03-27T14:45:00.123456789+02:00", "2026-03-27T14:45:00+05:30", "2026-03-27T14:45:00-00:00", "2026-03-27T14:45:00,5Z", "2026-03-27T4:45:00Z", "2026-03-27T14:45:00z",
		"2026-03-27T14:45:60Z", "2026-03-27T24:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-03-27T14:45:00.Z", "2026-03-27T14:45:00.1234567891234Z", "2026-03-27T14:45:00+24:00",
		"2026-03-27T14:45:00+23:60", "2026-03-27T14:45:00Z ", " 2026-03-27T14:45:00Z", "2026-03-27t14:45:00Z", "0000-12-31T23:59:59-01:00", "9999-12-31T23:59:59-00:01", `2026-03-27T14:45:00\u005a`, "é",
	} {
		events = append(events, `{"tenant_id":"a","timestamp":"`+at+`"}`)
	}
	return events
}

func TestEventsAreReadAsByEncodingJSON(t *testing.T) {
	for _, data := range oddEvents() {
		sameEvent(t, []byte(data))
	}
	for _, data := range []string{typical(240), typical(1000)} {
		for end := range len(data) {
			sameEvent(t, []byte(data[:end]))
			for _, c := range []byte("\x00\n\"\\{}[],:a0\xff") {
				other := []byte(data)
				other[end] = c
				sameEvent(t, other)
			}
		}
	}
}

// Two allocations: the text, and the payload. The name of the service is one more for a caller that keeps it.
func TestAnEventIsTwoAllocations(t *testing.T) {
	for name, tt := range map[string]struct {
		data    []byte
		most    float64
		service bool
	}{
		"240 bytes":               {[]byte(typical(240)), 2, true},
		"1 KB":                    {[]byte(typical(1000)), 2, true},
		"of an unknown type":      {[]byte(`{"event_id":"e-1","event_type":"tenant.teleported","tenant_id":"acme","tenant_name":"Müller","payload":{"service_name":"ledger"}}`), 2, true},
		"of another zone":         {[]byte(`{"event_type":"tenant.created","timestamp":"2026-03-27T16:45:00.123456789+02:00","tenant_id":"acme","payload":{"service_name":"ledger"}}`), 2, true},
		"with escapes in between": {[]byte(`{"event_type":"tenant.created","tenant_id":"acme","x":{"\u0061":"\n"},"payload":{"service_name":"ledger","x":"\u0026"}}`), 2, true},
	} {
		if n := testing.AllocsPerRun(100, func() {
			evt, err := tenant.ParseEvent(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if service, err := evt.ServiceName(); tt.service != (err == nil && service == "ledger") {
				t.Error("another service")
			}
		}); n > tt.most {
			t.Errorf("%s: %.0f allocations, at most %.0f", name, n, tt.most)
		}
	}
}

func TestAKnownTypeIsTheConstant(t *testing.T) {
	for _, want := range []tenant.EventType{
		tenant.EventCreated, tenant.EventUpdated, tenant.EventActivated, tenant.EventSuspended, tenant.EventDeleted, tenant.EventServiceAssociated,
		tenant.EventServiceReactivated, tenant.EventServiceDisassociated, tenant.EventServiceSuspended, tenant.EventServicePurged, tenant.EventCredentialsRotated,
		tenant.EventConnectionsUpdated, tenant.EventCacheInvalidate,
	} {
		data := []byte(`{"event_type":"` + string(want) + `"}`)
		var evt tenant.Event
		if n := testing.AllocsPerRun(10, func() {
			if evt.UnmarshalJSON(data) != nil || evt.EventType != want {
				t.Errorf("%s: got %s", want, evt.EventType)
			}
		}); n != 0 {
			t.Errorf("%s is copied: %.0f allocations", want, n)
		}
	}
}

// Whoever keeps a short text of an event does not keep a long one with it, refused or not.
func TestAShortTextHoldsNoLongOne(t *testing.T) {
	long := strings.Repeat("a", 900<<10)
	kept := make([]any, 0, 50)
	before := heap()
	for range cap(kept) / 5 {
		for _, field := range []string{"event_type", "tenant_id", "environment", "payload", "x"} {
			data := `{"event_id":"e-1","epoch":"one","tenant_slug":"s","` + field + `":"` + long + `","event_type":"tenant.created","tenant_id":"acme","` + field + `":"` + long + `"}`
			evt, err := tenant.ParseEvent([]byte(data))
			if err != nil {
				kept = append(kept, err)
			} else {
				kept = append(kept, evt.EventID, evt.Epoch, evt.TenantSlug)
			}
			evt = tenant.Event{}
			_ = evt.UnmarshalJSON([]byte(data))
			kept = append(kept, evt.EventID)
		}
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d texts and errors keep %d bytes", len(kept), grown)
	}
	runtime.KeepAlive(kept)
}

// typical is an event of about so many bytes, as a manager sends it.
func typical(size int) string {
	const event = `{"event_id":"e-%d","event_type":"tenant.service.suspended","timestamp":"2026-03-27T14:45:00Z","tenant_id":"6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012",` +
		`"environment":"staging","payload":{"service_name":"ledger","previous_status":"active"%s}}`
	const associated = `{"event_id":"0b6f5d0c-7a3c-4e0f-8a3b-5c6d7e8f%04d","event_type":"tenant.service.associated","timestamp":"2026-03-27T14:45:00.123456Z",` +
		`"tenant_id":"6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012","tenant_slug":"acme-inc","environment":"staging","epoch":"3f9c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012","revision":1234567,` +
		`"payload":{"service_name":"ledger","isolation_mode":"schema","modules":["onboarding","transaction"],"secret_paths":{"onboarding":{"postgresql_rw":"secrets/acme/onboarding/rw",` +
		`"postgresql_ro":"secrets/acme/onboarding/ro"},"transaction":{"postgresql_rw":"secrets/acme/transaction/rw","postgresql_ro":"secrets/acme/transaction/ro"}},` +
		`"messaging_config":{"rabbitmq_secret_path":"secrets/acme/rabbitmq"},"connection_settings":{"max_open_conns":25,"max_idle_conns":5,"statement_timeout":"30s"}%s}}`
	form := event
	if size > 600 {
		form = associated
	}
	missing := size - len(fmt.Sprintf(form, 1, "")) - len(`,"x":""`)
	return fmt.Sprintf(form, 1, fmt.Sprintf(`,"x":%q`, strings.Repeat("x", max(missing, 0))))
}

// envelope and payload are an event and its payload as somebody reads them who writes thirty lines.
type envelope struct {
	EventID     string          `json:"event_id"`
	EventType   string          `json:"event_type"`
	Timestamp   string          `json:"timestamp"`
	TenantID    string          `json:"tenant_id"`
	TenantSlug  string          `json:"tenant_slug"`
	Environment string          `json:"environment"`
	Payload     json.RawMessage `json:"payload"`
}

type payload struct {
	ServiceName string `json:"service_name"`
}

func BenchmarkEvent(b *testing.B) {
	for _, size := range []int{240, 1000} {
		data := []byte(typical(size))
		for _, way := range []struct {
			name string
			run  func() (mine bool, err error)
		}{
			{"ParseEvent and ServiceName", func() (bool, error) {
				evt, err := tenant.ParseEvent(data)
				if err != nil {
					return false, err
				}
				name, err := evt.ServiceName()
				return name == "ledger", err
			}},
			{"by hand", func() (bool, error) {
				var e envelope
				if err := json.Unmarshal(data, &e); err != nil {
					return false, err
				}
				var p payload
				err := json.Unmarshal(e.Payload, &p)
				return p.ServiceName == "ledger", err
			}},
			{"stated", func() (bool, error) {
				evt, err := statedParseEvent(data)
				if err != nil {
					return false, err
				}
				name, err := statedServiceName(evt)
				return name == "ledger", err
			}},
			{"json.Valid", func() (bool, error) { return json.Valid(data), nil }},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, way.name), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if mine, err := way.run(); err != nil || !mine {
						b.Fatal(mine, err)
					}
				}
			})
		}
	}
}
