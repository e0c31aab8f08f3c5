package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestOurClientUnderstandsIt: what the protocol's client makes of the answers.
func TestOurClientUnderstandsIt(t *testing.T) {
	h := start(t)
	ctx := t.Context()
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: h.url, APIKey: func(context.Context) (string, error) { return h.key, nil }, BearerToken: func(context.Context) (string, error) { return h.token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	wanted := managerapi.CreateTenantRequest{Name: "Acme", Environment: "staging", Owner: managerapi.Owner{Email: "a@b.example"}}
	created, err := client.CreateTenant(ctx, wanted)
	if err != nil || !created.Created {
		t.Fatalf("%+v, %v", created, err)
	}
	if again, err := client.CreateTenant(ctx, wanted); err != nil || again.Created || again.ID != created.ID {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if _, err := client.CreateAssociation(ctx, created.ID, "ledger", managerapi.CreateAssociationRequest{}); err != nil {
		t.Fatal(err)
	}
	rows := 0
	request := tenant.SnapshotRequest{Service: "ledger", Each: func(tenant.Row) { rows++ }}
	v, err := client.FetchSnapshot(ctx, request)
	if err != nil || v.NotModified || rows != 1 || v.Version.Revision != 2 || v.ETag == "" {
		t.Fatalf("%d rows, %+v, %v", rows, v, err)
	}
	request.Have = v
	if again, err := client.FetchSnapshot(ctx, request); err != nil || !again.NotModified {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if err := client.SuspendAssociation(ctx, created.ID, "ledger"); err != nil {
		t.Error(err)
	}
	if err := client.SuspendAssociation(ctx, created.ID, "ledger"); !errors.Is(err, managerapi.ErrConflict) {
		t.Errorf("suspended twice: %v", err)
	}
	var refused *managerapi.Error
	if _, err := client.Connections(ctx, created.ID, "ledger"); !errors.As(err, &refused) || refused.TenantStatus != "suspended" {
		t.Errorf("connections of what is suspended: %v", err)
	}
	if _, err := client.GetActiveTenantsByService(ctx, "other"); !errors.Is(err, managerapi.ErrNotFound) {
		t.Errorf("the list of another service: %v", err)
	}
}

// TestAClientThatHangsUpIsNoFailure: nobody is to be woken for it.
func TestAClientThatHangsUpIsNoFailure(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request := h.request(t, http.MethodGet, h.url+ledgerList, "").WithContext(ctx)
	request.RequestURI = ""
	h.public.ServeHTTP(&discard{header: http.Header{}}, request)
	if log := h.log.String(); !strings.Contains(log, "level=INFO") || !strings.Contains(log, "status=499") || strings.Contains(log, "ERROR") {
		t.Errorf("the log:\n%s", log)
	}
}

// TestAChangeGoesOnWhenTheClientHangsUp, because nobody could tell how far it came.
func TestAChangeGoesOnWhenTheClientHangsUp(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	mux := http.NewServeMux()
	a := &api{humago.New(mux, humaConfig("test")), mux, h.Server}
	change := func(_ *Server, ctx context.Context, _ *nothing) (*nothing, error) {
		cancel()
		return nil, ctx.Err()
	}
	body := func(s *Server, ctx context.Context, in *nothing, _ managerapi.CreateTokenRequest) (*nothing, error) {
		return change(s, ctx, in)
	}
	for path, c := range map[string]call{
		"/plain": {method: "PUT", serve: write(change)}, "/body": {method: "PUT", serve: writeBody(body)}, "/read": {method: "GET", serve: read(change)},
	} {
		c.path, c.id, c.status = path, path, http.StatusNoContent
		c.serve(a, c)
	}
	for path, want := range map[string]int{"/plain": 204, "/body": 204, "/read": statusClientGone} {
		method := "PUT"
		if path == "/read" {
			method = "GET"
		}
		answer := &recorder{ResponseWriter: &discard{header: http.Header{}}}
		mux.ServeHTTP(answer, h.request(t, method, path, "{}").WithContext(ctx))
		if answer.status != want {
			t.Errorf("%s: %d, want %d", path, answer.status, want)
		}
	}
}

func fixed(secret string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return secret, nil }
}

func clientOf(t *testing.T, h *served) *managerapi.Client {
	t.Helper()
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: h.url, APIKey: fixed(h.key), BearerToken: fixed(h.token)})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
