package tenanttest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

const service = "ledger"

// lines writes events as one line each: type, id, payload.
func lines(events []tenant.Event) []string {
	out := make([]string, 0, len(events))
	for _, evt := range events {
		line := string(evt.EventType) + " " + evt.TenantID
		if evt.Payload != nil {
			line += " " + string(evt.Payload)
		}
		out = append(out, line)
	}
	return out
}

// idsOf returns the ids of a list.
func idsOf(rows []tenant.Summary) []string {
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

func TestManagerAnnouncesEachChange(t *testing.T) {
	ctx := t.Context()
	m := tenanttest.NewManager(tenanttest.WithIDs(func() string { return "T" }))
	name := "Other"
	_, created := m.Create(ctx, managerapi.CreateTenantRequest{Name: "Acme Inc."})
	_, again := m.Create(ctx, managerapi.CreateTenantRequest{Name: "Acme Inc."})
	_, associated := m.Associate(ctx, "T", service, managerapi.CreateAssociationRequest{IsolationMode: "shared", MaxOpenConns: 9})
	_, alsoAssociated := m.Associate(ctx, "T", "other", managerapi.CreateAssociationRequest{})
	_, updated := m.Update(ctx, "T", managerapi.UpdateTenantRequest{Name: &name})
	_, connected := m.UpdateConnections(ctx, "T", service, managerapi.UpdateConnectionsRequest{
		Module: "m", MaxIdleConns: 3, StatementTimeout: []byte(`"5s"`),
	})
	for i, err := range []error{
		created, again, associated, alsoAssociated, updated, connected,
		m.RotateCredentials(ctx, "T", service),
		m.InvalidateCache(ctx, "T", service, "because"),
		m.SuspendService(ctx, "T", "other"),
		m.Suspend(ctx, "T"),
		m.Reactivate(ctx, "T"),
		m.ReactivateService(ctx, "T", "other"),
		m.Disassociate(ctx, "T", service, false),
		m.Disassociate(ctx, "T", "other", true),
		m.Delete(ctx, "T"),
	} {
		if err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	want := []string{
		`tenant.created T`,
		`tenant.service.associated T {"service_name":"ledger","isolation_mode":"shared","connection_settings":{"max_open_conns":9,"max_idle_conns":0}}`,
		`tenant.service.associated T {"service_name":"other","isolation_mode":""}`,
		`tenant.updated T`,
		`tenant.connections.updated T {"service_name":"ledger","module":"m","max_open_conns":9,"max_idle_conns":3,"statement_timeout":"5s"}`,
		`tenant.credentials.rotated T {"service_name":"ledger","credential_type":"postgresql","new_secret_path":"tenants/T/ledger/postgresql/v6"}`,
		`tenant.cache.invalidate T {"service_name":"ledger","reason":"because"}`,
		`tenant.service.suspended T {"service_name":"other","previous_status":"active"}`,
		`tenant.suspended T`,
		`tenant.activated T`,
		`tenant.service.reactivated T {"service_name":"ledger","previous_status":"suspended","re_provisioned":false,"connection_settings":{"max_open_conns":9,"max_idle_conns":0}}`,
		`tenant.service.reactivated T {"service_name":"other","previous_status":"suspended","re_provisioned":false}`,
		`tenant.service.disassociated T {"service_name":"ledger","preserve_data":true}`,
		`tenant.service.purged T {"service_name":"other"}`,
		`tenant.deleted T`,
	}
	got := lines(m.Events())
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("event %d of\n%q\nwant\n%q", i, got, want)
		}
	}
}

func TestManagerEventsAreComplete(t *testing.T) {
	m := tenanttest.NewManager(tenanttest.WithEnvironment("staging"), tenanttest.WithEventIDs(tenant.CanonicalID))
	began := time.Now()
	ids, err := m.Seed(t.Context(), service, 3)
	must(t, err)
	seen := map[string]bool{}
	for i, evt := range m.Events() {
		id, err := uuid.Parse(evt.EventID)
		if err != nil || id.Version() != 7 || seen[evt.EventID] {
			t.Errorf("event_id %q is not a new UUID of version 7 (%v)", evt.EventID, err)
		}
		seen[evt.EventID] = true
		if evt.Timestamp.Location() != time.UTC || evt.Timestamp.Before(began.Add(-time.Second)) {
			t.Errorf("timestamp %s", evt.Timestamp)
		}
		if want := uint64(i + 1); evt.Revision != want || evt.Epoch != m.Version().Epoch || evt.Epoch == "" {
			t.Errorf("version %s, want revision %d", evt.Version(), want)
		}
		if evt.Environment != "staging" || evt.TenantSlug == "" || evt.TenantID != tenant.CanonicalID(ids[i/2]) {
			t.Errorf("environment %q, slug %q, id %q", evt.Environment, evt.TenantSlug, evt.TenantID)
		}
	}
	if got := idsOf(m.Active(service)); !slices.Equal(got, ids) {
		t.Errorf("active %q, want %q", got, ids)
	}
}

func TestManagerRefusals(t *testing.T) {
	ctx := t.Context()
	m := tenanttest.NewManager(tenanttest.WithEnvironment("staging"))
	must(t, m.Add(ctx, service, "a"))
	must(t, m.Add(ctx, service, "sleeping"))
	must(t, m.SuspendService(ctx, "sleeping", service))
	must(t, m.Suspend(ctx, "sleeping"))
	before := m.Version()
	_, unknown := m.Get("b")
	_, noConnections := m.Connections("a", "other")
	_, asleep := m.Associate(ctx, "sleeping", "other", managerapi.CreateAssociationRequest{})
	_, elsewhere := m.Create(ctx, managerapi.CreateTenantRequest{Name: "B", Environment: "production"})
	_, badJSON := m.UpdateConnections(ctx, "a", service, managerapi.UpdateConnectionsRequest{RabbitMQ: []byte("{")})
	for _, c := range []struct {
		name string
		err  error
		want error
		code string
	}{
		{"unknown tenant", unknown, managerapi.ErrNotFound, "TENANT_NOT_FOUND"},
		{"no association", noConnections, managerapi.ErrNotFound, "ASSOCIATION_NOT_FOUND"},
		{"associate a suspended tenant", asleep, managerapi.ErrAccessDenied, "TENANT_ACCESS_DENIED"},
		{"reactivate a service of one", m.ReactivateService(ctx, "sleeping", service), managerapi.ErrAccessDenied, "TENANT_ACCESS_DENIED"},
		{"suspend twice", m.Suspend(ctx, "sleeping"), managerapi.ErrConflict, "ALREADY_SUSPENDED"},
		{"id taken", m.Add(ctx, service, "new", "a"), managerapi.ErrConflict, "ID_TAKEN"},
		{"id twice", m.Add(ctx, service, "new", "new"), managerapi.ErrConflict, "ID_TAKEN"},
		{"bad id", m.Add(ctx, service, "new", "-"), nil, "INVALID_ID"},
		{"blank service", m.Add(ctx, " ", "new"), nil, "INVALID_SERVICE"},
		{"environment", elsewhere, nil, "WRONG_ENVIRONMENT"},
		{"connections that are not JSON", badJSON, nil, "INVALID_BODY"},
	} {
		refusal, ok := errors.AsType[*managerapi.Error](c.err)
		if !ok || refusal.Code != c.code || refusal.Request == "" || c.want != nil && !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v with code %s", c.name, c.err, c.want, c.code)
		}
	}
	if got := m.Version(); got != before {
		t.Errorf("refusals took revisions: %s, want %s", got, before)
	}
	if _, err := m.Get("new"); !errors.Is(err, managerapi.ErrNotFound) {
		t.Errorf("a refused Add left a tenant behind (%v)", err)
	}
}

func TestManagerHandsOutCopies(t *testing.T) {
	ctx := t.Context()
	m := tenanttest.NewManager(tenanttest.WithPublisher(func(_ context.Context, evt tenant.Event) error {
		clear(evt.Payload)
		return nil
	}))
	must(t, m.Add(ctx, service, "a"))
	metadata := map[string]string{"plan": "gold"}
	_, err := m.Update(ctx, "a", managerapi.UpdateTenantRequest{Metadata: metadata})
	must(t, err)
	metadata["plan"] = "changed"
	m.Active(service)[0].ID = "changed"
	clear(m.Events()[1].Payload)
	view, err := m.Get("a")
	must(t, err)
	view.Metadata["plan"] += "!"
	again, err := m.Get("a")
	must(t, err)
	if again.Metadata["plan"] != "gold" || m.Active(service)[0].ID != "a" || m.Events()[1].Payload[0] != '{' {
		t.Errorf("%v, %v, %s", again, m.Active(service), m.Events()[1].Payload)
	}
}

func TestManagerLogIsBounded(t *testing.T) {
	m := tenanttest.NewManager(tenanttest.WithLogLimit(4))
	for i := range 20 {
		must(t, m.Add(t.Context(), service, fmt.Sprint("t", i)))
		if got := m.Events(); len(got) != min(4, 2*i+2) || got[len(got)-1].Revision != uint64(2*i+2) {
			t.Fatalf("after %d: %d events, the last %+v", i, len(got), got[len(got)-1])
		}
	}
}

// TestManagerPublishesInOrder has many goroutines change things at once. The publisher would show two events at the same
// time to the race detector, and reads from the manager, which would not return were the lock held.
func TestManagerPublishesInOrder(t *testing.T) {
	var m *tenanttest.Manager
	var revisions []uint64
	m = tenanttest.NewManager(tenanttest.WithPublisher(func(_ context.Context, evt tenant.Event) error {
		revisions = append(revisions, evt.Revision)
		_ = m.Active(service)
		return nil
	}))
	var changes sync.WaitGroup
	for worker := range 8 {
		changes.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("t%d-%d", worker, i)
				must(t, m.Add(t.Context(), service, id))
				must(t, m.Suspend(t.Context(), id))
				must(t, m.Reactivate(t.Context(), id))
			}
		})
	}
	changes.Wait()
	if want := 8 * 50 * 5; len(revisions) != want || m.Version().Revision != uint64(want) {
		t.Fatalf("%d events published, revision %d, want %d", len(revisions), m.Version().Revision, want)
	}
	for i, revision := range revisions {
		if revision != uint64(i+1) {
			t.Fatalf("publication %d is revision %d", i+1, revision)
		}
	}
}

func TestManagerTellsWhatWasNotPublished(t *testing.T) {
	refusal := errors.New("READONLY")
	var got []tenant.EventType
	m := tenanttest.NewManager(tenanttest.WithPublisher(func(ctx context.Context, evt tenant.Event) error {
		got = append(got, evt.EventType)
		if ctx.Err() != nil || evt.EventType == tenant.EventCreated {
			return refusal
		}
		return nil
	}))
	err := m.Add(t.Context(), service, "a")
	unpublished, ok := errors.AsType[*tenanttest.PublishError](err)
	if !ok || !errors.Is(err, refusal) || len(unpublished.Events) != 1 || unpublished.Events[0].EventType != tenant.EventCreated {
		t.Errorf("Add: %v, want a PublishError with one event", err)
	}
	if want := []tenant.EventType{tenant.EventCreated, tenant.EventServiceAssociated}; !slices.Equal(got, want) {
		t.Errorf("handed out %q, want %q", got, want)
	}
	if ids := idsOf(m.Active(service)); !slices.Equal(ids, []string{"a"}) {
		t.Errorf("active %q, want the change to stand", ids)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Suspend(ctx, "a"); !errors.Is(err, refusal) {
		t.Errorf("Suspend with a ctx that ended: %v, want what the publisher says of it", err)
	}
	if n, last := m.PublishFailures(); n != 2 || !errors.Is(last, refusal) {
		t.Errorf("%d failures, the last %v, want 2", n, last)
	}
}

func TestManagerAnswersWritesWhosePublicationFails(t *testing.T) {
	s := serve(t, tenanttest.WithPublisher(func(context.Context, tenant.Event) error { return errors.New("down") }))
	resp, body := s.call(t, "POST", "/v1/tenants", acme)
	if n, _ := s.PublishFailures(); resp.StatusCode != http.StatusCreated || n != 1 {
		t.Errorf("%d %s with %d failures, want 201 and 1", resp.StatusCode, body, n)
	}
}

// TestManagerPublishesForAClientThatWentAway lets the client go while the publisher works.
func TestManagerPublishesForAClientThatWentAway(t *testing.T) {
	reached, gone, heard := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s := serve(t, tenanttest.WithPublisher(func(ctx context.Context, _ tenant.Event) error {
		close(reached)
		<-gone
		heard <- ctx.Err()
		return nil
	}))
	requestEnded := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(requestEnded) })
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	s.url = server.URL
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered := make(chan error, 1)
	req := s.request(t, "POST", "/v1/tenants", acme).WithContext(ctx)
	go func() {
		resp, err := s.client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-reached
	cancel()
	<-requestEnded
	close(gone)
	if err := <-heard; err != nil {
		t.Errorf("the publisher's ctx ended: %v", err)
	}
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v, want Canceled", err)
	}
}

// TestManagerEventsLeadToTheList folds the events by their rules, and wants the list after each of them.
func TestManagerEventsLeadToTheList(t *testing.T) {
	ctx := t.Context()
	m := tenanttest.NewManager()
	must(t, m.Add(ctx, service, "a", "b", "c"))
	must(t, m.Suspend(ctx, "a"))
	must(t, m.SuspendService(ctx, "b", service))
	must(t, m.Reactivate(ctx, "a"))
	must(t, m.ReactivateService(ctx, "b", service))
	must(t, m.Disassociate(ctx, "c", service, true))
	must(t, m.Suspend(ctx, "c"))
	must(t, m.Add(ctx, "other", "d"))
	_, err := m.Associate(ctx, "a", "other", managerapi.CreateAssociationRequest{})
	must(t, err)
	must(t, m.SuspendService(ctx, "a", "other"))
	must(t, m.Suspend(ctx, "b"))
	must(t, m.Disassociate(ctx, "b", service, false))
	must(t, m.Reactivate(ctx, "b"))
	must(t, m.Delete(ctx, "a"))
	set := map[string]bool{}
	for _, evt := range m.Events() {
		fold(t, set, evt)
		m.StaleList(1, evt.Revision)
		var got []string
		v, err := m.Fetcher().FetchSnapshot(ctx, tenant.SnapshotRequest{Service: service, Each: func(row tenant.Row) { got = append(got, string(row.ID)) }})
		must(t, err)
		slices.Sort(got)
		want := make([]string, 0, len(set))
		for id := range set {
			want = append(want, id)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) || v.Version.Revision != evt.Revision {
			t.Errorf("at %d (%s of %s): list %q of revision %d, want %q", evt.Revision, evt.EventType, evt.TenantID, got, v.Version.Revision, want)
		}
	}
}

func fold(tb testing.TB, set map[string]bool, evt tenant.Event) {
	tb.Helper()
	switch evt.EventType {
	case tenant.EventSuspended, tenant.EventDeleted:
		delete(set, evt.TenantID)
		return
	case tenant.EventCreated, tenant.EventActivated, tenant.EventUpdated:
		return
	default:
	}
	name, err := evt.ServiceName()
	must(tb, err)
	switch {
	case name != service:
	case evt.EventType == tenant.EventServiceAssociated, evt.EventType == tenant.EventServiceReactivated:
		set[evt.TenantID] = true
	default:
		delete(set, evt.TenantID)
	}
}
