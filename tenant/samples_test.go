package tenant_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// samplePayloads says for every event type what the payload of its sample decodes to. nil: no payload.
var samplePayloads = map[tenant.EventType]any{
	tenant.EventCreated:   nil,
	tenant.EventUpdated:   nil,
	tenant.EventActivated: nil,
	tenant.EventSuspended: nil,
	tenant.EventDeleted:   nil,
	tenant.EventServiceAssociated: tenant.ServiceAssociated{
		ServiceName: "ledger", IsolationMode: "isolated", Modules: []string{"onboarding", "transaction"},
		SecretPaths:        json.RawMessage(`{"onboarding":{"postgresql_rw":"secrets/acme/onboarding/rw","postgresql_ro":"secrets/acme/onboarding/ro"}}`),
		MessagingConfig:    json.RawMessage(`{"rabbitmq_secret_path":"secrets/acme/rabbitmq"}`),
		ConnectionSettings: json.RawMessage(`{"max_open_conns":25,"max_idle_conns":5,"statement_timeout":"30s"}`),
	},
	tenant.EventServiceReactivated: tenant.ServiceReactivated{
		ServiceName: "ledger", PreviousStatus: "suspended", ReProvisioned: true,
		SecretPaths:        json.RawMessage(`{"onboarding":{"mongodb":"secrets/acme/onboarding/mongodb"}}`),
		ConnectionSettings: json.RawMessage(`{"max_open_conns":25,"max_idle_conns":5}`),
	},
	tenant.EventServiceDisassociated: tenant.ServiceDisassociated{ServiceName: "ledger", PreserveData: true},
	tenant.EventServiceSuspended:     tenant.ServiceSuspended{ServiceName: "ledger", PreviousStatus: "active"},
	tenant.EventServicePurged:        tenant.ServicePurged{ServiceName: "ledger"},
	tenant.EventCredentialsRotated:   tenant.CredentialsRotated{ServiceName: "ledger", CredentialType: "postgresql", NewSecretPath: "tenants/6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012/ledger/postgresql/v4712"},
	tenant.EventConnectionsUpdated:   tenant.ConnectionsUpdated{ServiceName: "ledger", Module: "onboarding", MaxOpenConns: 50, MaxIdleConns: 10, StatementTimeout: json.RawMessage(`"30s"`)},
	tenant.EventCacheInvalidate:      tenant.CacheInvalidate{ServiceName: "ledger", Reason: "configuration imported"},
}

func TestEverySampleEventIsReadInFull(t *testing.T) {
	for eventType, want := range samplePayloads {
		t.Run(string(eventType), func(t *testing.T) {
			evt := readSample(t, string(eventType)+".json")
			if evt.EventType != eventType || evt.EventID == "" || evt.Timestamp.IsZero() ||
				evt.TenantID != hexUUID || evt.TenantSlug != "acme" || evt.Environment != "staging" {
				t.Errorf("a field is not as in the sample: %+v", evt)
			}
			if want == nil {
				if evt.Payload != nil {
					t.Errorf("payload %s, want none", evt.Payload)
				}
				return
			}
			if name, err := evt.ServiceName(); err != nil || name != "ledger" {
				t.Errorf("ServiceName() = %q, %v", name, err)
			}
			if got := decodeLike(t, evt, want); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestSampleEventsOfOtherShapes(t *testing.T) {
	minimal := readSample(t, "minimal.json")
	if want := (tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme-eu_1"}); !reflect.DeepEqual(minimal, want) {
		t.Errorf("got %+v, want %+v", minimal, want)
	}
	versioned := readSample(t, string(tenant.EventDeleted)+".json")
	if want := (tenant.Version{Epoch: "0197f3c0-11aa-7b02-8c4d-2e9f7a610c35", Revision: 4711}); versioned.Version() != want {
		t.Errorf("got version %+v, want %+v", versioned.Version(), want)
	}
}

func TestEverySampleEventIsOfAKnownType(t *testing.T) {
	paths, err := filepath.Glob("../docs/samples/events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		evt := readSample(t, filepath.Base(path))
		if _, known := samplePayloads[evt.EventType]; !known {
			t.Errorf("%s is of type %q, which no test reads", path, evt.EventType)
		}
	}
	if want := len(samplePayloads) + 1; len(paths) != want { // and minimal.json
		t.Errorf("%d samples, want %d", len(paths), want)
	}
}

func TestSampleHeartbeatHasAVersion(t *testing.T) {
	data, err := os.ReadFile("../docs/samples/redis/heartbeat.json")
	if err != nil {
		t.Fatal(err)
	}
	var version tenant.Version
	if err := json.Unmarshal(data, &version); err != nil {
		t.Fatal(err)
	}
	if want := (tenant.Version{Epoch: "0197f3c0-11aa-7b02-8c4d-2e9f7a610c35", Revision: 4711}); version != want {
		t.Errorf("got %+v, want %+v", version, want)
	}
}

func readSample(t *testing.T, name string) tenant.Event {
	t.Helper()
	data, err := os.ReadFile("../docs/samples/events/" + name)
	if err != nil {
		t.Fatal(err)
	}
	evt, err := tenant.ParseEvent(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	evt.Payload = compact(t, evt.Payload)
	return evt
}

// decodeLike decodes the payload as the type of want.
func decodeLike(t *testing.T, evt tenant.Event, want any) any {
	t.Helper()
	switch want.(type) {
	case tenant.ServiceAssociated:
		return decode[tenant.ServiceAssociated](t, evt)
	case tenant.ServiceReactivated:
		return decode[tenant.ServiceReactivated](t, evt)
	case tenant.ServiceDisassociated:
		return decode[tenant.ServiceDisassociated](t, evt)
	case tenant.ServiceSuspended:
		return decode[tenant.ServiceSuspended](t, evt)
	case tenant.ServicePurged:
		return decode[tenant.ServicePurged](t, evt)
	case tenant.CredentialsRotated:
		return decode[tenant.CredentialsRotated](t, evt)
	case tenant.ConnectionsUpdated:
		return decode[tenant.ConnectionsUpdated](t, evt)
	case tenant.CacheInvalidate:
		return decode[tenant.CacheInvalidate](t, evt)
	default:
		t.Fatalf("no payload type %T", want)
		return nil
	}
}

func decode[T any](t *testing.T, evt tenant.Event) T {
	t.Helper()
	payload, err := tenant.DecodePayload[T](evt)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}
