package discovery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// get asks the handler, mounted below a path, and returns the body.
func get(t testing.TB, h http.Handler, target string, wantStatus int) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/debug/tenants/", http.StripPrefix("/debug/tenants", h))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/tenants/"+target, nil))
	if w.Code != wantStatus {
		t.Errorf("%s answers %d: %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

func getJSON[T any](t testing.TB, h http.Handler, target string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(get(t, h, target, http.StatusOK)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "b-1", "b-2", "b-3")
		d := f.start(t)
		h := discovery.Handler(d)
		f.suspend(t, "acme")
		f.manager.FailList(-1, 500, "")
		f.feed.Gap(nil)
		pass(2_000_000_000)

		status := getJSON[map[string]any](t, h, "status")
		if status["service"] != service || status["state"] != "syncing" || status["tenants"] != 3.0 || status["ready"] != true {
			t.Errorf("status %v", status)
		}
		if text, _ := status["snapshot_error"].(string); !strings.Contains(text, "500") {
			t.Errorf("status %v", status)
		}
		if counters, _ := status["counters"].(map[string]any); counters["events_applied"] != 1.0 {
			t.Errorf("counters %v", counters)
		}

		type list struct {
			Tenants []string
			Next    string
			Total   int
		}
		if got := fmt.Sprint(getJSON[list](t, h, "tenants?prefix=b-&limit=2")); got != "{[b-1 b-2] b-2 3}" {
			t.Errorf("first page %s", got)
		}
		if got := fmt.Sprint(getJSON[list](t, h, "tenants?prefix=b-&limit=2&after=b-2")); got != "{[b-3]  3}" {
			t.Errorf("second page %s", got)
		}
		if got := get(t, h, "tenants?prefix=none", http.StatusOK); !strings.Contains(got, `"tenants": []`) {
			t.Errorf("none: %s", got)
		}

		why := getJSON[struct {
			Active  bool
			Changes []tenant.Change
		}](t, h, "explain?tenant=acme")
		if why.Active || len(why.Changes) != 2 || why.Changes[1].EventType != tenant.EventSuspended {
			t.Errorf("explained by %+v", why)
		}
		for _, bad := range []string{"tenants?limit=0", "tenants?limit=x", "tenants?limit=1001", "explain", "explain?tenant=%3Cb%3E"} {
			get(t, h, bad, http.StatusBadRequest)
		}
		get(t, h, "nowhere", http.StatusNotFound)
	})
}

func TestHandlersPage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		ids, err := f.manager.Seed(t.Context(), service, 150)
		if err != nil {
			t.Fatal(err)
		}
		d := f.start(t)
		h := discovery.Handler(d)
		f.suspend(t, ids[0])
		settle()
		body := get(t, h, "?tenant="+ids[0]+"&prefix=%22%3E%3Cscript%3E", http.StatusOK)
		for _, want := range []string{"live", "149 tenants", "not active</span>", "tenant.suspended", "0 that begin with"} {
			if !strings.Contains(strings.ReplaceAll(body, "not active?", "not active</span>"), want) {
				t.Errorf("the page does not have %q", want)
			}
		}
		if strings.Contains(body, "<script>") {
			t.Error("what was asked for gets into the page as it is")
		}
		if body := get(t, h, "", http.StatusOK); strings.Count(body, "<li") != 100 || !strings.Contains(body, "next page") {
			t.Errorf("%d tenants on the page", strings.Count(body, "<li"))
		}
	})
}

// TestHandlerIsSafe: nothing is loaded from elsewhere, nothing is kept, and only GET is served.
func TestHandlerIsSafe(t *testing.T) {
	h := discovery.Handler(newFixture(t).new(t))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(w.Body.String(), "http") || strings.Contains(w.Body.String(), "<script") {
		t.Error("the page loads something")
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/status", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", w.Code)
	}
	w = httptest.NewRecorder()
	discovery.Handler(nil).ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Errorf("of a nil discovery: %d", w.Code)
	}
}
