package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func acme() NewTenant {
	return NewTenant{
		Name: "Acme & Söhne", Isolation: "isolated", Metadata: map[string]string{"plan": "gold"},
		Owner: Owner{Email: "owner@acme.test", PasswordHash: "canary-of-the-password", EmailVerified: true},
	}
}

func TestTenantsAreCreatedReadChangedAndDeleted(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		created := create(t, s, acme())
		if created.Slug != "acme-s-hne" || created.Status != "active" || created.Environment != testEnvironment {
			t.Errorf("created %+v", created)
		}
		for _, id := range []string{created.ID, strings.ToUpper(created.ID), strings.ReplaceAll(created.ID, "-", "")} {
			got, err := s.Tenant(t.Context(), id)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(created) {
				t.Errorf("read %s: %+v, %v, want %+v", id, got, err, created)
			}
		}
		name := "Acme"
		changed, err := s.UpdateTenant(t.Context(), created.ID, TenantPatch{Name: &name})
		if err != nil || changed.Name != name || changed.Metadata["plan"] != "gold" || changed.Slug != created.Slug {
			t.Errorf("renamed: %+v, %v", changed, err)
		}
		changed, err = s.UpdateTenant(t.Context(), created.ID, TenantPatch{Metadata: map[string]string{}})
		if err != nil || changed.Name != name || len(changed.Metadata) != 0 || !changed.UpdatedAt.After(changed.CreatedAt) {
			t.Errorf("without metadata: %+v, %v", changed, err)
		}
		do(t, s.DeleteTenant(t.Context(), created.ID))
		if _, err := s.Tenant(t.Context(), created.ID); !errors.Is(err, ErrNotFound) || !isMissing(err, lifecycle.OfTenant) {
			t.Errorf("read after the deletion: %v", err)
		}
		if again := create(t, s, acme()); again.Slug != created.Slug || again.ID == created.ID {
			t.Errorf("made again: %+v", again)
		}
		wantEvents(t, s, "1 tenant.created", "2 tenant.updated", "3 tenant.updated", "4 tenant.deleted", "5 tenant.created")
	})
}

func TestTheSameTenantAgainIsNoChange(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		first := create(t, s, acme())
		again, created, err := s.CreateTenant(t.Context(), acme())
		if err != nil || created || again.ID != first.ID {
			t.Errorf("again: %+v, %t, %v", again, created, err)
		}
		other := acme()
		other.Owner.Email = "somebody@else.test"
		_, _, err = s.CreateTenant(t.Context(), other)
		wantConflict(t, err, "SLUG_TAKEN")
		wantEvents(t, s, "1 tenant.created")
	})
}

func TestWhatCanBeNoTenantIsRefused(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		for code, spoil := range map[string]func(*NewTenant){
			"INVALID_NAME":      func(n *NewTenant) { n.Name = " \t" },
			"INVALID_NAME ":     func(n *NewTenant) { n.Name = "a\x00b" },
			"INVALID_NAME  ":    func(n *NewTenant) { n.Name = "a\xff" },
			"INVALID_NAME   ":   func(n *NewTenant) { n.Name = strings.Repeat("a", contract.MaxName+1) },
			"INVALID_SLUG":      func(n *NewTenant) { n.Slug = strings.Repeat("a", contract.MaxWord+1) },
			"INVALID_SLUG ":     func(n *NewTenant) { n.Slug = "a\nb" },
			"INVALID_ISOLATION": func(n *NewTenant) { n.Isolation = "\x00" },
			"WRONG_ENVIRONMENT": func(n *NewTenant) { n.Environment = "production" },
		} {
			n := acme()
			spoil(&n)
			_, _, err := s.CreateTenant(t.Context(), n)
			wantInvalid(t, err, strings.TrimSpace(code))
		}
		blank := " "
		_, err := s.UpdateTenant(t.Context(), create(t, s, acme()).ID, TenantPatch{Name: &blank})
		wantInvalid(t, err, "INVALID_NAME")
		for _, id := range []string{"", "nobody", "a\x00b", "\xff", strings.Repeat("x", 10_000)} {
			if _, err := s.Tenant(t.Context(), id); !errors.Is(err, ErrNotFound) {
				t.Errorf("tenant %.20q: %v", id, err)
			}
		}
		wantEvents(t, s, "1 tenant.created")
	})
}

func TestATenantsLifeIsAnnounced(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger", "billing", "search")
		do(t, s.SuspendAssociation(t.Context(), id, "search"))
		do(t, s.SuspendTenant(t.Context(), id))
		wantConflict(t, s.SuspendTenant(t.Context(), id), "ALREADY_SUSPENDED")
		wantInactive(t, s.ReactivateAssociation(t.Context(), id, "search"), "suspended")
		_, err := s.Associate(t.Context(), id, "mail", NewAssociation{})
		wantInactive(t, err, "suspended")
		do(t, s.ReactivateTenant(t.Context(), id))
		wantConflict(t, s.ReactivateTenant(t.Context(), id), "NOT_SUSPENDED")
		do(t, s.ReactivateAssociation(t.Context(), id, "search"))
		do(t, s.Disassociate(t.Context(), id, "billing", false))
		do(t, s.Disassociate(t.Context(), id, "ledger", true))
		do(t, s.DeleteTenant(t.Context(), id))
		wantEvents(t, s,
			"1 tenant.created",
			`2 tenant.service.associated {"service_name":"ledger","isolation_mode":"isolated","connection_settings":{"max_open_conns":7,"max_idle_conns":0}}`,
			`3 tenant.service.associated {"service_name":"billing","isolation_mode":"isolated","connection_settings":{"max_open_conns":7,"max_idle_conns":0}}`,
			`4 tenant.service.associated {"service_name":"search","isolation_mode":"isolated","connection_settings":{"max_open_conns":7,"max_idle_conns":0}}`,
			`5 tenant.service.suspended {"service_name":"search","previous_status":"active"}`,
			"6 tenant.suspended",
			"7 tenant.activated",
			`8 tenant.service.reactivated {"service_name":"ledger","previous_status":"suspended","re_provisioned":false,"connection_settings":{"max_open_conns":7,"max_idle_conns":0}}`,
			`9 tenant.service.reactivated {"service_name":"billing","previous_status":"suspended","re_provisioned":false,"connection_settings":{"max_open_conns":7,"max_idle_conns":0}}`,
			`10 tenant.service.reactivated {"service_name":"search","previous_status":"suspended","re_provisioned":false,"connection_settings":{"max_open_conns":7,"max_idle_conns":0}}`,
			`11 tenant.service.disassociated {"service_name":"billing","preserve_data":true}`,
			`12 tenant.service.purged {"service_name":"ledger"}`,
			"13 tenant.deleted",
		)
	})
}

func TestAnEventIsStoredAsItIsPublished(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		before := time.Now().Truncate(time.Microsecond)
		made := create(t, s, acme())
		v := version(t, s)
		evt := pending(t, s)[0]
		parsed, err := tenant.ParseEvent(evt.Data)
		if err != nil || fmt.Sprint(parsed) != fmt.Sprint(evt.Event) {
			t.Errorf("the bytes say %+v, %v; the event is %+v", parsed, err, evt.Event)
		}
		if evt.TenantID != made.ID || evt.TenantSlug != made.Slug || evt.Environment != testEnvironment ||
			evt.Version() != v || v.Revision != 1 || v.Epoch == "" || evt.Payload != nil || len(evt.EventID) != 36 || evt.EventID[14] != '7' {
			t.Errorf("the event is %+v at version %v", evt.Event, v)
		}
		if evt.Timestamp.Before(before) || evt.Timestamp.After(time.Now()) || !evt.At.Equal(evt.Timestamp) || !evt.At.Equal(made.CreatedAt) {
			t.Errorf("the event is of %s, committed %s, the tenant made %s", evt.Timestamp, evt.At, made.CreatedAt)
		}
		var fields map[string]any
		do(t, json.Unmarshal(evt.Data, &fields))
		if again := pending(t, s)[0]; !bytes.Equal(again.Data, evt.Data) {
			t.Errorf("read again: %s, before %s", again.Data, evt.Data)
		}
	})
}

func TestAssociationsChangeTheirStatus(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		_, err := s.Associate(t.Context(), id, "ledger", NewAssociation{})
		wantConflict(t, err, "ALREADY_ASSOCIATED")
		for _, service := range []string{"", " ", "led ger", "ledger\t", strings.Repeat("x", contract.MaxWord+1), "\xff"} {
			_, err = s.Associate(t.Context(), id, service, NewAssociation{})
			wantInvalid(t, err, "INVALID_SERVICE")
		}
		wantConflict(t, s.ReactivateAssociation(t.Context(), id, "ledger"), "NOT_SUSPENDED")
		do(t, s.SuspendAssociation(t.Context(), id, "ledger"))
		wantConflict(t, s.SuspendAssociation(t.Context(), id, "ledger"), "ALREADY_SUSPENDED")
		do(t, s.ReactivateAssociation(t.Context(), id, "ledger"))
		do(t, s.Disassociate(t.Context(), id, "ledger", true))
		wantAssociations(t, s, id, "ledger purged")
		for name, err := range map[string]error{
			"suspend": s.SuspendAssociation(t.Context(), id, "ledger"), "reactivate": s.ReactivateAssociation(t.Context(), id, "ledger"),
			"rotate": s.RotateCredentials(t.Context(), id, "ledger"), "disassociate": s.Disassociate(t.Context(), id, "ledger", false),
			"of nobody": s.Disassociate(t.Context(), id, "nobody", false),
		} {
			if !isMissing(err, lifecycle.OfAssociation) || !errors.Is(err, ErrNotFound) {
				t.Errorf("%s after the purge: %v", name, err)
			}
		}
		if err := s.SuspendAssociation(t.Context(), "nobody", "ledger"); !errors.Is(err, ErrNotFound) || !isMissing(err, lifecycle.OfTenant) {
			t.Errorf("of no tenant: %v", err)
		}
		associate(t, s, id, "billing", "ledger") // a purged one may come back, as the youngest
		wantAssociations(t, s, id, "billing active", "ledger active")
		do(t, s.Disassociate(t.Context(), id, "billing", false))
		wantAssociations(t, s, id, "ledger active")
		if _, err := s.Associations(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("associations of no tenant: %v", err)
		}
	})
}

func TestConnectionsOfWhatIsNotActiveAreNotShown(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		connections := func() error { _, _, err := s.Connections(t.Context(), id, "ledger"); return err }
		do(t, connections())
		do(t, s.SuspendTenant(t.Context(), id))
		wantInactive(t, connections(), "suspended")
		do(t, s.ReactivateTenant(t.Context(), id))
		do(t, s.SuspendAssociation(t.Context(), id, "ledger"))
		wantInactive(t, connections(), "suspended")
		do(t, s.Disassociate(t.Context(), id, "ledger", true))
		wantInactive(t, connections(), "purged")
		if _, _, err := s.UpdateConnections(t.Context(), id, "ledger", patch(t, `{"maxOpenConns":1}`)); !isMissing(err, lifecycle.OfAssociation) {
			t.Errorf("update of a purged one: %v", err)
		}
		if _, _, err := s.Connections(t.Context(), id, "nobody"); !isMissing(err, lifecycle.OfAssociation) {
			t.Errorf("of no association: %v", err)
		}
	})
}

func TestTenantsAreListedSearchedAndPaged(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		var ids []string
		for _, name := range []string{"Ängström", "by_d", "byad", "100%", "x!y"} {
			n := acme()
			n.Name = name
			ids = append(ids, create(t, s, n).ID)
		}
		associate(t, s, ids[1], "ledger")
		associate(t, s, ids[2], "ledger")
		do(t, s.Disassociate(t.Context(), ids[2], "ledger", true))
		do(t, s.SuspendTenant(t.Context(), ids[3]))
		for _, tt := range []struct {
			name   string
			filter TenantFilter
			want   []string
		}{
			{"all", TenantFilter{}, []string{"Ängström", "by_d", "byad", "100%", "x!y"}},
			{"part of a name in another case", TenantFilter{Search: "äNGST"}, []string{"Ängström"}},
			{"what means something to the database", TenantFilter{Search: "by_"}, []string{"by_d"}},
			{"the same", TenantFilter{Search: "0%"}, []string{"100%"}},
			{"the same again", TenantFilter{Search: "!"}, []string{"x!y"}},
			{"a slug", TenantFilter{Search: "by-d"}, []string{"by_d"}},
			{"an id without dashes", TenantFilter{Search: strings.ReplaceAll(ids[4], "-", "")}, []string{"x!y"}},
			{"a status", TenantFilter{Status: "suspended"}, []string{"100%"}},
			{"a service, not purged", TenantFilter{Service: "ledger"}, []string{"by_d"}},
			{"all at once", TenantFilter{Search: "b", Status: "active", Service: "ledger"}, []string{"by_d"}},
			{"nothing", TenantFilter{Search: "nothing"}, nil},
			{"no text", TenantFilter{Search: "\x00\xff", Status: "\x00", Service: "\xff"}, nil},
			{"very much", TenantFilter{Search: strings.Repeat("%", 100_000)}, nil},
		} {
			if got := allPages(t, s, tt.filter, 2); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		_, err := s.Tenants(t.Context(), TenantFilter{After: "x"})
		wantInvalid(t, err, "INVALID_PAGE")
	})
}

func allPages(t *testing.T, s *Store, f TenantFilter, limit int) []string {
	t.Helper()
	var names []string
	for f.Limit = limit; ; {
		page, err := s.Tenants(t.Context(), f)
		if err != nil || len(page.Tenants) > limit {
			t.Fatalf("page after %q: %d tenants, %v", f.After, len(page.Tenants), err)
		}
		for _, one := range page.Tenants {
			names = append(names, one.Name)
		}
		if f.After = page.Next; f.After == "" {
			return names
		}
	}
}
