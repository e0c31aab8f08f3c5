package tenant_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestEventErrorText(t *testing.T) {
	err := &tenant.EventError{EventID: "e\n1", EventType: tenant.EventDeleted, Reason: "too late"}
	const want = `invalid lifecycle event (event_id "e\n1", event_type "tenant.deleted"): too late`
	if err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
	if !errors.Is(fmt.Errorf("apply: %w", err), tenant.ErrInvalidEvent) || errors.Is(err, errors.ErrUnsupported) {
		t.Error("errors.Is does not tell it from others")
	}
}

func TestVersionString(t *testing.T) {
	tests := []struct {
		name    string
		version tenant.Version
		want    string
		zero    bool
	}{
		{"zero", tenant.Version{}, "", true},
		{"all", tenant.Version{Epoch: "one", Revision: 7}, "one:7", false},
		{"first of an epoch", tenant.Version{Epoch: "one"}, "one:0", false},
		{"no epoch", tenant.Version{Revision: 7}, "", false},
		{"largest", tenant.Version{Epoch: "one", Revision: 1<<64 - 1}, "one:18446744073709551615", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.version.String(); got != tt.want {
				t.Errorf("String() = %q, want %q", got, tt.want)
			}
			if got := tt.version.IsZero(); got != tt.zero {
				t.Errorf("IsZero() = %t, want %t", got, tt.zero)
			}
		})
	}
}

func TestSignalKindString(t *testing.T) {
	tests := map[tenant.SignalKind]string{
		0:                       "unknown",
		tenant.SignalSubscribed: "subscribed",
		tenant.SignalEvent:      "event",
		tenant.SignalBadEvent:   "bad event",
		tenant.SignalHeartbeat:  "heartbeat",
		tenant.SignalGap:        "gap",
		tenant.SignalLost:       "lost",
		tenant.SignalLost + 1:   "unknown",
	}
	for kind, want := range tests {
		if got := kind.String(); got != want {
			t.Errorf("SignalKind(%d) = %q, want %q", kind, got, want)
		}
	}
}

func TestChangeAsJSON(t *testing.T) {
	change := tenant.Change{
		Kind: tenant.Removed, TenantID: "acme", Cause: tenant.CauseEvent,
		EventType: tenant.EventSuspended, At: time.Date(2026, 3, 27, 14, 45, 0, 0, time.UTC),
	}
	data, err := json.Marshal(change)
	const want = `{"kind":"removed","tenant_id":"acme","cause":"event","event_type":"tenant.suspended","at":"2026-03-27T14:45:00Z"}`
	if err != nil || string(data) != want {
		t.Errorf("got %s, %v, want %s", data, err, want)
	}
	var back tenant.Change
	if err := json.Unmarshal(data, &back); err != nil || back != change {
		t.Errorf("got %+v, %v, want %+v", back, err, change)
	}
}

func TestSummaryAsJSON(t *testing.T) {
	var rows []*tenant.Summary
	err := json.Unmarshal([]byte(`[{"id":"acme","name":"Acme Inc.","status":"active","x":1},null,{"id":"b"}]`), &rows)
	if err != nil || len(rows) != 3 || rows[1] != nil {
		t.Fatalf("got %v, %v", rows, err)
	}
	if *rows[0] != (tenant.Summary{ID: "acme", Name: "Acme Inc.", Status: "active"}) || *rows[2] != (tenant.Summary{ID: "b"}) {
		t.Errorf("got %+v and %+v", *rows[0], *rows[2])
	}
}

// TestEachTypeSaysWhomItConcerns: thirteen are known, and those that begin with a part of a service concern one alone.
func TestEachTypeSaysWhomItConcerns(t *testing.T) {
	all := map[tenant.EventType]bool{
		tenant.EventCreated: false, tenant.EventUpdated: false, tenant.EventActivated: false, tenant.EventSuspended: false, tenant.EventDeleted: false,
		tenant.EventServiceAssociated: true, tenant.EventServiceReactivated: true, tenant.EventServiceDisassociated: true,
		tenant.EventServiceSuspended: true, tenant.EventServicePurged: true, tenant.EventCredentialsRotated: true,
		tenant.EventConnectionsUpdated: true, tenant.EventCacheInvalidate: true,
	}
	for of, perService := range all {
		if !of.Known() || of.PerService() != perService {
			t.Errorf("%s: known %v, per service %v; want %v", of, of.Known(), of.PerService(), perService)
		}
	}
	if other := tenant.EventType("tenant.archived"); other.Known() || other.PerService() {
		t.Errorf("%s is known", other)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"ledger": true, "": true, "Größe 7": true, strings.Repeat("x", 256): true, strings.Repeat("x", 257): false, "a\nb": false, "\xff": false,
	} {
		if tenant.ValidName(name) != want {
			t.Errorf("%.20q: want %v", name, want)
		}
	}
}
