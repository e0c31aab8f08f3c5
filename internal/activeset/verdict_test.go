package activeset

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestEventTable holds the table of event types to what each does for the service that an event names, and for another.
func readEvent(evt tenant.Event, service, environment string) (v verdict) {
	v.read(&evt, service, environment)
	return v
}

func TestEventTable(t *testing.T) {
	for _, tc := range []struct {
		eventType  tenant.EventType
		want       effect
		wantOthers effect // for an event that names another service
	}{
		{"tenant.service.associated", effectAdd, effectNone},
		{"tenant.service.reactivated", effectAdd, effectNone},
		{"tenant.service.disassociated", effectRemove, effectNone},
		{"tenant.service.suspended", effectRemove, effectNone},
		{"tenant.service.purged", effectRemove, effectNone},
		{"tenant.suspended", effectRemove, effectRemove},
		{"tenant.deleted", effectRemove, effectRemove},
		{"tenant.created", effectNone, effectNone},
		{"tenant.updated", effectNone, effectNone},
		{"tenant.activated", effectRecheck, effectRecheck},
		{"tenant.credentials.rotated", effectReconfigure, effectNone},
		{"tenant.connections.updated", effectReconfigure, effectNone},
		{"tenant.cache.invalidate", effectReconfigure, effectNone},
		{"tenant.service.migrated", effectUnknown, effectUnknown},
		{"weather.changed", effectUnknown, effectUnknown},
	} {
		evt := tenant.Event{EventType: tc.eventType, TenantID: "acme", Payload: json.RawMessage(`{"service_name":"ledger"}`)}
		if v := readEvent(evt, "ledger", ""); v.effect != tc.want || v.err != nil {
			t.Errorf("%s: effect %d, error %v; want effect %d", tc.eventType, v.effect, v.err, tc.want)
		}
		if v := readEvent(evt, "other", ""); v.effect != tc.wantOthers || v.err != nil {
			t.Errorf("%s of another service: effect %d, error %v; want effect %d", tc.eventType, v.effect, v.err, tc.wantOthers)
		}
	}
	if len(effects) != 13 {
		t.Errorf("the table has %d rows, 13 of them are tested here", len(effects))
	}
}

// TestEventWithoutServiceIsAnError: it must never be taken for an event of another service.
func TestEventWithoutServiceIsAnError(t *testing.T) {
	for eventType := range effects {
		if !eventType.PerService() {
			continue
		}
		for _, payload := range []string{"", "null", "[]", `"ledger"`, "{}", `{"service_name":""}`, `{"service_name":" "}`, `{"service_name":7}`} {
			v := readEvent(tenant.Event{EventID: "e-1", EventType: eventType, TenantID: "acme", Payload: json.RawMessage(payload)}, "ledger", "")
			if v.outcome != outcomeBad || v.effect != effectNone || !errors.Is(v.err, tenant.ErrInvalidEvent) {
				t.Errorf("%s with payload %q: outcome %d, effect %d, error %v", eventType, payload, v.outcome, v.effect, v.err)
				continue
			}
			if text := v.err.Error(); !strings.Contains(text, "e-1") || !strings.Contains(text, string(eventType)) {
				t.Errorf("the error does not name the event: %v", v.err)
			}
		}
	}
}

func TestEventOfAnotherEnvironment(t *testing.T) {
	for _, tc := range []struct {
		configured, event string
		want              outcome
	}{
		{"", "", outcomeApplied},
		{"", "staging", outcomeApplied},
		{"production", "", outcomeApplied},
		{"production", "production", outcomeApplied},
		{"production", "staging", outcomeOtherEnvironment},
	} {
		evt := tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme", Environment: tc.event}
		if v := readEvent(evt, "ledger", tc.configured); v.outcome != tc.want {
			t.Errorf("event of %q, configured %q: outcome %d, want %d", tc.event, tc.configured, v.outcome, tc.want)
		}
	}
	bad := tenant.Event{EventType: tenant.EventServiceAssociated, TenantID: "acme", Environment: "staging"}
	if v := readEvent(bad, "ledger", "production"); v.outcome != outcomeOtherEnvironment {
		t.Errorf("a bad event of another environment: outcome %d", v.outcome)
	}
}

func TestX25WhatIsKeptOfAnEventIsBounded(t *testing.T) {
	long := strings.Repeat("a", tenant.MaxNameBytes+1)
	v := readEvent(tenant.Event{
		EventType: tenant.EventSuspended, TenantID: "acme", EventID: long, TenantSlug: long, Epoch: long, Revision: 7,
	}, "ledger", "")
	if v.outcome != outcomeApplied || v.eventID != "" || v.version != (tenant.Version{}) {
		t.Errorf("got %+v, want one that is applied without an id and without a version", v)
	}
	for name, evt := range map[string]tenant.Event{
		"event_type":  {EventType: tenant.EventType(long), TenantID: "acme"},
		"tenant_id":   {EventType: tenant.EventSuspended, TenantID: long},
		"environment": {EventType: tenant.EventSuspended, TenantID: "acme", Environment: long},
	} {
		if v := readEvent(evt, "ledger", ""); v.outcome != outcomeBad || v.env != "" || len(v.err.Error()) > 1000 {
			t.Errorf("%s: got the outcome %d, the environment %q and the error %v, want a bad event", name, v.outcome, v.env, v.err)
		}
	}
}
