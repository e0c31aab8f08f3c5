package discovery_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/edges"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// managerEnd is a row: what the server at the manager's address does, and what has to come of it.
type managerEnd struct {
	serve func(manager http.Handler) http.Handler
	want  func(error) bool // nil where the list is taken all the same
}

func in(err error) func(error) bool { return func(got error) bool { return errors.Is(got, err) } }

func answered(status int) func(error) bool {
	return func(err error) bool {
		var answer *managerapi.Error
		return errors.As(err, &answer) && answer.StatusCode == status
	}
}

// instead is a server that is another one.
func instead(other http.HandlerFunc) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler { return other }
}

// unanswered answers nothing.
func unanswered(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// slow answers like the manager, later.
func slow(d time.Duration) func(http.Handler) http.Handler {
	return func(manager http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pause := time.NewTimer(d)
			defer pause.Stop()
			select {
			case <-pause.C:
				manager.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})
	}
}

// stalled begins its list and says no more.
func stalled(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte(`[{"id":"other"}`))
	_ = http.NewResponseController(w).Flush()
	unanswered(w, r)
}

const edgeLimit = 16 << 10

var managerEnds = map[string]managerEnd{
	"closes":                     {instead(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), in(managerapi.ErrUnavailable)},
	"redirects":                  {instead(always(302, nil, "Location", "http://127.0.0.2/")), answered(302)},
	"is another server":          {instead(always(200, []byte("<html>welcome"))), asType[*managerapi.DecodeError]},
	"does not know the path":     {instead(always(404, []byte("{}"))), answered(404)},
	"refuses the key":            {instead(always(403, nil)), answered(403)},
	"fails":                      {instead(always(500, nil)), answered(500)},
	"is over its limit":          {instead(always(429, nil, "Retry-After", "7")), answered(429)},
	"is down for a while":        {instead(always(503, nil, "Retry-After", "86400")), answered(503)},
	"says 304 unasked":           {instead(withoutCondition(always(304, nil))), answered(304)},
	"never answers":              {instead(unanswered), in(context.DeadlineExceeded)},
	"stops in the list":          {instead(stalled), in(context.DeadlineExceeded)},
	"answers after 20 s":         {serve: slow(20 * time.Second)},
	"says too much":              {instead(tooLong([]byte(`[{"id":"other"}`), []byte(`,{"id":"other"}`))), asType[*managerapi.BodyTooLargeError]},
	"closes in the list":         {instead(always(200, []byte(`[{"id":"other"}`), "Content-Length", "99")), asType[*managerapi.DecodeError]},
	"cuts the list":              {instead(always(200, []byte(`[{"id":"other"}`))), asType[*managerapi.DecodeError]},
	"names its fields otherwise": {instead(always(200, []byte(`[{"ID":"other"},{"Id":"third"}]`))), asType[*discovery.UnusableListError]},
	"has numbers for ids":        {instead(always(200, []byte(`[{"id":7}]`))), asType[*discovery.UnusableListError]},
	"is another environment's": {
		instead(always(200, []byte(`[{"id":"other"}]`), managerapi.HeaderEnvironment, "production")), asType[*discovery.EnvironmentError],
	},
}

// withoutCondition has the next handler see no condition; a 304 is then one that nobody asked for.
func withoutCondition(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusPreconditionFailed) // after which the client asks without
			return
		}
		next(w, r)
	}
}

// edge is a discovery whose manager can be swapped for that of a row.
type edge struct {
	*fixture

	end     managerEnd
	swapped atomic.Bool
	d       *discovery.TenantDiscovery
}

// discoveryEdges are the columns. Each begins with a discovery that is not started, of the tenants acme and beta.
var discoveryEdges = map[string]func(t *testing.T, e *edge){
	"TenantDiscovery.Start": func(t *testing.T, e *edge) {
		e.swapped.Store(true)
		e.wantFailed(t, e.d.Start(t.Context()))
	},
	"TenantDiscovery.Run": func(t *testing.T, e *edge) {
		e.swapped.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := e.d.Run(ctx)
		if e.end.want == nil {
			if err != nil || e.d.Status().State != discovery.Closed {
				t.Errorf("Run returned %v, and the state is %v", err, e.d.Status().State)
			}
			return
		}
		e.wantFailed(t, err)
	},
	"TenantDiscovery.Refresh": func(t *testing.T, e *edge) {
		e.begin(t)
		e.wantError(t, e.d.Refresh(t.Context()))
		wantSet(t, e.d, "acme", "beta")
		e.wantHealed(t, "acme", "beta")
	},
	"TenantDiscovery.HandleEvent": func(t *testing.T, e *edge) {
		e.begin(t)
		if err := e.d.HandleEvent(t.Context(), event(tenant.EventServiceSuspended, "beta")); err != nil {
			t.Error(err)
		}
		if err := e.d.HandleEvent(t.Context(), tenant.Event{EventType: tenant.EventDeleted}); !errors.Is(err, tenant.ErrInvalidEvent) {
			t.Errorf("got %v for no event", err)
		}
		wantSet(t, e.d, "acme")
		e.wantDoubt(t)
		wantSet(t, e.d, e.listed("acme")...)
		e.wantHealed(t, "acme", "beta") // the manager knows of no suspension
	},
	"TenantDiscovery.Changes": func(t *testing.T, e *edge) {
		e.begin(t)
		e.feed.Gap(nil)
		pass(time.Minute)
		e.suspend(t, "beta") // which tells of itself by an event
		settle()
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		for change := range e.d.Changes(ctx) {
			if told = append(told, string(change.Kind)+" "+change.TenantID); change.Kind == tenant.Added {
				e.suspend(t, "acme")
			}
			if change.Kind == tenant.Removed {
				cancel()
			}
		}
		if got := strings.Join(told, ", "); got != "added acme, removed acme" {
			t.Errorf("told %s", got)
		}
		cancel()
	},
	"TenantDiscovery.Close": func(t *testing.T, e *edge) {
		e.begin(t)
		e.feed.Gap(nil)
		pass(time.Second) // a request is under way, or has failed
		began := time.Now()
		if err := e.d.Close(); err != nil || time.Since(began) > time.Second {
			t.Errorf("Close returned %v, after %v", err, time.Since(began))
		}
		wantState(t, e.d, discovery.Closed)
		wantSet(t, e.d, "acme", "beta")
	},
}

// TestEdgesOfDiscovery: whatever the server at the manager's address does, what comes out has a type, the set is the last
// known one, it is not Live while something may have been missed, and all is well once the manager is.
func TestEdgesOfDiscovery(t *testing.T) {
	var faults, columns []string
	for name := range managerEnds {
		faults = append(faults, name)
	}
	for name := range discoveryEdges {
		columns = append(columns, name)
	}
	slices.Sort(faults)
	slices.Sort(columns)
	edges.Table{
		Face: "http client", Packages: []string{"."}, Faults: faults, Operations: columns,
		Inside: map[string]string{"NewTenantDiscovery": "it touches no network", "State.MarshalText": "it is a word in memory", "Status.MarshalJSON": "it is a text of what is in memory"},
		Cell: func(fault, operation string) edges.Cell {
			return edges.Cell{Run: func(t *testing.T) {
				bubble(t, func(t *testing.T) { discoveryEdges[operation](t, newEdge(t, managerEnds[fault])) })
			}}
		},
	}.Run(t)
}

func newEdge(t *testing.T, end managerEnd) *edge {
	t.Helper()
	e := &edge{fixture: newFixture(t, "acme", "beta"), end: end}
	e.cfg.Environment = "test"
	other := end.serve(e.manager)
	e.overHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.swapped.Load() {
			other.ServeHTTP(w, r)
			return
		}
		e.manager.ServeHTTP(w, r)
	}), managerapi.Config{APIKey: managerapi.StaticKey(e.manager.APIKey()), Retries: -1, ListLimit: edgeLimit, BodyLimit: edgeLimit})
	e.d = e.new(t)
	return e
}

// begin starts while all is well; then the manager is swapped.
func (e *edge) begin(t *testing.T) {
	t.Helper()
	if err := e.d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, e.d, discovery.Live)
	e.swapped.Store(true)
}

func (e *edge) wantError(t *testing.T, err error) {
	t.Helper()
	if e.end.want == nil && err != nil || e.end.want != nil && !e.end.want(err) {
		t.Errorf("got %T: %v", err, err)
	}
}

// wantFailed wants a start to have failed, to have left nothing, and to succeed once the manager is well.
func (e *edge) wantFailed(t *testing.T, err error) {
	t.Helper()
	if e.wantError(t, err); e.end.want != nil {
		wantState(t, e.d, discovery.Starting)
		wantSet(t, e.d)
		e.swapped.Store(false)
		pass(time.Minute) // which closes the breaker of the client, should that be open
		if err := e.d.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wantState(t, e.d, discovery.Live)
	wantSet(t, e.d, "acme", "beta")
}

// wantDoubt wants a sign of a loss, which came before, to be seen.
func (e *edge) wantDoubt(t *testing.T) {
	t.Helper()
	wantState(t, e.d, discovery.Syncing)
	pass(discovery.DefaultResyncSpread + discovery.DefaultBootstrapTimeout + discovery.DefaultPollInterval + time.Second)
	if e.end.want == nil {
		wantState(t, e.d, discovery.Live)
		return
	}
	wantState(t, e.d, discovery.Stale)
	e.wantError(t, e.d.Status().SnapshotError)
}

// listed is what the set is by then: that of the list, where it is one, and what was known otherwise.
func (e *edge) listed(known ...string) []string {
	if e.end.want == nil {
		return []string{"acme", "beta"}
	}
	return known
}

// wantHealed ends the fault.
func (e *edge) wantHealed(t *testing.T, want ...string) {
	t.Helper()
	e.swapped.Store(false)
	e.feed.Gap(nil)
	pass(6 * time.Minute) // the longest Retry-After, and more
	wantState(t, e.d, discovery.Live)
	wantSet(t, e.d, want...)
	if err := e.d.Status().SnapshotError; err != nil {
		t.Errorf("Status still says %v", err)
	}
}
