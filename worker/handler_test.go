package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/debugpage"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// statusOf makes a Status with n tenants in each state, as a Group would.
func statusOf(n int) Status {
	s := Status{Waiting: n, Running: n, Stopping: n, Overstaying: n, Restarting: n, Done: n, GivenUp: n}
	start := time.Now().Add(-time.Hour)
	for i := range n * len(everyState) {
		t := TenantStatus{TenantID: fmt.Sprintf("t-%06d", i), State: everyState[i%len(everyState)], Since: start.Add(time.Duration(-i) * time.Second), Active: true}
		switch t.State {
		case Restarting, GivenUp:
			t.Restarts, t.LastError = i, fmt.Errorf("database %d refused", i)
		case Stopping, Overstaying:
			t.Active = i%2 == 0
		case Waiting:
			t.Place = i/len(everyState) + 1
		default:
		}
		s.Tenants = append(s.Tenants, t)
	}
	return s
}

// handlerOf shows a Status as Handler would that of a Group.
func handlerOf(s Status) http.Handler {
	return handler{status: func() Status { return s }, log: slog.New(slog.DiscardHandler), html: debugpage.Parse(pageSource)}.routes()
}

// getPage asks the handler, mounted below a path, over HTTP.
func getPage(t testing.TB, h http.Handler, target string, wantStatus int) (string, http.Header) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/debug/workers/", http.StripPrefix("/debug/workers", h))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/workers/"+target, nil))
	if w.Code != wantStatus {
		t.Errorf("%s answers %d: %s", target, w.Code, w.Body)
	}
	return w.Body.String(), w.Header()
}

func getPageJSON[T any](t testing.TB, h http.Handler, target string) (v T) {
	t.Helper()
	body, header := getPage(t, h, target, http.StatusOK)
	if err := json.Unmarshal([]byte(body), &v); err != nil || header.Get("Content-Type") != debugpage.ContentJSON {
		t.Fatal(err, header)
	}
	return v
}

// mixed runs a Group with a tenant in each state, and returns it with what lets its last run end.
func mixed(t testing.TB, settle func()) (*Group, func()) {
	t.Helper()
	free := make(chan struct{})
	g, err := NewGroup(Config{Limit: 2, StopGrace: time.Second, MinBackoff: time.Hour, MaxBackoff: time.Hour, Work: func(ctx context.Context, id string) error {
		switch id {
		case "failing":
			return errors.New("the queue is gone")
		case "finished":
			return nil
		case "hopeless":
			return fmt.Errorf("%w: no such schema", ErrGiveUp)
		case "deaf", "stopping":
			<-free
		default:
			<-ctx.Done()
		}
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	changes, ended := make(chan tenant.Change), make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		ended <- g.Run(ctx, func(yield func(tenant.Change) bool) {
			for c := range changes {
				if !yield(c) {
					return
				}
			}
		})
	}()
	tell := func(kind tenant.Kind, ids ...string) {
		for _, id := range ids {
			changes <- tenant.Change{Kind: kind, TenantID: id}
			settle()
		}
	}
	tell(tenant.Added, "failing", "finished", "hopeless", "deaf", "running")
	tell(tenant.Removed, "deaf")
	time.Sleep(2 * time.Second)
	tell(tenant.Added, "stopping", "first", "second")
	tell(tenant.Reconfigured, "stopping")
	return g, func() {
		close(free)
		close(changes)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestHandlerOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, end := mixed(t, synctest.Wait)
		defer end()
		h := Handler(g)
		var got []string
		for _, v := range getPageJSON[listView](t, h, "tenants").Tenants {
			got = append(got, fmt.Sprintf("%s: %s %d %t %s", v.TenantID, v.State, v.Place, v.Active, v.LastError))
		}
		want := []string{
			"deaf: overstaying 0 false ", "failing: restarting 0 true the queue is gone", "finished: done 0 true ",
			"first: waiting 1 true ", "hopeless: given up 0 true given up: no such schema", "running: running 0 true ",
			"second: waiting 2 true ", "stopping: stopping 0 true ",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		counts := getPageJSON[map[string]int](t, h, "status")
		if fmt.Sprint(counts) != "map[done:1 given_up:1 limit:2 overstaying:1 restarting:1 running:1 stopping:1 tenants:8 waiting:2]" {
			t.Errorf("counts %v", counts)
		}
		body, _ := getPage(t, h, "", http.StatusOK)
		for _, want := range []string{"8 tenants", "1 overstaying", "the queue is gone", "(2. in line)", "(gone)"} {
			if !strings.Contains(body, want) {
				t.Errorf("the page does not have %q", want)
			}
		}
	})
}

func TestHandlersStatus(t *testing.T) {
	s := statusOf(1)
	s.Waiting, s.Running, s.Stopping, s.Overstaying, s.Restarting, s.Done, s.GivenUp = 1, 2, 3, 4, 5, 6, 7
	got := getPageJSON[map[string]int](t, handlerOf(s), "status")
	const want = "map[done:6 given_up:7 overstaying:4 restarting:5 running:2 stopping:3 tenants:7 waiting:1]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

func TestHandlersTenants(t *testing.T) {
	h := handlerOf(statusOf(3)) // t-000000 waits, … t-000006 is given up, and so on
	ids := func(v listView) (ids []string) {
		for _, tenant := range v.Tenants {
			ids = append(ids, strings.TrimPrefix(tenant.TenantID, "t-0000"))
		}
		return ids
	}
	tests := []struct {
		target, want string
	}{
		{"tenants", "[00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20]  21"},
		{"tenants?state=given+up", "[06 13 20]  3"},
		{"tenants?state=running&limit=2", "[01 08] t-000008 3"},
		{"tenants?state=running&limit=2&after=t-000008", "[15]  3"},
		{"tenants?prefix=t-00001&limit=3", "[10 11 12] t-000012 10"},
		{"tenants?prefix=t-00001&limit=3&after=t-000018", "[19]  10"},
		{"tenants?prefix=none", "[]  0"},
		{"tenants?limit=21", "[00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20]  21"},
	}
	for _, tt := range tests {
		v := getPageJSON[listView](t, h, tt.target)
		if got := fmt.Sprintf("%v %s %d", ids(v), v.Next, v.Total); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.target, got, tt.want)
		}
	}
	one := getPageJSON[listView](t, h, "tenants?state=restarting&limit=1").Tenants[0]
	one.Since = time.Time{}
	if want := (tenantView{TenantID: "t-000004", State: "restarting", Restarts: 4, LastError: "database 4 refused", Active: true}); one != want {
		t.Errorf("got %+v, want %+v", one, want)
	}
	if body, _ := getPage(t, h, "tenants?prefix=none", http.StatusOK); !strings.Contains(body, `"tenants": []`) {
		t.Errorf("none: %s", body)
	}
	for _, bad := range []string{"tenants?limit=0", "tenants?limit=x", "tenants?limit=1001", "tenants?state=unknown", "?state=x", "?limit=-1"} {
		getPage(t, h, bad, http.StatusBadRequest)
	}
	getPage(t, h, "nowhere", http.StatusNotFound)
}

func TestHandlersPageShowsTroubleFirst(t *testing.T) {
	body, header := getPage(t, handlerOf(statusOf(30)), "", http.StatusOK)
	if header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Error(header)
	}
	last := 0
	for _, want := range []string{
		">trouble<", "30 overstaying", "Overstaying: cancelled", "(gone)", "20 more", "Given up:", "database 209 refused", "20 more",
		"Restarting:", "database 207 refused", "20 more", "Waiting in line<", "(1. in line)", "(10. in line)", "20 more", "<h2>Tenants", "t-000001", "next page",
	} {
		at := strings.Index(body[last:], want)
		if at < 0 {
			t.Fatalf("the page does not have %q there", want)
		}
		last += at
	}
	if n, most := strings.Count(body, "<tr><td class=\"id\""), 4*troubleLength+debugpage.Length; n != most {
		t.Errorf("%d rows, want %d", n, most)
	}
	asked, _ := getPage(t, handlerOf(statusOf(30)), "?state=running", http.StatusOK)
	if n := strings.Count(asked, "<tr><td class=\"id\""); n != 30 || strings.Contains(asked, "Overstaying:") {
		t.Errorf("%d rows where 30 were asked for", n)
	}
	if body, _ := getPage(t, handlerOf(Status{Running: 1, Waiting: 1, Tenants: []TenantStatus{{TenantID: "acme", State: Running}}}), "", http.StatusOK); !strings.Contains(body, ">no trouble<") {
		t.Errorf("no trouble is trouble: %s", body)
	}
}

// TestThePageOfManyIsBounded: of 100,000 tenants, all of them in trouble and with long errors, a page has 110.
func TestThePageOfManyIsBounded(t *testing.T) {
	s := Status{Restarting: 100_000}
	failed := errors.New("x" + strings.Repeat("ü", 10_000))
	for i := range s.Restarting {
		s.Tenants = append(s.Tenants, TenantStatus{TenantID: fmt.Sprintf("t-%06d", i), State: Restarting, Since: time.Now(), LastError: failed})
	}
	h := handlerOf(s)
	if body, _ := getPage(t, h, "", http.StatusOK); len(body) > 200<<10 || !strings.Contains(body, "99990 more") {
		t.Errorf("a page of %d bytes", len(body))
	}
	if body, _ := getPage(t, h, "tenants?limit=1000", http.StatusOK); len(body) > 1<<20 || strings.Contains(body, "�") {
		t.Errorf("%d bytes of tenants", len(body))
	}
	if n := len(getPageJSON[listView](t, h, "tenants?after=t-099990").Tenants); n != 9 {
		t.Errorf("%d on the last page", n)
	}
}

// TestHandlerIsSafe: nothing is loaded from elsewhere, nothing is kept, nothing gets into the page as it is, and only GET
// is served.
func TestHandlerIsSafe(t *testing.T) {
	s := Status{Restarting: 1, Tenants: []TenantStatus{{TenantID: "acme", State: Restarting, LastError: errors.New("<script>alert(1)</script>")}}}
	h := handlerOf(s)
	body, header := getPage(t, h, "", http.StatusOK)
	asked, _ := getPage(t, h, "?prefix=%22%3E%3Cscript%3E", http.StatusOK)
	body += asked
	if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %q", policy)
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", header)
	}
	if strings.Contains(body, "http") || strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Errorf("the page loads something, or shows something as it is: %s", body)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/status", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", w.Code)
	}
	getPage(t, Handler(nil), "", http.StatusOK)
}
