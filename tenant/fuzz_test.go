package tenant_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// FuzzParseEvent: whatever comes in, it is either refused as no event, or valid and the same after another trip.
func FuzzParseEvent(f *testing.F) {
	samples, err := filepath.Glob("../docs/samples/events/*.json")
	if err != nil || len(samples) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, path := range samples {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		evt, err := tenant.ParseEvent(data)
		if err != nil {
			var bad *tenant.EventError
			if !errors.As(err, &bad) || !errors.Is(err, tenant.ErrInvalidEvent) {
				t.Fatalf("%T is not an EventError: %v", err, err)
			}
			return
		}
		if !tenant.ValidID(evt.TenantID) || strings.TrimSpace(string(evt.EventType)) == "" {
			t.Fatalf("an event without an id or a type came through: %+v", evt)
		}
		if name, err := evt.ServiceName(); err == nil && strings.TrimSpace(name) == "" {
			t.Fatalf("a blank service name came through: %+v", evt)
		}
		sameAfterAnotherTrip(t, evt)
	})
}

func sameAfterAnotherTrip(t *testing.T, evt tenant.Event) {
	t.Helper()
	data, err := json.Marshal(evt)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	if len(data) > tenant.MaxEventBytes {
		return // escapes made it larger than what is read
	}
	again, err := tenant.ParseEvent(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	evt.Payload = compact(t, evt.Payload)
	if !reflect.DeepEqual(again, evt) {
		t.Fatalf("%s\ngot  %+v\nwant %+v", data, again, evt)
	}
}

// compact returns JSON in the form that json.Marshal gives it.
func compact(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	if raw == nil {
		return nil
	}
	var short, escaped bytes.Buffer
	if err := json.Compact(&short, raw); err != nil {
		t.Fatal(err)
	}
	json.HTMLEscape(&escaped, short.Bytes())
	return escaped.Bytes()
}

// FuzzCanonicalID: the canonical form is its own canonical form, does not depend on how a UUID is spelled, and only a
// UUID is changed by it.
func FuzzCanonicalID(f *testing.F) {
	f.Add(dashedUUID)
	f.Add(hexUUID)
	f.Add("acme-eu_1")
	f.Fuzz(func(t *testing.T, id string) {
		canonical := tenant.CanonicalID(id)
		if again := tenant.CanonicalID(canonical); again != canonical {
			t.Errorf("%q became %q and then %q", id, canonical, again)
		}
		if tenant.ValidID(id) != tenant.ValidID(canonical) {
			t.Errorf("ValidID of %q and of its canonical form %q differ", id, canonical)
		}
		if canonical == id {
			return
		}
		if len(canonical) != 32 || strings.ReplaceAll(strings.ToLower(id), "-", "") != canonical {
			t.Errorf("%q became %q", id, canonical)
		}
		if upper := tenant.CanonicalID(strings.ToUpper(id)); upper != canonical {
			t.Errorf("%q became %q, in upper case %q", id, canonical, upper)
		}
	})
}
