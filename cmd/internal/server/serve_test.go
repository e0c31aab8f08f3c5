package server

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestS09Metrics(t *testing.T) {
	var changes atomic.Int64
	h := start(t, func(c *Config) { c.OnChange = func() { changes.Add(1) } })
	id := h.tenant(t, "Acme")
	h.want(t, 404, "GET", "/v1/tenants/nobody", "")
	h.want(t, 401, "GET", "/v1/tenants/"+id, "", without("X-API-Key"), without("Authorization"))
	h.want(t, 404, "GET", "/v1/c4n4ry", "")
	meter := h.MeterProvider().Meter("test")
	counter, err := meter.Int64Counter("tenantwatch.test")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	var text string
	eventually(t, "the last request in the metrics", func() bool {
		text = h.fetch(t, h.adminURL+"/metrics")
		return strings.Contains(text, `route="none"`)
	})
	has(t, text,
		`tenantwatch_manager_requests_total{method="POST",route="/v1/tenants",status="201"} 1`,
		`tenantwatch_manager_requests_total{method="GET",route="/v1/tenants/{id}",status="404"} 1`,
		`tenantwatch_manager_requests_total{method="GET",route="/v1/tenants/{id}",status="401"} 1`,
		`tenantwatch_manager_changes_total{operation="associate"} 1`,
		"# HELP tenantwatch_manager_requests_total Requests that were answered.", "tenantwatch_manager_request_duration_seconds_count",
		`,le="0.005"} `, // seconds, not the milliseconds that OpenTelemetry takes them for
		"tenantwatch_test_total 3", "go_goroutines ",
	)
	for _, secret := range []string{id, "c4n4ry", h.key} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the metrics", secret)
		}
	}
	if changes.Load() != 2 {
		t.Errorf("OnChange was called %d times, want 2", changes.Load())
	}
}

// fetch gets what asks for no credentials.
func (h *served) fetch(t testing.TB, url string) string {
	t.Helper()
	resp, err := h.client.Do(h.request(t, "GET", url, "", without("X-API-Key"), without("Authorization")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + " " + string(data)
}

func TestS10ProfilesAreThereOnlyWhenAsked(t *testing.T) {
	plain, profiled := start(t), start(t, func(c *Config) { c.Profiling = true })
	for url, want := range map[string]string{
		plain.adminURL: "404", profiled.adminURL: "200", profiled.url: "401",
	} {
		if got := plain.fetch(t, url+"/debug/pprof/cmdline"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %.40s, want %s", url, got, want)
		}
	}
}

// TestM11ShutdownUnderLoad: not ready first, while requests are still taken; then what is under way is finished, streams
// end, and Serve returns without an error.
func TestM11ShutdownUnderLoad(t *testing.T) {
	arrived, finish := make(chan struct{}), make(chan struct{})
	h := serve(t, openStore(t), func(s *Server) {
		inner := s.public
		s.public = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Slow") != "" {
				close(arrived)
				<-finish
			}
			inner.ServeHTTP(w, r)
		})
	}, func(c *Config) { c.ShutdownDelay = 300 * time.Millisecond })
	id := h.tenant(t, "Acme")
	stream := h.follow(t, ledgerEvents, "")
	slow := make(chan string, 1)
	request := h.request(t, "PUT", h.url+"/v1/tenants/"+id+"/suspend", "", with("X-Slow", "1"))
	go func() {
		resp, err := h.client.Do(request)
		if err != nil {
			slow <- err.Error()
			return
		}
		slow <- resp.Status
		_ = resp.Body.Close() // there is none
	}()
	<-arrived

	ended := make(chan error, 1)
	go func() { ended <- h.stop() }()
	eventually(t, "not ready", func() bool { return strings.HasPrefix(h.fetch(t, h.adminURL+"/readyz"), "503") })
	has(t, h.want(t, 503, "GET", "/readyz", "").body, `"code":"SHUTTING_DOWN"`)
	h.want(t, 200, "GET", "/v1/tenants/"+id, "") // while it is told to look elsewhere
	h.want(t, 200, "GET", "/healthz", "")
	stream.untilEnd(t)
	select {
	case err := <-ended:
		t.Fatalf("Serve returned %v with a request under way", err)
	default:
	}
	if got := h.fetch(t, h.adminURL+"/readyz"); !strings.HasPrefix(got, "503") {
		t.Errorf("the admin's listener says %s, while the other one is ending", got)
	}
	if log := h.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("an end as it should be is an error in the log:\n%s", log)
	}
	close(finish)
	if got := <-slow; !strings.HasPrefix(got, "204") {
		t.Errorf("the request under way: %s", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if found, err := h.store.Tenant(t.Context(), id); err != nil || found.Status != "suspended" {
		t.Errorf("the change that was answered is not there: %v, %v", found.Status, err)
	}
	if pending, err := h.store.Outbox(t.Context()); err != nil || pending.Pending != 3 {
		t.Errorf("%d events wait for the next start, %v; want 3", pending.Pending, err)
	}
}

func TestServeSaysWhatWasNotFinished(t *testing.T) {
	arrived := make(chan struct{})
	over := openStore(t)
	s, err := New(Config{Store: over, ShutdownTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.public = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done() // until the connection is closed
	})
	h := &served{Server: s, client: &http.Client{Transport: &http.Transport{}}}
	defer h.client.CloseIdleConnections()
	public := listen(t)
	ended, stop := runServe(t, s, public)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		resp, err := h.client.Do(h.request(t, "GET", "http://"+public.Addr().String(), ""))
		if err == nil {
			_ = resp.Body.Close() // it is not to be
		}
	}()
	<-arrived
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("Serve: %v, want that requests were not finished", err)
	}
	<-gone
}

func TestServeFailsWithItsListener(t *testing.T) {
	s, err := New(Config{Store: openStore(t)})
	if err != nil {
		t.Fatal(err)
	}
	public := listen(t)
	ended, stop := runServe(t, s, public)
	defer stop()
	_ = public.Close() // under its feet
	if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), "serve: ") {
		t.Errorf("Serve: %v, want the listener's error", err)
	}
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	over := openStore(t)
	for _, cfg := range []Config{{}, {Store: over, RateLimit: -1}, {Store: over, RequestTimeout: -1}, {Store: over, ShutdownDelay: -1}, {Store: over, ShutdownTimeout: -1}} {
		if s, err := New(cfg); err == nil || s != nil {
			t.Errorf("New(%+v) made a server", cfg)
		}
	}
}

// TestWhatTakesLongIsNotCutOffByTheTimeForReading: lists, streams and profiles rely on net/http's watching for the client's
// going away without an end.
func TestWhatTakesLongIsNotCutOffByTheTimeForReading(t *testing.T) {
	s, err := New(Config{Store: openStore(t)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/long", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusTeapot)
		case <-time.After(300 * time.Millisecond):
		}
	})
	short := s.httpServer(s.observed(mux, mux))
	short.ReadTimeout = 50 * time.Millisecond
	l := listen(t)
	ended := make(chan error, 1)
	go func() { ended <- short.Serve(l) }()
	h := &served{Server: s, url: "http://" + l.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	h.want(t, 200, "GET", "/v1/long", "")
	h.client.CloseIdleConnections()
	if err := short.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
