package store

import (
	"testing"
)

// TestS12WhatIsGivenIsNeverSQL stores and looks for what would be SQL, or a pattern, if it were put into a statement.
func TestS12WhatIsGivenIsNeverSQL(t *testing.T) {
	hostile := []string{
		`'; DELETE FROM tenants; --`, `" OR "1"="1`, `x') OR 1=1 --`, `100%`, `_cme`, `\`, `$1 ? ?1 :name`, `/* */`, `''`,
	}
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		bystander := create(t, s, named("Acme"))
		associate(t, s, bystander.ID, "ledger")
		for _, text := range hostile {
			n := named(text)
			n.Metadata = map[string]string{text: text}
			made := create(t, s, n)
			got, err := s.Tenant(ctx, made.ID)
			if err != nil || got.Name != text || got.Metadata[text] != text {
				t.Errorf("%q: read back as %q with %q, %v", text, got.Name, got.Metadata, err)
			}
			page, err := s.Tenants(ctx, TenantFilter{Search: text})
			if err != nil || len(page.Tenants) != 1 || page.Tenants[0].ID != made.ID {
				t.Errorf("the search for %q finds %d tenants, %v", text, len(page.Tenants), err)
			}
			if _, _, err := s.CreateKey(ctx, "service-of-"+made.Slug, text); err != nil {
				t.Errorf("a key that is called %q: %v", text, err)
			}
			for what, filter := range map[string]TenantFilter{"status": {Status: text}, "service": {Service: text}, "after": {After: text}} {
				if page, err := s.Tenants(ctx, filter); err == nil && len(page.Tenants) > 0 {
					t.Errorf("the %s %q finds %d tenants", what, text, len(page.Tenants))
				}
			}
			for what, ask := range map[string]func() error{
				"tenant":     func() error { _, err := s.Tenant(ctx, text); return err },
				"delete":     func() error { return s.DeleteTenant(ctx, text) },
				"of service": func() error { _, _, err := s.Connections(ctx, bystander.ID, text); return err },
				"key":        func() error { _, err := s.CheckKey(ctx, text); return err },
				"revoke":     func() error { return s.RevokeKey(ctx, text) },
			} {
				if ask() == nil {
					t.Errorf("%s %q finds something", what, text)
				}
			}
		}
		page, err := s.Tenants(ctx, TenantFilter{})
		if err != nil || len(page.Tenants) != len(hostile)+1 {
			t.Errorf("in the end there are %d tenants, %v", len(page.Tenants), err)
		}
		wantAssociations(t, s, bystander.ID, "ledger active")
	})
}
