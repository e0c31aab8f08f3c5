package tenanttest_test

import (
	"errors"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestClientAndManagerUnderstandEachOther makes each kind of answer go through the real client.
func TestClientAndManagerUnderstandEachOther(t *testing.T) {
	s, ctx := serve(t), t.Context()
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: s.url, APIKey: managerapi.StaticKey(s.APIKey()), BearerToken: managerapi.StaticKey(s.Token())})
	must(t, err)
	defer client.Close()

	created, err := client.CreateTenant(ctx, managerapi.CreateTenantRequest{Name: "Acme", Metadata: map[string]string{"plan": "gold"}})
	must(t, err)
	again, err := client.CreateTenant(ctx, managerapi.CreateTenantRequest{Name: "Acme"})
	must(t, err)
	if !created.Created || again.Created || again.ID != created.ID {
		t.Errorf("created %+v, then %+v", created, again)
	}
	association, err := client.CreateAssociation(ctx, created.ID, service, managerapi.CreateAssociationRequest{MaxOpenConns: 7})
	must(t, err)
	got, err := client.Tenant(ctx, created.ID)
	must(t, err)
	connections, err := client.Connections(ctx, created.ID, service)
	must(t, err)
	if association.ServiceName != service || got.Metadata["plan"] != "gold" || got.CreatedAt.IsZero() ||
		string(connections.ConnectionSettings) != `{"maxOpenConns":7}` {
		t.Errorf("%+v, %+v, %s", association, got, []byte(connections.ConnectionSettings))
	}
	var ids []string
	request := tenant.SnapshotRequest{Service: service, Each: func(row tenant.Row) { ids = append(ids, string(row.ID)) }}
	request.Have, err = client.FetchSnapshot(ctx, request)
	must(t, err)
	want := request.Have
	want.NotModified = true
	if same, err := client.FetchSnapshot(ctx, request); err != nil || same != want || len(ids) != 1 {
		t.Errorf("second snapshot: %+v, %v, rows %q; want %+v", same, err, ids, want)
	}
	must(t, s.SuspendService(ctx, created.ID, service))
	_, err = client.Connections(ctx, created.ID, service)
	if refusal, ok := errors.AsType[*managerapi.Error](err); !ok || refusal.TenantStatus != "suspended" {
		t.Errorf("connections of a suspended association: %v", err)
	}
	if _, err := client.Tenant(ctx, "nobody"); !errors.Is(err, managerapi.ErrNotFound) {
		t.Errorf("unknown tenant: %v", err)
	}
}
