package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// served is a server on a real listener over a store of its own, with a key for ledger and a token.
type served struct {
	*Server

	url, adminURL string
	key, token    string
	client        *http.Client
	log           *logBuffer
	stop          func() error // ends Serve, and returns its error
}

// start serves a new store. change may set up the config, and prepare the server before it is served.
func start(t testing.TB, change ...func(*Config)) *served {
	t.Helper()
	return serve(t, openStore(t), func(*Server) {}, change...)
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	return openDSN(t, "sqlite:"+filepath.Join(t.TempDir(), "manager.db"))
}

func openDSN(t testing.TB, dsn string) *store.Store {
	t.Helper()
	opened, err := store.Open(t.Context(), dsn, store.Options{
		Environment: "staging", Key: bytes.Repeat([]byte{7}, 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func serve(t testing.TB, over *store.Store, prepare func(*Server), change ...func(*Config)) *served {
	t.Helper()
	h := &served{log: &logBuffer{}, client: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	var err error
	if _, h.token, err = over.CreateToken(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	h.key = makeKey(t, over, "ledger")
	cfg := Config{Store: over, Logger: slog.New(slog.NewTextHandler(h.log, nil))}
	for _, fn := range change {
		fn(&cfg)
	}
	if h.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	learnDocumented(t, over)
	prepare(h.Server)
	h.run(t)
	return h
}

func (h *served) run(t testing.TB) {
	t.Helper()
	public, admin := listen(t), listen(t)
	h.url, h.adminURL = "http://"+public.Addr().String(), "http://"+admin.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, public, admin) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		if err := h.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func makeKey(t testing.TB, over *store.Store, service string) string {
	t.Helper()
	_, secret, err := over.CreateKey(t.Context(), service, "test")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// reply is an answer that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request with the key and the token; change takes them off or adds to them.
func (h *served) call(t testing.TB, method, path, body string, change ...func(http.Header)) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	resp, err := h.client.Do(h.request(t, method, h.url+path, body, change...).WithContext(ctx))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	h.checkDocumented(t, method, path, resp.StatusCode)
	return answer{resp.StatusCode, resp.Header, string(data)}
}

func (h *served) request(t testing.TB, method, url, body string, change ...func(http.Header)) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", h.key)
	req.Header.Set("Authorization", "Bearer "+h.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, fn := range change {
		fn(req.Header)
	}
	return req
}

// want fails the test when the answer has another status, and returns it.
func (h *served) want(t testing.TB, status int, method, path, body string, change ...func(http.Header)) answer {
	t.Helper()
	got := h.call(t, method, path, body, change...)
	if got.status != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
	return got
}

// tenant makes one and associates it with ledger, and returns its id.
func (h *served) tenant(t testing.TB, name string) string {
	t.Helper()
	id := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"`+name+`","environment":"staging"}`).body)
	h.want(t, 201, "POST", "/v1/tenants/"+id+"/associations/ledger", `{"isolationMode":"isolated"}`)
	return id
}

func idOf(t testing.TB, body string) string {
	t.Helper()
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(body), &created); err != nil || created.ID == "" {
		t.Fatalf("no id in %s (%v)", body, err)
	}
	return created.ID
}

func without(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }

func with(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }

// has fails the test unless each part is in the text.
func has(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// logBuffer is written to by many goroutines.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// runServe serves one listener until stop is called.
func runServe(t testing.TB, s *Server, public net.Listener) (ended <-chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	out := make(chan error, 1)
	go func() { out <- s.Serve(ctx, public, nil) }()
	return out, cancel
}
