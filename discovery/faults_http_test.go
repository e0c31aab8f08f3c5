package discovery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// pipes is a network in memory, so that an HTTP server and its client can live in a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
	read   atomic.Int64 // bytes that the clients were given

	mu     sync.Mutex
	dialed []string
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	p.mu.Lock()
	p.dialed = append(p.dialed, addr)
	p.mu.Unlock()
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return countingConn{client, &p.read}, nil
	case <-p.closed:
		return nil, errors.Join(net.ErrClosed, client.Close(), server.Close())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), client.Close(), server.Close())
	}
}

// countingConn counts what is read.
type countingConn struct {
	net.Conn

	read *atomic.Int64
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

const managerHost = "127.0.0.1:4003"

// overHTTP puts an HTTP server in front of the handler and makes its real client the TMClient.
func (f *fixture) overHTTP(t *testing.T, handler http.Handler, cfg managerapi.Config) *pipes {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Hour, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p) }()
	transport := &http.Transport{DialContext: p.dial}
	cfg.BaseURL, cfg.Transport = "http://"+managerHost, transport
	client, err := managerapi.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	f.cfg.TMClient = client
	return p
}

// keyRing is a provider of keys that notes when it was asked.
type keyRing struct {
	mu    sync.Mutex
	key   string
	asked []time.Time
}

func (k *keyRing) set(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.key = key
}

func (k *keyRing) provide(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, time.Now())
	return k.key, nil
}

// pauses returns the times between the requests since the last call.
func (k *keyRing) pauses() (pauses []time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := 1; i < len(k.asked); i++ {
		pauses = append(pauses, k.asked[i].Sub(k.asked[i-1]))
	}
	k.asked = nil
	return pauses
}

// TestD10RotatedKey: the manager has a new key before we do, and later it reaches us through the function that gives it,
// over HTTP and without a restart.
func TestD10RotatedKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "beta")
		keys := &keyRing{key: "canary-first"}
		f.manager.SetAPIKey("canary-first")
		f.overHTTP(t, f.manager, managerapi.Config{APIKey: keys.provide})
		d := f.start(t)
		told := keep(d)
		keys.pauses()

		f.manager.SetAPIKey("canary-second")
		f.feed.Drop(1)
		f.suspend(t, "beta")
		f.feed.Gap(nil)
		pass(time.Hour)
		pauses := keys.pauses()
		if least, most := slices.Min(pauses), slices.Max(pauses); least < 15*time.Second || most > 31*time.Second {
			t.Errorf("asked again after %v to %v", least, most)
		}
		wantState(t, d, discovery.Stale)
		if err := d.Status().SnapshotError; !errors.Is(err, managerapi.ErrUnauthorized) {
			t.Errorf("Status says %v", err)
		}
		wantSet(t, d, "acme", "beta")
		f.add(t, "gamma") // events need no key
		settle()
		wantSet(t, d, "acme", "beta", "gamma")

		keys.set("canary-second")
		pass(31 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme", "gamma")
		wantTold(t, told, "+gamma, -beta")
		if err := d.Status().SnapshotError; err != nil {
			t.Errorf("Status still says %v", err)
		}
		f.log.want(t, 1, slog.LevelWarn, "the snapshot failed")
		f.log.want(t, 0, slog.LevelDebug, "canary")
	})
}

// TestD10RefusedKeyAtStart: Start says so, and the same discovery starts once the key is right.
func TestD10RefusedKeyAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		keys := &keyRing{key: "canary-wrong"}
		f.overHTTP(t, f.manager, managerapi.Config{APIKey: keys.provide})
		d := f.new(t)
		if err := d.Start(t.Context()); !errors.Is(err, managerapi.ErrUnauthorized) || strings.Contains(err.Error(), "canary") {
			t.Errorf("Start: %v", err)
		}
		if n := f.manager.Requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
		keys.set(f.manager.APIKey())
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "acme")
		wantState(t, d, discovery.Live)
	})
}

// tooLong writes the pattern until the client is gone.
func tooLong(start, pattern []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		_, err := w.Write(start)
		for chunk := bytes.Repeat(pattern, 1+(16<<10)/len(pattern)); err == nil; {
			_, err = w.Write(chunk)
		}
	}
}

func always(status int, body []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write(body) // the client may have gone
	}
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestD12WrongBodiesOverHTTP: whatever comes instead of a list, the real client reads no more than its limit, takes the
// key nowhere else, and gives an error with a type; the set stays, events go on, and a list that is whole heals it.
func TestD12WrongBodiesOverHTTP(t *testing.T) {
	const limit = 1 << 20
	rowsWithout := []byte(`[{"id":"other"},{"id":"thing"}`)
	bomb := zipped(t, append([]byte(`[{"id":"other"}`), bytes.Repeat([]byte(" "), 64<<20)...))
	for name, tc := range map[string]struct {
		answer http.Handler
		typed  func(error) bool
	}{
		"HTML":                        {always(200, []byte("<html>canary</html>"), "Content-Type", "text/html"), asType[*managerapi.DecodeError]},
		"cut short":                   {always(200, rowsWithout), asType[*managerapi.DecodeError]},
		"cut by the connection":       {always(200, rowsWithout, "Content-Length", "4000"), asType[*managerapi.DecodeError]},
		"null":                        {always(200, []byte("null")), asType[*managerapi.DecodeError]},
		"an object":                   {always(200, []byte(`{"tenants":[{"id":"canary"}]}`)), asType[*managerapi.DecodeError]},
		"a gzip bomb":                 {always(200, bomb, "Content-Encoding", "gzip"), asType[*managerapi.BodyTooLargeError]},
		"2 GiB of rows":               {tooLong(rowsWithout, []byte(`,{"id":"other"}`)), asType[*managerapi.BodyTooLargeError]},
		"2 GiB of one row":            {tooLong([]byte(`[{"id":"`), []byte("x")), asType[*managerapi.BodyTooLargeError]},
		"a redirect to another host":  {always(302, rowsWithout, "Location", "http://127.0.0.2:80/v1/tenants/active?service=ledger"), asType[*managerapi.Error]},
		"a permanent one, kept as is": {always(308, rowsWithout, "Location", "//127.0.0.2/"), asType[*managerapi.Error]},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme", "beta")
				var spoilt atomic.Bool
				net := f.overHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if spoilt.Load() {
						tc.answer.ServeHTTP(w, r)
						return
					}
					f.manager.ServeHTTP(w, r)
				}), managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey()), ListLimit: limit, BodyLimit: limit, Retries: -1})
				d := f.start(t)
				told := keep(d)
				spoilt.Store(true)
				before := net.read.Load()
				if err := d.Refresh(t.Context()); !tc.typed(err) {
					t.Errorf("got %T: %v", err, err)
				}
				settle()
				if n := net.read.Load() - before; n > limit+(64<<10) {
					t.Errorf("%d bytes were read", n)
				}
				wantSet(t, d, "acme", "beta")
				wantTold(t, told, "")
				if err := d.Status().SnapshotError; !tc.typed(err) {
					t.Errorf("Status says %v", err)
				}
				f.suspend(t, "beta")
				settle()
				wantTold(t, told, "-beta")
				spoilt.Store(false)
				pass(31 * time.Second)
				wantSet(t, d, "acme")
				wantState(t, d, discovery.Live)
				wantTold(t, told, "")
				net.mu.Lock()
				defer net.mu.Unlock()
				if slices.ContainsFunc(net.dialed, func(addr string) bool { return addr != managerHost }) {
					t.Errorf("connected to %v", net.dialed)
				}
				f.log.want(t, 0, slog.LevelDebug, "canary")
				f.log.want(t, 0, slog.LevelDebug, f.manager.APIKey())
			})
		})
	}
}

// asType reports whether there is an E in the error.
func asType[E error](err error) bool {
	var wanted E
	return errors.As(err, &wanted)
}

// TestD11RetryAfterOverHTTP: what the manager asks for reaches the schedule whole, with jitter on top, and the capped ten
// years too, be they seconds or a date.
func TestD11RetryAfterOverHTTP(t *testing.T) {
	for name, tc := range map[string]struct {
		after func() string
		least time.Duration
	}{
		"7 s":                {func() string { return "7" }, 7 * time.Second},
		"a date":             {func() string { return time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat) }, 90 * time.Second},
		"ten years":          {func() string { return "315360000" }, 5 * time.Minute},
		"a date in 10 years": {func() string { return time.Now().AddDate(10, 0, 0).UTC().Format(http.TimeFormat) }, 5 * time.Minute},
	} {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				waits := make(map[time.Duration]bool)
				for range 8 {
					bubble(t, func(t *testing.T) {
						wait := waitAfter(t, status, tc.after)
						if wait < tc.least || wait > tc.least+time.Second {
							t.Errorf("waited %v, want %v and at most a second more", wait, tc.least)
						}
						waits[wait] = true
					})
				}
				if len(waits) < 4 {
					t.Errorf("eight of them waited %v: no jitter", waits)
				}
			})
		}
	}
}

// waitAfter returns how long a discovery leaves the manager alone after one such answer.
func waitAfter(t *testing.T, status int, after func() string) time.Duration {
	t.Helper()
	f := newFixture(t, "acme")
	keys := &keyRing{key: f.manager.APIKey()}
	f.overHTTP(t, f.manager, managerapi.Config{APIKey: keys.provide, Retries: -1})
	d := f.start(t)
	if err := d.Refresh(t.Context()); err != nil { // by now it knows which calls the manager has
		t.Fatal(err)
	}
	keys.pauses()
	f.manager.FailList(1, status, after())
	var answer *managerapi.Error
	if err := d.Refresh(t.Context()); !errors.As(err, &answer) || answer.StatusCode != status {
		t.Fatalf("got %v", err)
	}
	pass(6 * time.Minute)
	wantSet(t, d, "acme")
	wantState(t, d, discovery.Live)
	return keys.pauses()[0]
}

// TestD13WrongRowsInAReconcile, as they come over HTTP: skipped and counted, the rest applied, and a tenant that the list
// says is suspended leaves.
func TestD13WrongRowsInAReconcile(t *testing.T) {
	const dashed, plain = "6F1C2A9E-4b7d-4e0f-8a3b-5c6d7e8f9012", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012"
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "asleep", plain)
		f.overHTTP(t, f.manager, managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
		d := f.start(t)
		told := keep(d)
		f.manager.AnswerList(1, tenanttest.Answer{Body: []byte(`[null,{},{"id":""},{"id":"b d"},{"id":7},{"id":"asleep","status":"suspended"},
			{"id":"acme"},{"id":"new","status":"ACTIVE"},{"id":"` + dashed + `"},{"id":"` + plain + `"}]`)})
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		wantSet(t, d, "acme", "new", plain)
		wantTold(t, told, "-asleep, +new")
		if n := d.Status().Counters.RowsSkipped; n != 7 {
			t.Errorf("%d rows skipped, want 7", n)
		}
		f.log.want(t, 1, slog.LevelWarn, "rows of the snapshot were skipped", "rows=7")
	})
}
