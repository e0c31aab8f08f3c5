package managerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
)

// TestWhatIsTriedAgain has one row for each thing that can go wrong, and says how often reading, writing in an
// idempotent way, and creating is tried.
func TestWhatIsTriedAgain(t *testing.T) {
	const all = 3
	status := func(code int) roundTrip {
		return func(*http.Request) (*http.Response, error) { return reply(code, ""), nil }
	}
	failure := func(err error) roundTrip { return func(*http.Request) (*http.Response, error) { return nil, err } }
	tests := []struct {
		name             string
		answer           roundTrip
		get, put, create int
		want             error
	}{
		{"429", status(429), all, all, all, ErrUnavailable},
		{"502", status(502), all, all, 1, ErrUnavailable},
		{"503", status(503), all, all, 1, ErrUnavailable},
		{"504", status(504), all, all, 1, ErrUnavailable},
		{"never connected", failure(errRefused), all, all, all, ErrUnavailable},
		{"reset", failure(errReset), all, all, 1, ErrUnavailable},
		{"closed", failure(io.EOF), all, all, 1, ErrUnavailable},
		{"no answer at all", func(*http.Request) (*http.Response, error) { return nil, nil }, all, all, 1, ErrUnavailable}, //nolint:nilnil // a broken transport
		{"bad certificate", failure(&tls.CertificateVerificationError{Err: errors.New("x")}), 1, 1, 1, ErrUnavailable},
		{"400", status(400), 1, 1, 1, nil},
		{"401", status(401), 1, 1, 1, ErrUnauthorized},
		{"403", status(403), 1, 1, 1, ErrAccessDenied},
		{"404", status(404), 1, 1, 1, ErrNotFound},
		{"409", status(409), 1, 1, 1, ErrConflict},
		{"500", status(500), 1, 1, 1, nil},
		{"302", status(302), 1, 1, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				c := newClient(t, Config{BaseURL: "https://tm", Retries: all - 1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					tries++
					return tt.answer(r)
				})})
				check := func(name string, want int, err error) {
					if err == nil || tt.want != nil && !errors.Is(err, tt.want) || tries != want {
						t.Errorf("%s: %v after %d tries, want %v after %d", name, err, tries, tt.want, want)
					}
					tries = 0
				}
				_, err := c.Tenant(t.Context(), "acme")
				check("get", tt.get, err)
				_, err = c.GetActiveTenantsByService(t.Context(), "ledger")
				check("list", tt.get, err)
				check("put", tt.put, c.SuspendTenant(t.Context(), "acme"))
				check("delete", tt.put, c.DeleteTenant(t.Context(), "acme"))
				_, err = c.CreateTenant(t.Context(), CreateTenantRequest{})
				check("post", tt.create, err)
				check("patch", tt.create, c.UpdateTenant(t.Context(), "acme", UpdateTenantRequest{}))
			})
		})
	}
}

// A suspend whose answer is lost is sent again, with its body, and then meets its own work.
func TestRetriedWriteFindsConflict(t *testing.T) {
	var bodies []string
	c := newClient(t, Config{BaseURL: "https://tm", BackoffBase: 1, BackoffMax: 1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if bodies = append(bodies, string(data)); len(bodies) == 1 {
			return nil, errReset
		}
		return reply(http.StatusConflict, ""), nil
	})})
	err := c.UpdateConnections(t.Context(), "acme", "ledger", UpdateConnectionsRequest{Module: "m"})
	if !errors.Is(err, ErrConflict) || len(bodies) != 2 || bodies[0] != `{"module":"m"}` || bodies[1] != bodies[0] {
		t.Errorf("got %v after %q", err, bodies)
	}
}

func TestBackoffGrowsUpToItsBound(t *testing.T) {
	policy := Config{BackoffBase: 100 * time.Millisecond, BackoffMax: time.Second}
	for n, milliseconds := range []int{100, 200, 400, 800, 1000, 1000, 1000} {
		bound := time.Duration(milliseconds) * time.Millisecond
		var longest, shortest time.Duration = 0, time.Hour
		for range 2000 {
			wait := policy.wait(n, 0)
			longest, shortest = max(longest, wait), min(shortest, wait)
		}
		if longest > bound || longest < bound*9/10 || shortest > bound/10 {
			t.Errorf("retry %d waits %s to %s, want all of 0 to %s", n, shortest, longest, bound)
		}
	}
	for _, base := range []time.Duration{1, math.MaxInt64} {
		huge := Config{BackoffBase: base, BackoffMax: math.MaxInt64}
		for range 100 {
			if wait := huge.wait(1000, MaxRetryAfter); wait < MaxRetryAfter {
				t.Fatalf("overflow: %s", wait)
			}
		}
	}
}

func TestWaitEndsWithCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{BaseURL: "https://tm", Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return reply(http.StatusServiceUnavailable, "", "Retry-After", "60"), nil
		})})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		_, err := c.GetActiveTenantsByService(ctx, "ledger")
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("returned after %s, want 3 s", waited)
		}
		if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want the ctx's end and the last answer", err)
		}
	})
}

// pipeManager serves HTTP over net.Pipe, so that a real transport can be tested in a synctest bubble.
func pipeManager(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	listener := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}} //nolint:gosec // in memory
	server.Start()
	transport := &http.Transport{DialContext: listener.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return transport
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// An attempt that gets no answer, or only a part of one, ends after its time-out and is tried again.
func TestAttemptTimeout(t *testing.T) {
	for name, begin := range map[string]string{"no answer": "", "half an answer": "[", "a row": `[{"id":"a"},`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := pipeManager(t, func(w http.ResponseWriter, r *http.Request) {
					if begin != "" {
						_, _ = io.WriteString(w, begin)
						_ = http.NewResponseController(w).Flush()
					}
					<-r.Context().Done()
				})
				c := newClient(t, Config{BaseURL: "http://127.0.0.1", Transport: transport, Timeout: 20 * time.Second, Retries: 1, BackoffBase: 1, BackoffMax: 1})
				start := time.Now()
				_, err := c.GetActiveTenantsByService(t.Context(), "ledger")
				if took := time.Since(start).Round(time.Second); took != 40*time.Second {
					t.Errorf("took %s, want two attempts of 20 s", took)
				}
				if !errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "20s") {
					t.Errorf("got %v, want ErrUnavailable with the time-out", err)
				}
			})
		})
	}
}

// The caller's own deadline is told as such, together with what went wrong before.
func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		transport := pipeManager(t, func(w http.ResponseWriter, r *http.Request) {
			tries++
			if tries == 1 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			<-r.Context().Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c := newClient(t, Config{BaseURL: "http://127.0.0.1", Transport: transport, BackoffBase: 1, BackoffMax: 1})
		_, err := c.FetchSnapshot(ctx, plainly("ledger"))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "502") {
			t.Errorf("got %v, want the deadline and the 502", err)
		}
	})
}

// A manager that never finishes an error's details does not keep the error from its caller.
func TestErrorBodyThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := pipeManager(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"code":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		c := newClient(t, Config{BaseURL: "http://127.0.0.1", Transport: transport})
		start := time.Now()
		_, err := c.Tenant(t.Context(), "acme")
		if took := time.Since(start); !errors.Is(err, ErrAccessDenied) || took != errorBodyTime {
			t.Errorf("got %v after %s", err, took)
		}
	})
}

// An ignored body that never ends does not keep a success from its caller.
func TestIgnoredBodyThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := pipeManager(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		c := newClient(t, Config{BaseURL: "http://127.0.0.1", Transport: transport})
		start := time.Now()
		err := c.SuspendTenant(t.Context(), "acme")
		if took := time.Since(start); err != nil || took != drainTime {
			t.Errorf("got %v after %s", err, took)
		}
	})
}

// Connections are used again, also after errors and answers that nobody reads.
func TestConnectionsAreReused(t *testing.T) {
	addresses := map[string]bool{}
	m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		status := map[string]int{http.MethodGet: 200, http.MethodPut: 200, http.MethodDelete: 404}[r.Method]
		always(status, oneRow+strings.Repeat(" ", 5000))(w, r)
	})
	c := newClient(t, Config{BaseURL: m.URL})
	for range 5 {
		_, _ = c.GetActiveTenantsByService(t.Context(), "ledger")
		_ = c.SuspendTenant(t.Context(), "acme")
		_ = c.DeleteTenant(t.Context(), "acme")
	}
	if len(addresses) != 1 {
		t.Errorf("%d connections, want 1", len(addresses))
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{"7", "", "-1", "0", " 7 ", "7.5", "99999999999999999999", "Mon, 02 Jan 2040 15:04:05 GMT", "soon"} {
		f.Add(seed)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		if wait := parseRetryAfter(value, now); wait < 0 || wait > MaxRetryAfter {
			t.Errorf("%q: %s", value, wait)
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, " 120 ": 2 * time.Minute, "0": 0, "": 0, "-7": 0, "+7": 0, "7.5": 0, "7s": 0, "300": MaxRetryAfter,
		"301": MaxRetryAfter, "99999999999999999999999": MaxRetryAfter, "Thu, 01 Jan 2026 00:00:09 GMT": 9 * time.Second,
		"Wed, 31 Dec 2025 23:59:59 GMT": 0, "Thu, 01 Jan 2036 00:00:00 GMT": MaxRetryAfter, "Thu Jan  1 00:00:04 2026": 4 * time.Second,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

// Against a port on which nobody listens, also a POST is tried again: it cannot have been received.
func TestNobodyListens(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	own, tries := newTransport(nil, time.Second), 0
	c := newClient(t, Config{BaseURL: server.URL, BackoffBase: 1, BackoffMax: 1, Retries: 2, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		tries++
		return own.RoundTrip(r)
	})})
	_, err := c.CreateTenant(t.Context(), CreateTenantRequest{})
	if !errors.Is(err, ErrUnavailable) || tries != 3 || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v after %d tries, want ErrUnavailable after 3", err, tries)
	}
}

func TestEndedCtxAsksNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked := 0
	c := newClient(t, Config{BaseURL: "https://tm", APIKey: func(context.Context) (string, error) {
		asked++
		return "k", nil
	}, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		asked++
		return reply(http.StatusOK, oneRow), nil
	})})
	if _, err := c.GetActiveTenantsByService(ctx, "ledger"); !errors.Is(err, context.Canceled) || asked != 0 {
		t.Errorf("got %v after asking %d times", err, asked)
	}
}
