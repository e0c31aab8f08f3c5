package tenant_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestX21AFieldInAnotherCaseIsUnknown(t *testing.T) {
	evt, err := tenant.ParseEvent([]byte(`{"event_type":"tenant.suspended","tenant_id":"acme","Tenant_ID":"other","EVENT_TYPE":"tenant.deleted",
		"Environment":"staging","Revision":9,"Epoch":"two","TIMESTAMP":"2026-03-27T14:45:00Z","Payload":{},"Tenant_Slug":"x","Event_id":"e"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme"}); !reflect.DeepEqual(evt, want) {
		t.Errorf("got %+v, want %+v", evt, want)
	}
}

func TestX21AnIDInAnotherCaseAloneIsMissing(t *testing.T) {
	_, err := tenant.ParseEvent([]byte(`{"event_type":"tenant.suspended","Tenant_ID":"other"}`))
	if !errors.Is(err, tenant.ErrInvalidEvent) || !strings.Contains(err.Error(), "tenant_id is missing") {
		t.Errorf("got %v, want an error that says that tenant_id is missing", err)
	}
}

func TestX21TheServiceInAnotherCaseIsMissing(t *testing.T) {
	for payload, want := range map[string]string{
		`{"service_name":"ledger","Service_Name":"billing"}`: "ledger",
		`{"Service_Name":"billing","service_name":"ledger"}`: "ledger",
		`{"Service_Name":"billing"}`:                         "", // an error, and not another service's event
		`{"SERVICE_NAME":"ledger"}`:                          "",
	} {
		evt := tenant.Event{EventType: tenant.EventServiceSuspended, TenantID: "acme", Payload: json.RawMessage(payload)}
		got, err := evt.ServiceName()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q and %v, want %q", payload, got, err, want)
		}
	}
}

func TestX21UnmarshalTakesExactNamesAtEveryDepth(t *testing.T) {
	type inner struct {
		Name string `json:"name"`
	}
	type embedded struct {
		Own string `json:"own"`
	}
	type outer struct {
		embedded // which json does not see the name of

		One     inner            `json:"one"`
		Many    []inner          `json:"many"`
		By      map[string]inner `json:"by"`
		Pointer *inner           `json:"pointer"`
		Raw     json.RawMessage  `json:"raw"`
		Untold  string
		Secret  string `json:"-"`
	}
	const data = `{"own":"a","OWN":"b","one":{"name":"a","Name":"b"},"many":[{"NAME":"b"},{"name":"a"}],"by":{"K":{"name":"a","nAme":"b"}},
		"pointer":{"Name":"b"},"raw":{"Name":1},"Untold":"a","untold":"b","Secret":"b","secret":"b","One":{"name":"b"}}`
	var got outer
	if err := tenant.Unmarshal([]byte(data), &got); err != nil {
		t.Fatal(err)
	}
	want := outer{
		embedded: embedded{Own: "a"}, One: inner{Name: "a"}, Many: []inner{{}, {Name: "a"}}, By: map[string]inner{"K": {Name: "a"}},
		Pointer: &inner{}, Raw: json.RawMessage(`{"Name":1}`), Untold: "a",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// tree is a type that holds itself.
type tree map[string]tree

func TestUnmarshalReadsTypesThatHoldThemselves(t *testing.T) {
	var got tree
	if err := tenant.Unmarshal([]byte(`{"a":{"b":{},"B":null}}`), &got); err != nil {
		t.Fatal(err)
	}
	if want := (tree{"a": {"b": {}, "B": nil}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUnmarshalRefusesWhatJSONRefuses(t *testing.T) {
	type shape struct {
		N int `json:"n"`
	}
	for _, data := range []string{``, `{`, `{"n":"a"}`, `[]`, `7`, `{"n":1}x`} {
		var got, plain shape
		err, want := tenant.Unmarshal([]byte(data), &got), json.Unmarshal([]byte(data), &plain)
		if err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("%s: got %v, want %v", data, err, want)
		}
	}
	var null *shape
	if err := tenant.Unmarshal([]byte("null"), &null); err != nil || null != nil {
		t.Errorf("null: got %v and %v", null, err)
	}
}

func TestX25LongNamesAreRefusedOrAbsent(t *testing.T) {
	most, long := strings.Repeat("a", tenant.MaxNameBytes), strings.Repeat("a", tenant.MaxNameBytes+1)
	for _, field := range []string{"event_type", "tenant_id", "environment"} {
		for name, refused := range map[string]bool{most: false, long: true} {
			_, err := tenant.ParseEvent([]byte(eventWith(field, name)))
			if (err != nil) != refused || refused && !errors.Is(err, tenant.ErrInvalidEvent) {
				t.Errorf("%s of %d bytes: got the error %v, want one: %t", field, len(name), err, refused)
			}
		}
	}
	for field, of := range map[string]func(tenant.Event) string{
		"event_id":    func(e tenant.Event) string { return e.EventID },
		"tenant_slug": func(e tenant.Event) string { return e.TenantSlug },
		"epoch":       func(e tenant.Event) string { return e.Epoch },
	} {
		for name, want := range map[string]string{most: most, long: ""} {
			evt, err := tenant.ParseEvent([]byte(eventWith(field, name)))
			if err != nil || of(evt) != want {
				t.Errorf("%s of %d bytes: got %d bytes and %v, want %d", field, len(name), len(of(evt)), err, len(want))
			}
		}
	}
}

func TestX25AnErrorKeepsLittleOfALongEvent(t *testing.T) {
	long := strings.Repeat("a", 900<<10)
	kept := make([]error, 0, 20)
	before := heap()
	for range cap(kept) {
		for _, field := range []string{"event_type", "tenant_id", "environment"} {
			_, err := tenant.ParseEvent([]byte(eventWith(field, long)))
			kept = append(kept[:max(0, len(kept)-cap(kept)+1)], err)
		}
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d errors keep %d bytes", len(kept), grown)
	}
	for _, err := range kept {
		if len(err.Error()) > 1000 {
			t.Fatalf("an error has %d bytes", len(err.Error()))
		}
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // far from 2^63
}

// eventWith returns an event whose field is the one given; the last one of two counts.
func eventWith(field, value string) string {
	return `{"event_type":"tenant.created","tenant_id":"acme","` + field + `":"` + value + `"}`
}
