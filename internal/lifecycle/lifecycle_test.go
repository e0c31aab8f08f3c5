package lifecycle

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

var now = time.Date(2026, 3, 27, 15, 45, 2, 0, time.UTC)

// with is a tenant of a status, with one association of another and one that is active.
func with(of, association string) *Record {
	r, _ := New("t", NewTenant{Name: "Acme", Slug: "acme", Environment: "staging"}, now)
	r.Status = of
	r.Associations = []*Association{{Service: "ledger", Status: association}, {Service: "billing", Status: tenant.StatusActive}}
	return &r
}

func onLedger(fn func(*Record, *Association) ([]Happening, error)) func(*Record) ([]Happening, error) {
	return func(r *Record) ([]Happening, error) {
		a, err := r.Association("ledger")
		if err != nil {
			return nil, err
		}
		return fn(r, a)
	}
}

func disassociate(purge bool) func(*Record) ([]Happening, error) {
	return onLedger(func(r *Record, a *Association) ([]Happening, error) { return r.Disassociate(a, purge), nil })
}

func associate(r *Record) ([]Happening, error) {
	a, err := NewAssociation{}.Association("ledger")
	if err != nil {
		return nil, err
	}
	return r.Associate(a, now)
}

// TestWhatAChangeDoes is the state machine: for each change what comes of it where the tenant and its association with ledger
// are active, where the association is suspended, where it is purged, and where the tenant is suspended. An event has the
// services behind it whose lists it changes, and before them what that does to each list.
func TestWhatAChangeDoes(t *testing.T) {
	const none, inactive = "no association", "the tenant is suspended"
	for name, tt := range map[string]struct {
		change func(*Record) ([]Happening, error)
		want   [4]string
	}{
		"suspend": {(*Record).Suspend, [4]string{
			"tenant.suspended-1[ledger billing]", "tenant.suspended-1[billing]", "tenant.suspended-1[billing]", "ALREADY_SUSPENDED",
		}},
		"reactivate": {(*Record).Reactivate, [4]string{
			"NOT_SUSPENDED", "NOT_SUSPENDED", "NOT_SUSPENDED",
			"tenant.activated[] tenant.service.reactivated+1[ledger] tenant.service.reactivated+1[billing]",
		}},
		"remove": {func(r *Record) ([]Happening, error) { return r.Remove(), nil }, [4]string{
			"tenant.deleted-1[ledger billing]", "tenant.deleted-1[billing]", "tenant.deleted-1[billing]", "tenant.deleted[]",
		}},
		"rename": {func(r *Record) ([]Happening, error) { name := "New"; return r.Update(TenantPatch{Name: &name}), nil }, [4]string{
			"tenant.updated+0[ledger billing]", "tenant.updated+0[billing]", "tenant.updated+0[billing]", "tenant.updated[]",
		}},
		"associate": {associate, [4]string{
			"ALREADY_ASSOCIATED", "ALREADY_ASSOCIATED", "tenant.service.associated+1[ledger]", "ALREADY_ASSOCIATED",
		}},
		"suspend association": {onLedger((*Record).SuspendService), [4]string{
			"tenant.service.suspended-1[ledger]", "ALREADY_SUSPENDED", none, "tenant.service.suspended[]",
		}},
		"reactivate association": {onLedger((*Record).ReactivateService), [4]string{
			"NOT_SUSPENDED", "tenant.service.reactivated+1[ledger]", none, "NOT_SUSPENDED",
		}},
		"disassociate": {disassociate(false), [4]string{
			"tenant.service.disassociated-1[ledger]", "tenant.service.disassociated[]", none, "tenant.service.disassociated[]",
		}},
		"purge": {disassociate(true), [4]string{
			"tenant.service.purged-1[ledger]", "tenant.service.purged[]", none, "tenant.service.purged[]",
		}},
		"rotate": {onLedger((*Record).Rotate), [4]string{
			"tenant.credentials.rotated[]", "tenant.credentials.rotated[]", none, "tenant.credentials.rotated[]",
		}},
		"show": {func(r *Record) ([]Happening, error) { return nil, r.Usable(r.Find("ledger")) }, [4]string{
			"", "the association is suspended", "the association is purged", inactive,
		}},
	} {
		for i, states := range [][2]string{{tenant.StatusActive, tenant.StatusActive}, {tenant.StatusActive, tenant.StatusSuspended}, {tenant.StatusActive, tenant.StatusPurged}, {tenant.StatusSuspended, tenant.StatusActive}} {
			r, untouched := with(states[0], states[1]), with(states[0], states[1])
			happened, err := tt.change(r)
			if got := outcome(happened, err); got != tt.want[i] {
				t.Errorf("%s, tenant %s, association %s: got %q, want %q", name, states[0], states[1], got, tt.want[i])
			}
			if err != nil && !reflect.DeepEqual(r, untouched) {
				t.Errorf("%s, tenant %s, association %s: refused, and changed", name, states[0], states[1])
			}
		}
	}
}

func outcome(happened []Happening, err error) string {
	conflict, isConflict := errors.AsType[*Conflict](err)
	missing, isMissing := errors.AsType[*NotFound](err)
	switch {
	case isMissing:
		return "no " + missing.Of
	case isConflict:
		return conflict.Code
	case err != nil:
		return err.Error()
	}
	var out []string
	for _, h := range happened {
		lists := fmt.Sprint(h.Lists)
		if len(h.Lists) > 0 {
			lists = fmt.Sprintf("%+d%s", h.Joins, lists)
		}
		out = append(out, string(h.event.EventType)+lists)
	}
	return strings.Join(out, " ")
}

func TestNothingIsAnnouncedAsActiveOfASuspendedTenant(t *testing.T) {
	r := with(tenant.StatusSuspended, tenant.StatusSuspended)
	_, err := onLedger((*Record).ReactivateService)(r)
	if inactive, ok := errors.AsType[*Inactive](err); !ok || inactive.Of != "tenant" {
		t.Errorf("reactivated: %v", err)
	}
	r = with(tenant.StatusSuspended, tenant.StatusPurged)
	if _, err := associate(r); err == nil || r.Find("ledger").Status != tenant.StatusPurged {
		t.Errorf("associated: %v", err)
	}
}

func TestAnEventHasWhatItIsGiven(t *testing.T) {
	r := with(tenant.StatusActive, tenant.StatusActive)
	happened, err := onLedger((*Record).Rotate)(r)
	if err != nil {
		t.Fatal(err)
	}
	evt, err := happened[0].Event("id", now, tenant.Version{Epoch: "one", Revision: 7})
	const payload = `{"service_name":"ledger","credential_type":"postgresql","new_secret_path":"tenants/t/ledger/postgresql/v7"}`
	if err != nil || evt.EventID != "id" || !evt.Timestamp.Equal(now) || evt.Revision != 7 || evt.Epoch != "one" || string(evt.Payload) != payload {
		t.Errorf("%+v, %s, %v", evt, evt.Payload, err)
	}
	if got := fmt.Sprint(happened[0].Services); got != "[ledger billing]" {
		t.Errorf("it is for %s", got)
	}
}

// TestAnEnvironmentIsTheManagersOrAny where the manager has none.
func TestAnEnvironmentIsTheManagersOrAny(t *testing.T) {
	for _, tt := range []struct{ asked, of, want string }{
		{"", "staging", "staging"},
		{" Staging", "staging", "staging"},
		{"production", "staging", ""},
		{"de fault", "staging", ""},
		{"", "", ""},
		{"Production", "", "production"},
		{"default", "", ""},
	} {
		n, err := NewTenant{Name: "a", Environment: tt.asked}.Check(tt.of)
		if refused := tt.want == "" && tt.asked != ""; refused != (err != nil) || err == nil && n.Environment != tt.want {
			t.Errorf("%q of a manager of %q: %q, %v", tt.asked, tt.of, n.Environment, err)
		}
	}
}

// TestATenantFromBeforeTheRulesIsFound under the slug that it got then, and its slug is nobody else's.
func TestATenantFromBeforeTheRulesIsFound(t *testing.T) {
	old := with(tenant.StatusActive, tenant.StatusActive)
	old.Slug = "Old Slug"
	find := func(slug string) (*Record, error) {
		if slug != old.Slug {
			return nil, &NotFound{Of: OfTenant}
		}
		return old, nil
	}
	n := NewTenant{Name: "Acme", Slug: "Old Slug", Environment: "staging"}
	if same, _, err := n.Place(find); same != old || err != nil {
		t.Errorf("the same: %v, %v", same, err)
	}
	n.Name = "Other"
	if _, _, err := n.Place(find); outcome(nil, err) == "" {
		t.Error("another of that slug is not refused")
	}
	n.Slug = "OTHER"
	if same, slug, err := n.Place(find); same != nil || slug != "other" || err != nil {
		t.Errorf("a new one: %v, %q, %v", same, slug, err)
	}
	old.Slug = "other"
	if _, _, err := n.Place(find); outcome(nil, err) != "SLUG_TAKEN" {
		t.Errorf("a slug that is taken: %v", err)
	}
	broken := errors.New("the database is gone")
	if _, _, err := n.Place(func(string) (*Record, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a look that failed: %v", err)
	}
}
