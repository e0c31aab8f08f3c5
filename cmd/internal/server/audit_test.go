package server

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// TestX41EachMutatingRouteHasARow: one, under its name in the OpenAPI document, which docs/operations.md has too. A route that is new
// is among them by itself.
func TestX41EachMutatingRouteHasARow(t *testing.T) {
	e := newEdge(t)
	manual, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, id := range e.ids {
		c := e.calls[id]
		if c.kind != kindChange && id != "get-connections" {
			continue
		}
		seen++
		t.Run(id, func(t *testing.T) {
			r := e.good(t, c)
			e.makeReady(t, id, &r)
			last := lastAudited(t, e.store)
			if got := r.send(t.Context(), true); got.status >= http.StatusBadRequest || got.status == 0 {
				t.Fatalf("%s %s: %d %s %v", r.method, r.target, got.status, got.body, got.err)
			}
			rows, err := e.store.Audit(t.Context(), last, 100)
			if err != nil || len(rows) != 1 || rows[0].Call != id || rows[0].Target == "" || rows[0].Result == "" || !strings.HasPrefix(rows[0].Actor, "token ") {
				t.Errorf("%+v, %v; want one row of %s", rows, err, id)
			}
			if !strings.Contains(string(manual), "`"+id+"`") {
				t.Errorf("docs/operations.md does not say that a call is %s", id)
			}
		})
	}
	if seen < 15 {
		t.Errorf("only %d calls change something", seen)
	}
}

// makeReady brings about that there is something to do.
func (e *edge) makeReady(t *testing.T, id string, r *edgeRequest) {
	t.Helper()
	var err error
	switch id {
	case "reactivate-tenant":
		err = e.store.SuspendTenant(t.Context(), strings.Split(r.target, "/")[3])
	case "reactivate-association":
		err = e.store.SuspendAssociation(t.Context(), strings.Split(r.target, "/")[3], "ledger")
	case "retry-event":
		var made store.Tenant
		if made, _, err = e.store.CreateTenant(t.Context(), store.NewTenant{Name: "given up"}); err != nil || made.ID == "" {
			break
		}
		waiting, failed := e.store.Pending(t.Context(), 1000)
		if failed != nil {
			t.Fatal(failed)
		}
		last := waiting[len(waiting)-1].Ref()
		err = e.store.Quarantine(t.Context(), last, "why")
		r.target = strings.Replace(r.target, "999999", strconv.FormatUint(last.Revision, 10), 1)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func lastAudited(t *testing.T, s *store.Store) int64 {
	t.Helper()
	var last int64
	for {
		rows, err := s.Audit(t.Context(), last, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			return last
		}
		last = rows[len(rows)-1].ID
	}
}
