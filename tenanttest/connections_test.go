package tenanttest_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// put sends a body of a client's own to the fake, and returns what it answers.
func (s *served) put(t *testing.T, id, body string, status int) string {
	t.Helper()
	resp, got := s.call(t, "PUT", "/v1/tenants/"+id+"/associations/"+service+"/connections", body)
	if resp.StatusCode != status {
		t.Fatalf("%s: %d %s, want %d", body, resp.StatusCode, got, status)
	}
	return got
}

func TestX13LimitsInEventsAreInSnakeCase(t *testing.T) {
	m := tenanttest.NewManager(tenanttest.WithIDs(func() string { return "T" }))
	_, err := m.Create(t.Context(), managerapi.CreateTenantRequest{Name: "Acme"})
	must(t, err)
	_, err = m.Associate(t.Context(), "T", service, managerapi.CreateAssociationRequest{MaxOpenConns: 25, MaxIdleConns: 5})
	must(t, err)
	must(t, m.Suspend(t.Context(), "T"))
	must(t, m.Reactivate(t.Context(), "T"))
	n := 0
	for _, evt := range m.Events() {
		if strings.HasPrefix(string(evt.EventType), "tenant.service.") {
			n++
			const want = `"connection_settings":{"max_open_conns":25,"max_idle_conns":5}`
			if !strings.Contains(string(evt.Payload), want) || evt.TenantName != "Acme" {
				t.Errorf("%s of %q: %s, want %s", evt.EventType, evt.TenantName, evt.Payload, want)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d events have limits", n)
	}
}

func TestX15AFlatRabbitMQIsRefused(t *testing.T) {
	s := serve(t)
	must(t, s.Add(t.Context(), service, "a"))
	if got := s.put(t, "a", `{"rabbitmq":{"host":"q"}}`, 400); !strings.Contains(got, "messaging") {
		t.Errorf("got %s", got)
	}
	got := s.put(t, "a", `{"rabbitmq":{"m":{"host":"q"}}}`, 200)
	if want := `"messaging":{"rabbitmq":{"host":"q"}}`; !strings.Contains(got, want) {
		t.Errorf("%s is not in %s", want, got)
	}
}

// TestX16LimitsAreThoseOfTheModule is the sequence in which the last event once had the limits of another module.
func TestX16LimitsAreThoseOfTheModule(t *testing.T) {
	s := serve(t)
	must(t, s.Add(t.Context(), service, "a"))
	before := s.Version().Revision
	for _, body := range []string{
		`{"module":"onboarding","maxOpenConns":11,"maxIdleConns":3}`,
		`{"maxOpenConns":70,"maxIdleConns":12}`,
		`{"module":"onboarding","maxOpenConns":33,"maxIdleConns":7}`,
		`{"module":"transaction","maxOpenConns":4,"maxIdleConns":2}`,
		`{"module":"onboarding","statementTimeout":"30s"}`,
		`{"databases":{"onboarding":{"postgresql":{"host":"h"}}}}`,
	} {
		s.put(t, "a", body, 200)
	}
	var got []string
	for _, evt := range s.Events()[before:] {
		if evt.EventType == tenant.EventCacheInvalidate {
			got = append(got, string(evt.EventType))
			continue
		}
		updated, err := tenant.DecodePayload[tenant.ConnectionsUpdated](evt)
		must(t, err)
		got = append(got, fmt.Sprintf("%s %d/%d%s", updated.Module, updated.MaxOpenConns, updated.MaxIdleConns, updated.StatementTimeout))
	}
	want := []string{"onboarding 11/3", "onboarding 33/7", "transaction 4/2", `onboarding 33/7"30s"`, "tenant.cache.invalidate"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestX17AKnownFieldOfAnotherTypeIsRefused(t *testing.T) {
	s := serve(t)
	must(t, s.Add(t.Context(), service, "a"))
	s.put(t, "a", `{"statementTimeout":30}`, 400)
	s.put(t, "a", `{"databases":{"m":{"mongodb":{"tls":"yes"}}}}`, 400)
	_, err := s.UpdateConnections(t.Context(), "a", service, managerapi.UpdateConnectionsRequest{StatementTimeout: []byte(`30`)})
	if refusal, ok := errors.AsType[*managerapi.Error](err); !ok || refusal.StatusCode != http.StatusBadRequest {
		t.Errorf("got %v", err)
	}
}

func TestX19EventsSayWhatIsKnownOfTheConnections(t *testing.T) {
	m := tenanttest.NewManager(tenanttest.WithIDs(func() string { return "T" }))
	_, err := m.Create(t.Context(), managerapi.CreateTenantRequest{Name: "Acme"})
	must(t, err)
	_, err = m.Associate(t.Context(), "T", service, managerapi.CreateAssociationRequest{
		Databases:   map[string]managerapi.DatabaseConnections{"m": {PostgreSQLReplica: []byte(`{"host":"h"}`)}},
		SecretPaths: map[string]tenant.SecretPaths{"m": {PostgreSQLReadOnly: "p"}}, MessagingConfig: &tenant.MessagingConfig{RabbitMQSecretPath: "q"},
	})
	must(t, err)
	const want = `{"service_name":"ledger","isolation_mode":"","modules":["m"],"secret_paths":{"m":{"postgresql_ro":"p"}},"messaging_config":{"rabbitmq_secret_path":"q"}}`
	if got := string(m.Events()[1].Payload); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestX21NamesAreExact(t *testing.T) {
	s := serve(t)
	resp, body := s.call(t, "POST", "/v1/tenants", `{"name":"right","Name":"wrong","environment":"staging"}`)
	if resp.StatusCode != http.StatusCreated || !strings.Contains(body, `"slug":"right"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	must(t, s.Add(t.Context(), service, "a"))
	s.put(t, "a", `{"databases":{"m":{"postgresql":{"password":"a\ud800b"}}}}`, 400)
	if got := s.put(t, "a", `{"MaxOpenConns":7,"databases":{"m":{"PostgreSQL":1}}}`, 200); !strings.Contains(got, `"databases":{"m":{"PostgreSQL":1}}`) ||
		!strings.Contains(got, `"MaxOpenConns":7`) || strings.Contains(got, "connectionSettings") {
		t.Errorf("they are handed on, and mean nothing: got %s", got)
	}
}

// TestX17ANewAssociationHasTheRulesOfTheManager, over HTTP and in Go.
func TestX17ANewAssociationHasTheRulesOfTheManager(t *testing.T) {
	s := serve(t)
	must(t, s.Add(t.Context(), "other", "a"))
	for _, limits := range []managerapi.CreateAssociationRequest{{MaxOpenConns: -3}, {MaxIdleConns: 3_000_000_000}} {
		if _, err := s.Associate(t.Context(), "a", service, limits); errorCode(err) != "INVALID_BODY" {
			t.Errorf("%+v: %v", limits, err)
		}
	}
	for _, tt := range []struct{ service, body, want string }{
		{service, `{"maxOpenConns":-3}`, "INVALID_BODY"},
		{service, `{"maxIdleConns":3000000000}`, "INVALID_BODY"},
		{service, `{"databases":{"m":{"postgresql":{"port":"5432"}}}}`, "INVALID_BODY"},
		{service, `[]`, "INVALID_BODY"},
		{"led%20ger", `{}`, "INVALID_SERVICE"},
	} {
		resp, got := s.call(t, "POST", "/v1/tenants/a/associations/"+tt.service, tt.body)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %d %s", tt.service, tt.body, resp.StatusCode, got)
		}
	}
}

func errorCode(err error) string {
	if refusal, ok := errors.AsType[*managerapi.Error](err); ok {
		return refusal.Code
	}
	return ""
}

// TestX19ANewAssociationIsTakenAsItWasPosted: secrets in the spelling of REST, what nobody has a field for, and no module of
// null.
func TestX19ANewAssociationIsTakenAsItWasPosted(t *testing.T) {
	s := serve(t)
	must(t, s.Add(t.Context(), "other", "a"))
	resp, got := s.call(t, "POST", "/v1/tenants/a/associations/"+service,
		`{"secretPaths":{"m":{"postgresqlRw":"p","x":1}},"messagingConfig":{"rabbitmqSecretPath":"q"},"databases":{"m":null,"d":{"redis":{"port":1.0}}}}`)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	const want = `{"service_name":"` + service + `","isolation_mode":"","modules":["d"],"secret_paths":{"m":{"postgresql_rw":"p","x":1}},` +
		`"messaging_config":{"rabbitmq_secret_path":"q"}}`
	events := s.Events()
	if got := string(events[len(events)-1].Payload); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestX20NamesInOtherLettersGetASlug(t *testing.T) {
	m := tenanttest.NewManager()
	one, err := m.Create(t.Context(), managerapi.CreateTenantRequest{Name: "\u65e5\u672c"})
	must(t, err)
	two, err := m.Create(t.Context(), managerapi.CreateTenantRequest{Name: "\u4e2d\u56fd"})
	must(t, err)
	if one.Slug == "" || one.Slug == two.Slug {
		t.Errorf("the slugs are %q and %q", one.Slug, two.Slug)
	}
}

// TestX20ANewEpochHasNoPathOfASecretTwice, though its revisions begin again. One that begins in the millisecond of the one
// before is passed over.
func TestX20ANewEpochHasNoPathOfASecretTwice(t *testing.T) {
	m := tenanttest.NewManager()
	must(t, m.Add(t.Context(), service, "a"))
	seen, backup := map[string]bool{}, m.Backup()
	for range 3 {
		for range 4 {
			must(t, m.RotateCredentials(t.Context(), "a", service))
		}
		for _, evt := range m.Events() {
			if evt.EventType != tenant.EventCredentialsRotated {
				continue
			}
			rotated, err := tenant.DecodePayload[tenant.CredentialsRotated](evt)
			must(t, err)
			if seen[rotated.NewSecretPath] {
				t.Errorf("%s was there before", rotated.NewSecretPath)
			}
			seen[rotated.NewSecretPath] = true
		}
		const digits = 12 // of the milliseconds in an epoch
		for before := m.Version().Epoch[:digits]; m.Version().Epoch[:digits] == before; {
			m.Restore(backup)
		}
	}
}
