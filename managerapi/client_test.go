package managerapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestS07NewClientURL(t *testing.T) {
	tests := []struct {
		name, url string
		ok        bool
		insecure  bool // AllowInsecureHTTP
	}{
		{name: "https", url: "https://tenants.example.com", ok: true},
		{name: "port and path", url: "https://tenants.example.com:8443/tm/", ok: true},
		{name: "localhost", url: "http://localhost:4000", ok: true},
		{name: "127.0.0.0/8", url: "http://127.8.9.10", ok: true},
		{name: "IPv6 loopback", url: "http://[::1]:4000", ok: true},
		{name: "IPv4 in IPv6", url: "http://[::ffff:127.0.0.1]:4000", ok: true},
		{name: "http elsewhere", url: "http://tenants.example.com"},
		{name: "http, a name that looks like loopback", url: "http://127.0.0.1.example.com"},
		{name: "http, a name that begins with localhost", url: "http://localhost.example.com"},
		{name: "http, private address", url: "http://10.0.0.1"},
		{name: "http allowed", url: "http://tenants.example.com", ok: true, insecure: true},
		{name: "empty", url: ""},
		{name: "no scheme", url: "tenants.example.com"},
		{name: "another scheme", url: "ftp://tenants.example.com"},
		{name: "another scheme allowed to be insecure", url: "file:///etc", insecure: true},
		{name: "no host", url: "https:///v1"},
		{name: "port only", url: "https://:443"},
		{name: "user", url: "https://user:canary@tenants.example.com"},
		{name: "user, bad port", url: "https://user:canary@tenants.example.com:x"},
		{name: "forgotten @", url: "https://user:canary"},
		{name: "another form of a password", url: "https://tenants.example.com,password=canary"},
		{name: "another form behind a port", url: "https://tenants.example.com:443;password=canary"},
		{name: "a password that was escaped", url: "https://u%3Acanary%40tenants.example.com"},
		{name: "IPv6", url: "https://[fe80::1%25eth0]:8443", ok: true},
		{name: "query", url: "https://tenants.example.com?key=canary"},
		{name: "empty query", url: "https://tenants.example.com?"},
		{name: "fragment", url: "https://tenants.example.com#x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewClient(Config{BaseURL: tt.url, AllowInsecureHTTP: tt.insecure})
			if (err == nil) != tt.ok {
				t.Fatalf("NewClient(%q) = %v, want success %v", tt.url, err, tt.ok)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("a password shows in %q", err)
			}
		})
	}
}

func TestNewClientNamesAllBadFields(t *testing.T) {
	_, err := NewClient(Config{
		Timeout: -1, BodyLimit: -1, BackoffBase: time.Second, BackoffMax: time.Millisecond, UserAgent: "a\nb",
		CircuitBreaker: &CircuitBreaker{Failures: -1}, Transport: &http.Transport{},
		TLS: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // to see it refused
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		"BaseURL", "Timeout", "BodyLimit", "BackoffMax", "UserAgent", "CircuitBreaker", "Transport", "TLS does not verify",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not named in %q", name, err)
		}
	}
}

func TestNewClientTransport(t *testing.T) {
	old := &tls.Config{MinVersion: tls.VersionTLS10, ServerName: "other"} //nolint:gosec // to see it raised
	c := newClient(t, Config{BaseURL: "https://tenants.example.com", TLS: old})
	own, ok := c.transport.(*http.Transport)
	if !ok {
		t.Fatalf("the transport is a %T", c.transport)
	}
	if got := own.TLSClientConfig; got.MinVersion != tls.VersionTLS12 || got.ServerName != "other" || got == old {
		t.Errorf("TLS config: %+v", got)
	}
	if own.TLSHandshakeTimeout <= 0 || own.ResponseHeaderTimeout <= 0 || own.IdleConnTimeout <= 0 {
		t.Error("a time-out is not set")
	}
}

// TestCalls has one row for each call of the API: what goes over the wire, and what comes out.
func TestCalls(t *testing.T) {
	const id = "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012"
	name := "Acme 2"
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
			name: "create tenant", wire: "POST /v1/tenants", status: 201,
			body: `{"name":"Acme","environment":"staging","isolation":"isolated",` +
				`"owner":{"email":"a@example.com","passwordHash":"h","emailVerified":true}}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateTenant(ctx, CreateTenantRequest{
					Name: "Acme", Environment: "staging", Isolation: "isolated",
					Owner: Owner{Email: "a@example.com", PasswordHash: "h", EmailVerified: true},
				})
			},
			answer: `{"id":"acme","slug":"acme-1","status":"active"}`,
			want:   &CreatedTenant{ID: "acme", Slug: "acme-1", Status: "active", Created: true},
		},
		{
			name: "create tenant again", wire: "POST /v1/tenants", status: 200,
			body: `{"name":"","slug":"s","environment":"","isolation":"","metadata":{"a":"b"},"owner":{"email":"","emailVerified":false}}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateTenant(ctx, CreateTenantRequest{Slug: "s", Metadata: map[string]string{"a": "b"}})
			},
			answer: `{"id":"acme"}`, want: &CreatedTenant{ID: "acme"},
		},
		{
			name: "get tenant", wire: "GET /v1/tenants/" + id, status: 200,
			call:   func(ctx context.Context, c *Client) (any, error) { return c.Tenant(ctx, id) },
			answer: ` {"id":"x","name":"n","metadata":{"k":"v"},"createdAt":"yesterday","updatedAt":"2026-03-27T14:45:00Z","new":1} `,
			want: &Tenant{
				ID: "x", Name: "n", Metadata: map[string]string{"k": "v"},
				UpdatedAt: Timestamp{time.Date(2026, 3, 27, 14, 45, 0, 0, time.UTC)},
			},
		},
		{
			name: "update tenant", wire: "PATCH /v1/tenants/acme", status: 200, body: `{"name":"Acme 2"}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.UpdateTenant(ctx, "acme", UpdateTenantRequest{Name: &name})
			},
		},
		{
			name: "suspend tenant", wire: "PUT /v1/tenants/acme/suspend", status: 202, answer: "OK",
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.SuspendTenant(ctx, "acme") },
		},
		{
			name: "reactivate tenant", wire: "PUT /v1/tenants/acme/reactivate", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.ReactivateTenant(ctx, "acme") },
		},
		{
			name: "delete tenant", wire: "DELETE /v1/tenants/acme", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteTenant(ctx, "acme") },
		},
		{
			name: "create association", wire: "POST /v1/tenants/acme/associations/a%2Fb%20c%3F", status: 201,
			body: `{"isolationMode":"isolated","maxOpenConns":7}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.CreateAssociation(ctx, "acme", "a/b c?", CreateAssociationRequest{IsolationMode: "isolated", MaxOpenConns: 7})
			},
			answer: `{"serviceName":"a/b c?","status":"active"}`,
			want:   &Association{ServiceName: "a/b c?", Status: "active"},
		},
		{
			name: "suspend association", wire: "PUT /v1/tenants/acme/associations/ledger/suspend", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.SuspendAssociation(ctx, "acme", "ledger")
			},
		},
		{
			name: "reactivate association", wire: "PUT /v1/tenants/acme/associations/ledger/reactivate", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.ReactivateAssociation(ctx, "acme", "ledger")
			},
		},
		{
			name: "delete association", wire: "DELETE /v1/tenants/acme/associations/ledger", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.DeleteAssociation(ctx, "acme", "ledger")
			},
		},
		{
			name: "purge association", wire: "DELETE /v1/tenants/acme/associations/ledger?purge=true", status: 204,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.PurgeAssociation(ctx, "acme", "ledger")
			},
		},
		{
			name: "get connections", wire: "GET /v1/tenants/acme/associations/ledger/connections", status: 200,
			call: func(ctx context.Context, c *Client) (any, error) { return c.Connections(ctx, "acme", "ledger") },
			answer: `{"id":"acme","tenantSlug":"s","service":"ledger","databases":{"onboarding":{"postgresql":{"host":"db"}}},` +
				`"rabbitmq":{"url":"amqp"}}`,
			want: &Connections{
				ID: "acme", TenantSlug: "s", Service: "ledger", RabbitMQ: SecretJSON(`{"url":"amqp"}`),
				Databases: map[string]DatabaseConnections{"onboarding": {PostgreSQL: SecretJSON(`{"host":"db"}`)}},
			},
		},
		{
			name: "update connections", wire: "PUT /v1/tenants/acme/associations/ledger/connections", status: 200,
			body: `{"module":"onboarding","maxOpenConns":9,"rabbitmq":{"url":"amqp"}}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				change := UpdateConnectionsRequest{Module: "onboarding", MaxOpenConns: 9, RabbitMQ: SecretJSON(`{"url":"amqp"}`)}
				return nil, c.UpdateConnections(ctx, "acme", "ledger", change)
			},
		},
		{
			name: "patch connections", wire: "PUT /v1/tenants/acme/associations/ledger/connections", status: 200,
			body: `{"databases":{"onboarding":null},"secretPaths":null,"module":"m","maxOpenConns":null}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				const patch = `{"databases":{"onboarding":null},"secretPaths":null,"module":"m","maxOpenConns":null}`
				return nil, c.PatchConnections(ctx, "acme", "ledger", SecretJSON(patch))
			},
		},
		{
			name: "invalidate cache", wire: "POST /v1/tenants/acme/associations/ledger/cache/invalidate", status: 202,
			body: `{"reason":"imported"}`,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.InvalidateCache(ctx, "acme", "ledger", "imported")
			},
		},
		{
			name: "rotate credentials", wire: "POST /v1/tenants/acme/associations/ledger/credentials/rotate", status: 202,
			call: func(ctx context.Context, c *Client) (any, error) {
				return nil, c.RotateCredentials(ctx, "acme", "ledger")
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(tt.status, tt.answer))
			c := newClient(t, Config{BaseURL: m.URL, APIKey: StaticKey("the-key\n"), BearerToken: StaticKey("the-token")})
			got, err := tt.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := asJSON(t, got), asJSON(t, tt.want); g != w {
				t.Errorf("got %s, want %s", g, w)
			}
			if created, ok := got.(*CreatedTenant); ok && created.Created != (tt.status == http.StatusCreated) {
				t.Errorf("Created is %v after status %d", created.Created, tt.status)
			}
			checkRequest(t, m, tt.wire, tt.body)
		})
	}
}

func checkRequest(t *testing.T, m *manager, wire, body string) {
	t.Helper()
	seen := m.requests()
	if len(seen) != 1 {
		t.Fatalf("%d requests, want 1", len(seen))
	}
	if got := seen[0].method + " " + seen[0].uri; got != wire {
		t.Errorf("request %q, want %q", got, wire)
	}
	if seen[0].body != body {
		t.Errorf("body %s, want %s", seen[0].body, body)
	}
	want := map[string]string{HeaderAPIKey: "the-key", "User-Agent": DefaultUserAgent, "Authorization": "Bearer the-token"}
	if seen[0].method == http.MethodGet {
		want["Authorization"] = ""
	}
	if body != "" {
		want["Content-Type"] = "application/json"
	}
	for name, value := range want {
		if got := seen[0].header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestErrorsByStatus(t *testing.T) {
	sentinels := []error{ErrNotFound, ErrAccessDenied, ErrConflict, ErrUnauthorized, ErrGone, ErrUnavailable, ErrInvalidArgument}
	tests := []struct {
		name   string
		status int
		body   string
		want   Error
		is     error
	}{
		{"not found", 404, `{"code":"TM-1","error":"no such tenant"}`, Error{Code: "TM-1", Message: "no such tenant"}, ErrNotFound},
		{"tenant suspended", 403, `{"code":"TM-2","error":"no","status":"suspended"}`, Error{Code: "TM-2", Message: "no", TenantStatus: "suspended"}, ErrAccessDenied},
		{"key refused", 403, `{"code":"TM-3","error":"no"}`, Error{Code: "TM-3", Message: "no"}, ErrAccessDenied},
		{"problem json", 403, `{"type":"about:blank","title":"Forbidden","status":403,"detail":"no"}`, Error{Message: "no"}, ErrAccessDenied},
		{"status that is not a 403", 409, `{"code":"c","error":"e","status":"suspended"}`, Error{Code: "c", Message: "e"}, ErrConflict},
		{"unauthorized", 401, `not JSON`, Error{}, ErrUnauthorized},
		{"fields of other types", 400, `{"code":7,"error":{"a":1}}`, Error{}, nil},
		{"no object", 500, `["error"]`, Error{}, nil},
		{"huge", 404, `{"error":"` + strings.Repeat("x", 2<<20) + `"}`, Error{}, ErrNotFound},
		{"long message", 404, `{"error":"` + strings.Repeat("é", 500) + `"}`, Error{Message: strings.Repeat("é", 150) + "…"}, ErrNotFound},
		{"gone", 410, `{"code":"g","error":"pruned"}`, Error{Code: "g", Message: "pruned"}, ErrGone},
		{"too many", 429, ``, Error{}, ErrUnavailable},
		{"bad gateway", 502, `<html>`, Error{}, ErrUnavailable},
		{"unavailable", 503, ``, Error{}, ErrUnavailable},
		{"gateway timeout", 504, ``, Error{}, ErrUnavailable},
		{"not modified, unasked", 304, ``, Error{Message: "it was not asked whether anything changed"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(tt.status, tt.body))
			_, err := newClient(t, Config{BaseURL: m.URL, Retries: -1}).Tenant(t.Context(), "acme")
			got, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("%v (%T) is no *Error", err, err)
			}
			tt.want.StatusCode, tt.want.Request = tt.status, "GET /v1/tenants/acme"
			if *got != tt.want {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) != (sentinel == tt.is) { //nolint:errorlint // the very one is meant
					t.Errorf("errors.Is(err, %v) is %v", sentinel, sentinel != tt.is) //nolint:errorlint // as above
				}
			}
		})
	}
}

func TestInvalidArgumentsSendNothing(t *testing.T) {
	m := startManager(t, always(http.StatusOK, "{}"))
	c := newClient(t, Config{BaseURL: m.URL})
	calls := map[string]func(ctx context.Context, id, service string) error{
		"tenant":  func(ctx context.Context, id, _ string) error { _, err := c.Tenant(ctx, id); return err },
		"suspend": func(ctx context.Context, id, _ string) error { return c.SuspendTenant(ctx, id) },
		"purge":   c.PurgeAssociation,
		"list": func(ctx context.Context, _, service string) error {
			_, err := c.GetActiveTenantsByService(ctx, service)
			return err
		},
		"snapshot": func(ctx context.Context, _, service string) error {
			_, err := c.FetchSnapshot(ctx, plainly(service))
			return err
		},
	}
	for _, arg := range []string{"", " ", ".", ".."} {
		for name, call := range calls {
			if err := call(t.Context(), arg, arg); !errors.Is(err, ErrInvalidArgument) {
				t.Errorf("%s(%q) = %v", name, arg, err)
			}
		}
	}
	for _, id := range []string{"a/b", "-a", "ü", strings.Repeat("a", 257), "a?b", "../x"} {
		if err := c.PurgeAssociation(t.Context(), id, "ledger"); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	for _, patch := range []string{"", "null", "[]", `{"a":`, `{} {}`} {
		if err := c.PatchConnections(t.Context(), "acme", "ledger", SecretJSON(patch)); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("the connections %q: %v", patch, err)
		}
	}
	if n := len(m.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestObjectAnswers(t *testing.T) {
	tests := []struct{ name, body, reason string }{
		{"null", "null", "not a JSON object"},
		{"array", "[]", "not a JSON object"},
		{"empty", "", "not a JSON object"},
		{"HTML", "<html>canary</html>", "not a JSON object"},
		{"cut", `{"id":"canary`, "not JSON"},
		{"garbage behind it", `{"id":"a"} canary`, "not JSON"},
		{"wrong type", `{"id":4711}`, `field "id" has the wrong type`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(http.StatusOK, tt.body))
			_, err := newClient(t, Config{BaseURL: m.URL}).Tenant(t.Context(), "acme")
			got, ok := errors.AsType[*DecodeError](err)
			if !ok || !strings.Contains(got.Reason, tt.reason) {
				t.Fatalf("got %v, want a *DecodeError with %q", err, tt.reason)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "4711") {
				t.Errorf("the body shows in %q", err)
			}
		})
	}
}

func TestObjectLimit(t *testing.T) {
	body := func(size int) string { return `{"id":"` + strings.Repeat("x", size-9) + `"}` }
	for _, tt := range []struct {
		name string
		size int
		ok   bool
	}{{"at the limit", DefaultBodyLimit, true}, {"over it", DefaultBodyLimit + 1, false}} {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(http.StatusOK, body(tt.size)))
			_, err := newClient(t, Config{BaseURL: m.URL}).Tenant(t.Context(), "acme")
			tooLarge, found := errors.AsType[*BodyTooLargeError](err)
			if found == tt.ok || (err == nil) != tt.ok {
				t.Fatalf("%d bytes: %v", tt.size, err)
			}
			if found && (tooLarge.Limit != 1<<20 || !strings.Contains(err.Error(), "1048576")) {
				t.Errorf("the limit is not named: %v", err)
			}
		})
	}
}
