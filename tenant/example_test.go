package tenant_test

import (
	"errors"
	"fmt"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func ExampleParseEvent() {
	evt, err := tenant.ParseEvent([]byte(`{
		"event_id": "0197f3c2-8a70-7c11-9d3e-5b1f0a6c2e44",
		"event_type": "tenant.service.associated",
		"timestamp": "2026-03-27T14:45:00.123456Z",
		"tenant_id": "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012",
		"payload": {"service_name": "ledger"}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	service, err := evt.ServiceName()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(evt.EventType, evt.TenantID, service)
	// Output: tenant.service.associated 6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012 ledger
}

func ExampleParseEvent_invalid() {
	_, err := tenant.ParseEvent([]byte(`{"event_id": "e-1", "event_type": "tenant.suspended"}`))
	fmt.Println(errors.Is(err, tenant.ErrInvalidEvent))
	fmt.Println(err)
	// Output:
	// true
	// invalid lifecycle event (event_id "e-1", event_type "tenant.suspended"): tenant_id is missing
}

func ExampleCanonicalID() {
	fmt.Println(tenant.CanonicalID("6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012"))
	fmt.Println(tenant.CanonicalID("6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012"))
	fmt.Println(tenant.CanonicalID("Acme-EU"))
	// Output:
	// 6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012
	// 6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012
	// Acme-EU
}

func ExampleDecodePayload() {
	evt := tenant.Event{
		EventType: tenant.EventConnectionsUpdated,
		TenantID:  "acme",
		Payload:   []byte(`{"service_name": "ledger", "module": "onboarding", "max_open_conns": 50, "max_idle_conns": 10}`),
	}
	update, err := tenant.DecodePayload[tenant.ConnectionsUpdated](evt)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(update.Module, update.MaxOpenConns, update.MaxIdleConns)
	// Output: onboarding 50 10
}
