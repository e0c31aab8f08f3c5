package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

const fakeToken = "twt_canary"

// fakeManager has what the commands need of a manager: the tenants of a tenanttest.Manager, and /v1/admin in a few lines.
type fakeManager struct {
	tenants *tenanttest.Manager
	pruned  uint64 // events up to this revision are gone

	mu       sync.Mutex // guards what is below
	ids      []string
	services map[string]bool
	secrets  map[string][]map[string]any // keys and tokens, by kind
	givenUp  []managerapi.QuarantinedEvent
}

func newFakeManager() *fakeManager {
	m := &fakeManager{services: map[string]bool{}, secrets: map[string][]map[string]any{}, givenUp: someGivenUp()}
	m.tenants = tenanttest.NewManager(tenanttest.WithEnvironment("staging"), tenanttest.WithIDs(func() string {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ids = append(m.ids, fmt.Sprintf("tenant-%04d", len(m.ids)+1))
		return m.ids[len(m.ids)-1]
	}))
	return m
}

func (m *fakeManager) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", m.tenants)
	mux.HandleFunc("POST /v1/tenants/{id}/associations/{service}", func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.services[r.PathValue("service")] = true
		m.mu.Unlock()
		m.tenants.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /v1/admin/tenants", m.list)
	mux.HandleFunc("GET /v1/admin/tenants/{id}/associations", m.associations)
	mux.HandleFunc("GET /v1/admin/{kind}", m.listSecrets)
	mux.HandleFunc("POST /v1/admin/{kind}", m.createSecret)
	mux.HandleFunc("DELETE /v1/admin/{kind}/{id}", m.revokeSecret)
	mux.HandleFunc("GET /v1/admin/outbox", func(w http.ResponseWriter, _ *http.Request) {
		v := m.tenants.Version()
		answer(w, http.StatusOK, managerapi.OutboxStatus{Epoch: v.Epoch, Newest: v.Revision, Sent: v.Revision})
	})
	mux.HandleFunc("GET /v1/admin/events", m.events)
	mux.HandleFunc("GET /v1/admin/outbox/quarantined", m.quarantined)
	mux.HandleFunc("POST /v1/admin/outbox/quarantined/{revision}/retry", m.retry)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+fakeToken {
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "the bearer token is missing or wrong")
			return
		}
		r.Header.Set(managerapi.HeaderAPIKey, m.tenants.APIKey())
		r.Header.Set("Authorization", "Bearer "+m.tenants.Token())
		mux.ServeHTTP(w, r)
	})
}

func (m *fakeManager) list(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	ids := slices.Clone(m.ids)
	m.mu.Unlock()
	after, limit := slices.Index(ids, r.FormValue("after"))+1, intOf(r, "limit")
	result := managerapi.TenantPage{Tenants: []managerapi.Tenant{}}
	for _, id := range ids[after:] {
		found, err := m.tenants.Get(id)
		status, search := r.FormValue("status"), r.FormValue("search")
		if err != nil || status != "" && found.Status != status || !strings.Contains(found.Name+found.Slug+found.ID, search) {
			continue
		}
		if service := r.FormValue("service"); service != "" {
			if _, err := m.tenants.Connections(id, service); err != nil {
				continue
			}
		}
		if len(result.Tenants) == limit {
			result.Next = result.Tenants[limit-1].ID
			break
		}
		result.Tenants = append(result.Tenants, found)
	}
	answer(w, http.StatusOK, result)
}

func (m *fakeManager) associations(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := []managerapi.AssociationInfo{}
	for service := range m.services {
		info := managerapi.AssociationInfo{ServiceName: service, Status: tenant.StatusSuspended}
		found, err := m.tenants.Connections(r.PathValue("id"), service)
		if err == nil {
			info = managerapi.AssociationInfo{ServiceName: service, Status: found.Status, IsolationMode: found.IsolationMode, CreatedAt: found.CreatedAt}
		} else if !strings.Contains(err.Error(), tenant.StatusSuspended) {
			continue
		}
		list = append(list, info)
	}
	answer(w, http.StatusOK, map[string]any{"associations": list})
}

func (m *fakeManager) listSecrets(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kind := r.PathValue("kind")
	found := []map[string]any{}
	for _, secret := range m.secrets[kind] {
		if service := r.FormValue("service"); service == "" || secret["service"] == service {
			found = append(found, secret)
		}
	}
	answer(w, http.StatusOK, map[string]any{kind: found})
}

func (m *fakeManager) createSecret(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kind := r.PathValue("kind")
	var created map[string]any
	if err := json.NewDecoder(r.Body).Decode(&created); err != nil {
		refuse(w, http.StatusBadRequest, "INVALID_BODY", "no JSON")
		return
	}
	if created["service"] == "full" {
		refuse(w, http.StatusConflict, "TOO_MANY_KEYS", "the service has two keys already")
		return
	}
	created["id"] = fmt.Sprintf("%s-%d", strings.TrimSuffix(kind, "s"), len(m.secrets[kind])+1)
	kept := map[string]any{"createdAt": time.Now()}
	maps.Copy(kept, created)
	m.secrets[kind] = append(m.secrets[kind], kept)
	created[strings.TrimSuffix(kind, "s")] = "tw_canary"
	answer(w, http.StatusCreated, created)
}

func (m *fakeManager) revokeSecret(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, secret := range m.secrets[r.PathValue("kind")] {
		if secret["id"] == r.PathValue("id") {
			secret["revokedAt"] = time.Now()
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	refuse(w, http.StatusNotFound, "NOT_FOUND", "there is none")
}

func (m *fakeManager) events(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, "INVALID_AFTER", "after is not a revision")
		return
	}
	if after < m.pruned {
		refuse(w, http.StatusGone, "EVENTS_GONE", "events up to "+strconv.FormatUint(m.pruned, 10)+" are pruned")
		return
	}
	result := managerapi.EventPage{Epoch: m.tenants.Version().Epoch, Events: []tenant.Event{}, Next: after}
	for _, evt := range m.tenants.Events() {
		if evt.Revision > after && len(result.Events) < intOf(r, "limit") {
			result.Events, result.Next = append(result.Events, evt), evt.Revision
		}
	}
	answer(w, http.StatusOK, result)
}

func intOf(r *http.Request, name string) int {
	n, err := strconv.Atoi(r.FormValue(name))
	if err != nil {
		return 0
	}
	return n
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, managerapi.ErrorBody{Code: code, Error: message})
}

// scriptManager is "manager": it starts a fake manager and puts where it is and its token into the environment.
func scriptManager(ts *testscript.TestScript, _ bool, args []string) {
	fake := newFakeManager()
	if len(args) == 1 {
		pruned, err := strconv.ParseUint(args[0], 10, 64)
		ts.Check(err)
		fake.pruned = pruned
	}
	server := httptest.NewServer(fake.handler())
	ts.Defer(server.Close)
	ts.Setenv("TENANTWATCH_URL", server.URL)
	ts.Setenv("TENANTWATCH_TOKEN", fakeToken)
	ts.Check(os.WriteFile(ts.MkAbs("token"), []byte(fakeToken+"\n"), 0o600))
}

func TestTenantListReadsPageByPage(t *testing.T) {
	fake := newFakeManager()
	if _, err := fake.tenants.Seed(t.Context(), "ledger", 2*pageSize+1); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake.handler())
	defer server.Close()
	t.Setenv("TENANTWATCH_URL", server.URL)
	t.Setenv("TENANTWATCH_TOKEN", fakeToken)
	for limit, want := range map[int]int{0: 2*pageSize + 1, 1: 1, pageSize: pageSize, pageSize + 1: pageSize + 1} {
		var out strings.Builder
		if code, stderr := call(t.Context(), &out, "tenant", "list", "--json", "--limit", strconv.Itoa(limit)); code != 0 {
			t.Fatal(stderr)
		}
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("with --limit %d there are %d lines, want %d", limit, got, want)
		}
		out.Reset()
		if code, stderr := call(t.Context(), &out, "tenant", "list", "--limit", strconv.Itoa(limit)); code != 0 {
			t.Fatal(stderr)
		}
		if got := strings.Count(out.String(), "\n"); got != want+1 || strings.Count(out.String(), "SLUG") != 1 {
			t.Errorf("with --limit %d there are %d lines for people, want one more than %d", limit, got, want)
		}
	}
}

func TestEventsFindsWhereToBegin(t *testing.T) {
	fake := newFakeManager()
	if _, err := fake.tenants.Seed(t.Context(), "ledger", pageSize); err != nil { // two events each
		t.Fatal(err)
	}
	server := httptest.NewServer(fake.handler())
	defer server.Close()
	t.Setenv("TENANTWATCH_URL", server.URL)
	t.Setenv("TENANTWATCH_TOKEN", fakeToken)
	tests := []struct {
		name   string
		pruned uint64
		args   []string
		want   int
	}{
		{"the newest", 0, nil, newestEvents},
		{"fewer are kept", 2*pageSize - 7, nil, 7},
		{"none is kept", 2 * pageSize, nil, 0},
		{"after a revision", 0, []string{"--since", "10"}, 2*pageSize - 10},
		{"after the newest", 0, []string{"--since", strconv.Itoa(2 * pageSize)}, 0},
		{"of the epoch", 0, []string{"--since", fake.tenants.Version().Epoch + ":998"}, 2},
		{"a time before all", 0, []string{"--since", "1h"}, 2 * pageSize},
		{"a time before all that are kept", 400, []string{"--since", "1h"}, 2*pageSize - 400},
		{"a time after all", 0, []string{"--since", "2999-01-01T00:00:00Z"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fake.pruned = tt.pruned
			var out strings.Builder
			code, stderr := call(t.Context(), &out, append([]string{"events", "--json"}, tt.args...)...)
			if got := strings.Count(out.String(), "\n"); code != 0 || got != tt.want {
				t.Errorf("exit code %d, %d events, want %d\n%s", code, got, tt.want, stderr)
			}
		})
	}
}
