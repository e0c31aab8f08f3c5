package managerapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestAdminCalls has one row for each call below /v1/admin: what goes over the wire, and what comes out.
func TestAdminCalls(t *testing.T) {
	at := Timestamp{time.Date(2026, 3, 27, 14, 45, 0, 0, time.UTC)}
	const when = `"2026-03-27T14:45:00Z"`
	tests := []struct {
		name   string
		call   func(ctx context.Context, c *Client) (any, error)
		wire   string
		body   string
		status int
		answer string
		want   any
	}{
		{
			name: "all tenants", wire: "GET /v1/admin/tenants", status: 200,
			call:   func(ctx context.Context, c *Client) (any, error) { return c.Admin().Tenants(ctx, TenantQuery{}) },
			answer: `{"tenants":[{"id":"acme","name":"Acme","slug":"acme","status":"active"}]}`,
			want:   &TenantPage{Tenants: []Tenant{{ID: "acme", Name: "Acme", Slug: "acme", Status: tenant.StatusActive}}},
		},
		{
			name: "some tenants", wire: "GET /v1/admin/tenants?after=n%2B1&limit=7&search=a%26b&service=ledger&status=active", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Admin().Tenants(ctx, TenantQuery{Search: "a&b", Status: "active", Service: "ledger", After: "n+1", Limit: 7})
			},
			answer: `{"tenants":[],"next":"n2"}`, want: &TenantPage{Tenants: []Tenant{}, Next: "n2"},
		},
		{
			name: "associations", wire: "GET /v1/admin/tenants/acme/associations", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) { return c.Admin().Associations(ctx, "acme") },
			answer: `{"associations":[{"serviceName":"ledger","status":"active","isolationMode":"shared",` +
				`"createdAt":` + when + `,"updatedAt":` + when + `}]}`,
			want: []AssociationInfo{{ServiceName: "ledger", Status: "active", IsolationMode: "shared", CreatedAt: at, UpdatedAt: at}},
		},
		{
			name: "keys of a service", wire: "GET /v1/admin/keys?service=ledger", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) { return c.Admin().Keys(ctx, "ledger") },
			answer: `{"keys":[{"id":"k1","name":"n","service":"ledger","createdAt":` + when + `,"revokedAt":` + when +
				`,"lastUsedAt":` + when + `}]}`,
			want: []KeyInfo{{ID: "k1", Name: "n", Service: "ledger", CreatedAt: at, RevokedAt: at, LastUsedAt: at}},
		},
		{
			name: "all keys", wire: "GET /v1/admin/keys", status: 200,
			call:   func(ctx context.Context, c *Client) (any, error) { return c.Admin().Keys(ctx, "") },
			answer: `{"keys":[]}`, want: []KeyInfo{},
		},
		{
			name: "create key", wire: "POST /v1/admin/keys", body: `{"service":"ledger","name":"n"}`, status: 201,
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Admin().CreateKey(ctx, CreateKeyRequest{Service: "ledger", Name: "n"})
			},
			answer: `{"id":"k1","service":"ledger","name":"n","key":"twk_x"}`,
			want:   &CreatedKey{ID: "k1", Service: "ledger", Name: "n", Key: "twk_x"},
		},
		{
			name: "revoke key", wire: "DELETE /v1/admin/keys/k%2F1", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.Admin().RevokeKey(ctx, "k/1") },
		},
		{
			name: "quarantined events", wire: "GET /v1/admin/outbox/quarantined?after=3&limit=2", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) { return c.Admin().Quarantined(ctx, 3, 2) },
			answer: `{"events":[{"revision":4,"event":{"a":1},"failure":"f","attempts":5,"quarantinedAt":` + when + `},` +
				`{"revision":5,"raw":"AP8=","failure":"","attempts":0,"quarantinedAt":` + when + `}],"next":5}`,
			want: &QuarantinePage{Next: 5, Events: []QuarantinedEvent{
				{Revision: 4, Event: []byte(`{"a":1}`), Failure: "f", Attempts: 5, QuarantinedAt: at}, {Revision: 5, Raw: []byte{0, 255}, QuarantinedAt: at},
			}},
		},
		{
			name: "retry", wire: "POST /v1/admin/outbox/quarantined/4/retry", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.Admin().RetryEvent(ctx, 4, false) },
		},
		{
			name: "retry by force", wire: "POST /v1/admin/outbox/quarantined/4/retry?force=true", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.Admin().RetryEvent(ctx, 4, true) },
		},
		{
			name: "tokens", wire: "GET /v1/admin/tokens", status: 200,
			call:   func(ctx context.Context, c *Client) (any, error) { return c.Admin().Tokens(ctx) },
			answer: `{"tokens":[{"id":"t1","name":"n","createdAt":` + when + `}]}`,
			want:   []TokenInfo{{ID: "t1", Name: "n", CreatedAt: at}},
		},
		{
			name: "create token", wire: "POST /v1/admin/tokens", body: `{"name":"n"}`, status: 201,
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Admin().CreateToken(ctx, CreateTokenRequest{Name: "n"})
			},
			answer: `{"id":"t1","name":"n","token":"twt_x"}`, want: &CreatedToken{ID: "t1", Name: "n", Token: "twt_x"},
		},
		{
			name: "revoke token", wire: "DELETE /v1/admin/tokens/t1", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.Admin().RevokeToken(ctx, "t1", false) },
		},
		{
			name: "revoke the last token", wire: "DELETE /v1/admin/tokens/t1?force=true", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.Admin().RevokeToken(ctx, "t1", true) },
		},
		{
			name: "outbox", wire: "GET /v1/admin/outbox", status: 200,
			call:   func(ctx context.Context, c *Client) (any, error) { return c.Admin().Outbox(ctx) },
			answer: `{"epoch":"e","newest":9,"sent":7,"pending":2,"quarantined":1,"oldest":` + when + `}`,
			want:   &OutboxStatus{Epoch: "e", Newest: 9, Sent: 7, Pending: 2, Quarantined: 1, Oldest: at},
		},
		{
			name: "events", wire: "GET /v1/admin/events?after=7&limit=2", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) { return c.Admin().Events(ctx, 7, 2) },
			answer: `{"epoch":"e","events":[{"event_type":"tenant.created","tenant_id":"acme","revision":8,` +
				`"payload":{"a": 1}}],"next":8}`,
			want: &EventPage{Epoch: "e", Next: 8, Events: []tenant.Event{
				{EventType: tenant.EventCreated, TenantID: "acme", Revision: 8, Payload: []byte(`{"a": 1}`)},
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(tt.status, tt.answer))
			c := newClient(t, Config{BaseURL: m.URL, APIKey: StaticKey("the-key"), BearerToken: StaticKey("the-token")})
			got, err := tt.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := asJSON(t, got), asJSON(t, tt.want); g != w {
				t.Errorf("got %s, want %s", g, w)
			}
			seen := m.requests()
			if len(seen) != 1 || seen[0].method+" "+seen[0].uri != tt.wire || seen[0].body != tt.body {
				t.Fatalf("sent %+v, want %s with %s", seen, tt.wire, tt.body)
			}
			if token := seen[0].header.Get("Authorization"); token != "Bearer the-token" {
				t.Errorf("authorized by %q", token)
			}
		})
	}
}

func TestAFailedAdminCallReturnsNothing(t *testing.T) {
	m := startManager(t, always(http.StatusGone, `{"code":"EVENTS_GONE","error":"pruned"}`))
	c := newClient(t, Config{BaseURL: m.URL})
	calls := map[string]func() (any, error){
		"tenants": func() (any, error) {
			page, err := c.Admin().Tenants(t.Context(), TenantQuery{})
			return page == nil, err
		},
		"associations": func() (any, error) { list, err := c.Admin().Associations(t.Context(), "acme"); return list == nil, err },
		"keys":         func() (any, error) { list, err := c.Admin().Keys(t.Context(), ""); return list == nil, err },
		"tokens":       func() (any, error) { list, err := c.Admin().Tokens(t.Context()); return list == nil, err },
		"quarantined":  func() (any, error) { page, err := c.Admin().Quarantined(t.Context(), 0, 0); return page == nil, err },
		"events":       func() (any, error) { page, err := c.Admin().Events(t.Context(), 0, 0); return page == nil, err },
	}
	for name, call := range calls {
		if nothing, err := call(); nothing != true || !errors.Is(err, ErrGone) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: nothing is %v, %v", name, nothing, err)
		}
	}
}

func TestATokenAloneIsSentWithEveryRequest(t *testing.T) {
	m := startManager(t, always(http.StatusOK, `{}`))
	c := newClient(t, Config{BaseURL: m.URL, BearerToken: StaticKey("the-token")})
	if _, err := c.Tenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if header := m.requests()[0].header; header.Get("Authorization") != "Bearer the-token" || header.Get(HeaderAPIKey) != "" {
		t.Errorf("sent %v", header)
	}
}

func TestInvalidAdminArgumentsSendNothing(t *testing.T) {
	m := startManager(t, always(http.StatusOK, "{}"))
	c := newClient(t, Config{BaseURL: m.URL})
	for _, arg := range []string{"", " ", ".", ".."} {
		_, keyErr := c.Admin().CreateKey(t.Context(), CreateKeyRequest{Service: arg})
		_, listErr := c.Admin().Associations(t.Context(), arg)
		for name, err := range map[string]error{
			"create key": keyErr, "associations": listErr,
			"revoke key": c.Admin().RevokeKey(t.Context(), arg), "revoke token": c.Admin().RevokeToken(t.Context(), arg, false),
		} {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Errorf("%s of %q: %v", name, arg, err)
			}
		}
	}
	if n := len(m.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A page may be as large as a list of active tenants.
func TestAPageIsBoundedLikeAList(t *testing.T) {
	m := startManager(t, always(http.StatusOK, `{"tenants":[{"id":"`+strings.Repeat("a", 200)+`"}]}`))
	if _, err := newClient(t, Config{BaseURL: m.URL, ListLimit: 1000, BodyLimit: 100}).Admin().Tenants(t.Context(), TenantQuery{}); err != nil {
		t.Error(err)
	}
	_, err := newClient(t, Config{BaseURL: m.URL, ListLimit: 100, BodyLimit: 1000}).Admin().Tenants(t.Context(), TenantQuery{})
	if _, ok := errors.AsType[*BodyTooLargeError](err); !ok {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestS08NewKeysAndTokensRedactThemselves(t *testing.T) {
	var out bytes.Buffer
	for _, v := range []any{CreatedKey{ID: "k1", Key: "canary"}, &CreatedKey{Key: "canary"}, CreatedToken{ID: "t1", Token: "canary"}} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", slog.Any("v", v))
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", slog.Any("v", v))
	}
	if strings.Contains(out.String(), "canary") || !strings.Contains(out.String(), "k1") {
		t.Errorf("a secret shows, or an id does not, in\n%s", out.String())
	}
}
