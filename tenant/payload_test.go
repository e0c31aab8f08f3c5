package tenant_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestServiceName(t *testing.T) {
	tests := []struct {
		name, payload, want string
	}{
		{"plain", `{"service_name":"ledger"}`, "ledger"},
		{"blanks before the object", " \t\r\n{\"service_name\":\"ledger\"}", "ledger"},
		{"among other fields", `{"modules":[1],"service_name":"ledger","x":{"service_name":"other"}}`, "ledger"},
		{"blanks around the name stay", `{"service_name":" ledger "}`, " ledger "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tenant.Event{Payload: json.RawMessage(tt.payload)}.ServiceName()
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestD14ServiceNameRefusesPayloadsWithoutOne(t *testing.T) {
	tests := []struct {
		name, payload, reason string
	}{
		{"missing", ``, "payload is missing"},
		{"blanks only", `  `, "payload is missing"},
		{"null", `null`, "not a JSON object"},
		{"array", `[]`, "not a JSON object"},
		{"array of an object", `[{"service_name":"ledger"}]`, "not a JSON object"},
		{"string", `"{\"service_name\":\"ledger\"}"`, "not a JSON object"},
		{"number", `7`, "not a JSON object"},
		{"cut short", `{"service_name":"ledger"`, "payload: "},
		{"empty object", `{}`, "no service_name"},
		{"service name null", `{"service_name":null}`, "no service_name"},
		{"service name empty", `{"service_name":""}`, "no service_name"},
		{"service name blank", `{"service_name":" \t\u00a0"}`, "no service_name"},
		{"service name a number", `{"service_name":7}`, "payload: "},
		{"service name an array", `{"service_name":["ledger"]}`, "payload: "},
		{"camel case", `{"serviceName":"ledger"}`, "no service_name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			evt := tenant.Event{EventID: "e-1", EventType: tenant.EventServiceAssociated, TenantID: "acme", Payload: json.RawMessage(tt.payload)}
			name, err := evt.ServiceName()
			var bad *tenant.EventError
			if !errors.As(err, &bad) || !errors.Is(err, tenant.ErrInvalidEvent) {
				t.Fatalf("got %q, %v, want an EventError", name, err)
			}
			if bad.EventID != "e-1" || bad.EventType != tenant.EventServiceAssociated || name != "" {
				t.Errorf("got %q and %+v", name, bad)
			}
			if !strings.Contains(bad.Reason, tt.reason) {
				t.Errorf("reason %q, want one with %q", bad.Reason, tt.reason)
			}
		})
	}
}

func TestDecodePayloadReadsATypeOfTheCallersOwn(t *testing.T) {
	type own struct {
		ServiceName string `json:"service_name"`
		Shard       int    `json:"shard"`
	}
	evt := tenant.Event{Payload: json.RawMessage(`{"service_name":"ledger","shard":7,"else":true}`)}
	got, err := tenant.DecodePayload[own](evt)
	if want := (own{"ledger", 7}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	asMap, err := tenant.DecodePayload[map[string]any](evt)
	if err != nil || asMap["else"] != true {
		t.Errorf("got %v, %v", asMap, err)
	}
}

func TestDecodePayloadRefusesWhatDoesNotFit(t *testing.T) {
	evt := tenant.Event{EventID: "e-1", EventType: tenant.EventConnectionsUpdated, Payload: json.RawMessage(`{"max_open_conns":"many"}`)}
	_, err := tenant.DecodePayload[tenant.ConnectionsUpdated](evt)
	var bad *tenant.EventError
	if !errors.As(err, &bad) || bad.EventID != "e-1" || !strings.Contains(bad.Reason, "max_open_conns") {
		t.Errorf("got %v", err)
	}
}

// TestX13LimitsOfEventsCanBeRead: the sample of each event that has limits gives numbers, and not zeros.
func TestX13LimitsOfEventsCanBeRead(t *testing.T) {
	associated, err := tenant.DecodePayload[struct {
		Settings tenant.ConnectionSettings     `json:"connection_settings"`
		Secrets  map[string]tenant.SecretPaths `json:"secret_paths"`
		Queues   tenant.MessagingConfig        `json:"messaging_config"`
	}](readSample(t, "tenant.service.associated.json"))
	if want := (tenant.ConnectionSettings{MaxOpenConns: 25, MaxIdleConns: 5, StatementTimeout: "30s"}); err != nil || associated.Settings != want {
		t.Errorf("got %+v, %v, want %+v", associated.Settings, err, want)
	}
	paths := tenant.SecretPaths{PostgreSQLReadWrite: "secrets/acme/onboarding/rw", PostgreSQLReadOnly: "secrets/acme/onboarding/ro"}
	if associated.Secrets["onboarding"] != paths || associated.Queues.RabbitMQSecretPath != "secrets/acme/rabbitmq" {
		t.Errorf("got %+v", associated)
	}
	reactivated, err := tenant.DecodePayload[struct {
		Settings tenant.ConnectionSettings `json:"connection_settings"`
	}](readSample(t, "tenant.service.reactivated.json"))
	if want := (tenant.ConnectionSettings{MaxOpenConns: 25, MaxIdleConns: 5}); err != nil || reactivated.Settings != want {
		t.Errorf("got %+v, %v, want %+v", reactivated.Settings, err, want)
	}
}
