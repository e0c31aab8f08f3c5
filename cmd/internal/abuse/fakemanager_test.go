package abuse

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// calm is how long each request of a fake manager takes, in the time of a bubble.
const calm = 2 * time.Millisecond

// fakeManager is as much of a manager as the good client asks for, on a network in memory. Unfair is what it does wrong.
type fakeManager struct {
	unfair map[string]bool
	keeps  bool // what is there

	busy     chan struct{} // holds what an unfair manager makes everybody wait for
	places   chan struct{} // what an unfair manager runs out of
	revision atomic.Int64

	mu   sync.Mutex // guards what is below
	keys map[string]string
	made map[string]bool // tenants and keys that are there
}

func newFakeManager(unfair ...string) *fakeManager {
	m := &fakeManager{unfair: map[string]bool{}, busy: make(chan struct{}, 1), places: make(chan struct{}, 8), keys: map[string]string{}, made: map[string]bool{}}
	for _, what := range unfair {
		m.unfair[what] = true
	}
	return m
}

// hog makes everybody wait, where the manager is unfair in that way.
func (m *fakeManager) hog(what string) {
	if !m.unfair[what] {
		return
	}
	m.busy <- struct{}{}
	defer func() { <-m.busy }()
	time.Sleep(4 * calm)
}

// place is one of a few, where the manager is unfair in that way.
func (m *fakeManager) place(what string) (done func(), ok bool) {
	if !m.unfair[what] {
		return func() {}, true
	}
	select {
	case m.places <- struct{}{}:
		return func() { <-m.places }, true
	default:
		return nil, false
	}
}

func (m *fakeManager) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		m.hog("readyz")
		_, _ = io.WriteString(w, "{}") // the attack may be over
	})
	mux.HandleFunc("POST /v1/admin/keys", m.makeKey)
	mux.HandleFunc("DELETE /v1/admin/keys/{id}", m.remove)
	mux.HandleFunc("POST /v1/tenants", m.makeTenant)
	mux.HandleFunc("DELETE /v1/tenants/{id}", m.remove)
	mux.HandleFunc("POST /v1/tenants/{id}/associations/{service}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/tenants/active", m.known(m.list))
	mux.HandleFunc("GET /v1/tenants/events", m.known(m.events))
	mux.HandleFunc("GET /v1/tenants/{id}", m.known(m.work))
	mux.HandleFunc("PATCH /v1/tenants/{id}", func(w http.ResponseWriter, r *http.Request) {
		m.revision.Add(1)
		m.work(w, r)
	})
	return mux
}

// work is the same for all, and takes the same time, if nobody makes it wait.
func (m *fakeManager) work(http.ResponseWriter, *http.Request) {
	m.busy <- struct{}{} // it waits, and has nothing to do there
	<-m.busy
	time.Sleep(calm)
}

// known lets keys in that were made, and tokens.
func (m *fakeManager) known(next http.HandlerFunc) http.HandlerFunc {
	seen := sync.Map{}
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-API-Key")
		m.mu.Lock()
		service := m.keys[key]
		m.mu.Unlock()
		if service == "" && r.Header.Get("Authorization") == "" {
			m.hog("wrong-key")
			if _, known := seen.LoadOrStore(key, true); !known {
				m.hog("random-keys")
			}
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func (m *fakeManager) list(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Tenant-Set-Epoch", "e")
	done, ok := m.place("lists")
	if !ok {
		http.Error(w, "no list", http.StatusServiceUnavailable)
		return
	}
	defer done()
	m.work(w, r)
	size := 10
	if r.URL.Query().Get("service") == badService {
		size = 100_000
	}
	_, _ = io.WriteString(w, strings.Repeat("x", size)) // nobody may take it
}

func (m *fakeManager) events(w http.ResponseWriter, r *http.Request) {
	done, ok := m.place("streams")
	if !ok {
		http.Error(w, "no stream", http.StatusServiceUnavailable)
		return
	}
	defer done()
	at, name := m.revision.Load(), "event: heartbeat\n"
	if last, found := strings.CutPrefix(r.Header.Get("Last-Event-ID"), "e:"); found {
		if n, _ := strconv.ParseInt(last, 10, 64); n < at {
			name = ""
		}
	}
	m.work(w, r)
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // the client is gone
	for r.Header.Get("Last-Event-ID") == "e:0" && m.unfair["resume"] && r.Context().Err() == nil {
		m.hog("resume")
	}
	_, _ = fmt.Fprintf(w, "id: e:%d\n%sdata: {}\n\n", at, name) // shows at the flushing
	_ = http.NewResponseController(w).Flush()                   // the client is gone
	<-r.Context().Done()
}

func (m *fakeManager) note(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made[id] = true
}

func (m *fakeManager) makeKey(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Service string }
	_ = json.NewDecoder(r.Body).Decode(&asked) // it is our own
	m.note("key-" + asked.Service)
	m.mu.Lock()
	m.keys["twk_"+asked.Service] = asked.Service
	m.mu.Unlock()
	_, _ = fmt.Fprintf(w, `{"id":"key-%s","key":"twk_%s"}`, asked.Service, asked.Service) // it waits for it
}

func (m *fakeManager) makeTenant(w http.ResponseWriter, _ *http.Request) {
	id := "t" + strconv.FormatInt(m.revision.Add(1), 10)
	m.note(id)
	_, _ = fmt.Fprintf(w, `{"id":%q}`, id) // it waits for it
}

func (m *fakeManager) remove(w http.ResponseWriter, r *http.Request) {
	if m.keeps {
		http.Error(w, "no", http.StatusConflict)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.made, r.PathValue("id"))
}

// left are the tenants and keys that are there.
func (m *fakeManager) left() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.made)
}

// Write takes what net/http says, which it says of each broken handshake.
func (m *fakeManager) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "TLS handshake error") {
		go m.hog("handshakes") // net/http holds a lock meanwhile, which a bubble does not take for waiting
	}
	return len(p), nil
}

// serve returns where a handler is reached, without any socket.
func serve(t *testing.T, url string, handler http.Handler, said io.Writer) Target {
	t.Helper()
	l := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close() // it has one that nobody needs
	server.Listener, server.EnableHTTP2 = l, true
	server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(said, nil), slog.LevelError)
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		time.Sleep(time.Minute) // of the bubble: handlers of HTTP/2 may outlive their server
		synctest.Wait()
	})
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.MinVersion = tls.VersionTLS12
	config.ServerName = "example.com"
	return Target{URL: url, TLS: config, Token: "twt", dial: l.dial}
}

// memory is a listener on a network in memory, whose waits a bubble understands.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memory) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memory) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }
