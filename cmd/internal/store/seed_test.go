package store

import (
	"fmt"
	"testing"
)

func TestSeed(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		taken := create(t, s, acme())
		first := []NewTenant{{Name: "One", Isolation: "shared"}, {Name: "Two"}}
		do(t, s.Seed(t.Context(), "ledger", first))
		wantEvents(t, s, "1 tenant.created",
			"2 tenant.created", `3 tenant.service.associated {"service_name":"ledger","isolation_mode":"shared"}`,
			"4 tenant.created", `5 tenant.service.associated {"service_name":"ledger","isolation_mode":""}`)
		page, err := s.Tenants(t.Context(), TenantFilter{Service: "ledger"})
		if err != nil || len(page.Tenants) != 2 || page.Tenants[1].Slug != "two" {
			t.Errorf("there are %+v, %v", page, err)
		}
		wantAssociations(t, s, page.Tenants[0].ID, "ledger active")
		wantAssociations(t, s, taken.ID)

		before := version(t, s)
		wantConflict(t, s.Seed(t.Context(), "ledger", []NewTenant{{Name: "Three"}, {Name: "Four", Slug: taken.Slug}}), "SLUG_TAKEN")
		wantInvalid(t, s.Seed(t.Context(), "ledger", []NewTenant{{Name: "Three"}, {Name: " "}}), "INVALID_NAME")
		wantInvalid(t, s.Seed(t.Context(), "no service", first), "INVALID_SERVICE")
		if after := version(t, s); after != before {
			t.Errorf("what was refused has led from %v to %v", before, after)
		}
	})
}

// The number comes from the same transaction: one that is rolled back uses none.
func TestIDsOfTheCallersOwnMaking(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s, err := Open(t.Context(), db.dsn, Options{
			Environment: testEnvironment, Key: testKey, TenantID: func(n int64) string { return fmt.Sprintf("tenant-%d", n) },
		})
		do(t, err)
		defer func() { do(t, s.Close()) }()
		first := create(t, s, acme())
		wantConflict(t, s.Seed(t.Context(), "ledger", []NewTenant{{Name: "Other"}, {Name: "Taken", Slug: first.Slug}}), "SLUG_TAKEN")
		do(t, s.DeleteTenant(t.Context(), first.ID))
		if second := create(t, s, acme()); first.ID != "tenant-1" || second.ID != "tenant-2" {
			t.Errorf("the ids are %s and %s", first.ID, second.ID)
		}
	})
}
