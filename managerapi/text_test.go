package managerapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestX21WhatIsNotUTF8IsNotSent: encoding/json makes another text of it, which the manager would keep.
func TestX21WhatIsNotUTF8IsNotSent(t *testing.T) {
	m := startManager(t, always(http.StatusOK, "{}"))
	c := newClient(t, Config{BaseURL: m.URL, BearerToken: StaticKey("t")})
	const bad = "a\xffb"
	secret := SecretJSON(`{"host":"` + bad + `"}`)
	ignore := func(_ any, err error) error { return err }
	name := bad
	ctx := t.Context()
	for call, err := range map[string]error{
		"name":         ignore(c.CreateTenant(ctx, CreateTenantRequest{Name: bad})),
		"metadata":     ignore(c.CreateTenant(ctx, CreateTenantRequest{Metadata: map[string]string{"k": bad}})),
		"a key":        ignore(c.CreateTenant(ctx, CreateTenantRequest{Metadata: map[string]string{bad: "v"}})),
		"owner":        ignore(c.CreateTenant(ctx, CreateTenantRequest{Owner: Owner{PasswordHash: bad}})),
		"new name":     c.UpdateTenant(ctx, "acme", UpdateTenantRequest{Name: &name}),
		"connections":  c.UpdateConnections(ctx, "acme", "ledger", UpdateConnectionsRequest{RabbitMQ: secret}),
		"other":        c.UpdateConnections(ctx, "acme", "ledger", UpdateConnectionsRequest{Other: map[string]SecretJSON{"x": secret}}),
		"a module":     c.UpdateConnections(ctx, "acme", "ledger", UpdateConnectionsRequest{Databases: map[string]DatabaseConnections{bad: {}}}),
		"patch":        c.PatchConnections(ctx, "acme", "ledger", secret),
		"reason":       c.InvalidateCache(ctx, "acme", "ledger", bad),
		"service":      c.SuspendAssociation(ctx, "acme", bad),
		"list":         ignore(c.GetActiveTenantsByService(ctx, bad)),
		"key":          ignore(c.Admin().CreateKey(ctx, CreateKeyRequest{Service: "ledger", Name: bad})),
		"service of a": ignore(c.Admin().Keys(ctx, bad)),
		"search":       ignore(c.Admin().Tenants(ctx, TenantQuery{Search: bad})),
		"id of a key":  c.Admin().RevokeKey(ctx, bad),
	} {
		if !errors.Is(err, ErrInvalidArgument) || strings.Contains(err.Error(), "\xff") {
			t.Errorf("%s: %v", call, err)
		}
	}
	if n := len(m.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if _, err := c.CreateTenant(ctx, CreateTenantRequest{Name: "\u65e5\u672c"}); err != nil {
		t.Error(err)
	}
}
