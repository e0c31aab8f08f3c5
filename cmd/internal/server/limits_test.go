package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
)

// endless is a body that does not end by itself, and that counts what was taken of it.
type endless struct {
	taken atomic.Int64
	stop  chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.stop:
		return 0, errors.New("the test is over")
	default:
	}
	for i := range p {
		p[i] = 'a'
	}
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

// TestM09LargeBodies: what is too large is refused soon after the limit, whether it says so before or just goes on.
func TestM09LargeBodies(t *testing.T) {
	for name, length := range map[string]int64{"a length of 1 GiB": 1 << 30, "endless chunks": -1} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			body := &endless{stop: make(chan struct{})}
			defer close(body.stop)
			req := h.request(t, "POST", h.url+"/v1/tenants", "x")
			req.Body, req.ContentLength = io.NopCloser(body), length
			resp, err := h.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }() // it has been read
			data, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Fatalf("%d %s, %v", resp.StatusCode, data, err)
			}
			has(t, string(data), `"code":"BODY_TOO_LARGE"`)
			if taken := body.taken.Load(); taken > 64<<20 {
				t.Errorf("%d bytes were sent before the refusal came", taken)
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
			checkOneLine(t, h, "status=413", "aaaa")
		})
	}
}

// checkOneLine wants one line of the log with a text, and nothing of the body.
func checkOneLine(t *testing.T, h *served, text, body string) {
	t.Helper()
	eventually(t, "a log line", func() bool { return strings.Contains(h.log.String(), text) })
	if n := strings.Count(h.log.String(), "\n"); n != 1 || strings.Contains(h.log.String(), body) {
		t.Errorf("the log, want one line without the body:\n%s", h.log)
	}
}

func TestM09BodiesThatAreNotWhatTheyShould(t *testing.T) {
	const canary = "c4n4ry"
	tests := []struct {
		name, body string
		change     func(http.Header)
		status     int
		code       string
	}{
		{"depth 20,000", `{"canary":"` + canary + `","x":` + strings.Repeat("[", 20_000), with("X-Test", ""), 400, "INVALID_BODY"},
		{"a key twice", `{"name":"` + canary + `","name":"b"}`, with("X-Test", ""), 400, "INVALID_BODY"},
		{"a key in another case, which is another key", `{"NAME":"` + canary + `"}`, with("X-Test", ""), 400, "INVALID_NAME"},
		{"half of a character", `{"name":"` + canary + `\ud800"}`, with("X-Test", ""), 400, "INVALID_BODY"},
		{"garbage behind", `{"name":"` + canary + `"}x`, with("X-Test", ""), 400, "INVALID_BODY"},
		{"cut", `{"name":"` + canary, with("X-Test", ""), 400, "INVALID_BODY"},
		{"a form", canary + "=1", with("Content-Type", "application/x-www-form-urlencoded"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"text", canary, with("Content-Type", "text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"no media type", canary, with("Content-Type", ";;"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"another charset", canary, with("Content-Type", "application/json; charset=utf-16"), 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"compressed", canary, with("Content-Encoding", "gzip"), 415, "UNSUPPORTED_MEDIA_TYPE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t)
			got := h.want(t, tt.status, "POST", "/v1/tenants", tt.body, tt.change)
			has(t, got.body, `"code":"`+tt.code+`"`)
			checkOneLine(t, h, fmt.Sprint("status=", tt.status), canary)
		})
	}
}

// TestMetadataAreBounded: a page of tenants has all of theirs, and is in memory.
func TestMetadataAreBounded(t *testing.T) {
	h := start(t)
	body := func(size int) string {
		return `{"name":"Acme","metadata":{"key":"` + strings.Repeat("v", size-3) + `"}}`
	}
	has(t, h.want(t, 400, "POST", "/v1/tenants", body(lifecycle.MaxMetadata+1)).body, `"code":"INVALID_METADATA"`)
	id := idOf(t, h.want(t, 201, "POST", "/v1/tenants", body(lifecycle.MaxMetadata)).body)
	h.want(t, 400, "PATCH", "/v1/tenants/"+id, body(lifecycle.MaxMetadata+1))
	h.want(t, 200, "PATCH", "/v1/tenants/"+id, body(lifecycle.MaxMetadata))
}

func TestBodiesThatAreFine(t *testing.T) {
	h := start(t)
	for i, change := range []func(http.Header){
		without("Content-Type"), with("Content-Type", "application/json; charset=UTF-8"),
		with("Content-Type", "application/merge-patch+json"), with("Content-Encoding", "identity"),
	} {
		h.want(t, 201, "POST", "/v1/tenants", fmt.Sprintf(`{"name":"n%d"}`, i), change)
	}
}

// TestM09LargeHeaders: net/http refuses them before anything of ours sees them.
func TestM09LargeHeaders(t *testing.T) {
	h := start(t)
	conn := dial(t, h.url)
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n") // the answer says whether it came
	sent := 0
	line := "X-Large: " + strings.Repeat("a", 8<<10) + "\r\n"
	for ; sent < 1<<20; sent += len(line) {
		if _, err := io.WriteString(conn, line); err != nil {
			break
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing is read
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d after %d bytes, want 431", resp.StatusCode, sent)
	}
}

// TestM09ABodyThatIsAnnouncedTooLargeIsNotEvenAskedFor: a client that waits for a go-ahead gets the refusal instead.
func TestM09ABodyThatIsAnnouncedTooLargeIsNotEvenAskedFor(t *testing.T) {
	h := start(t)
	conn := dial(t, h.url)
	_, _ = io.WriteString(conn, "POST /v1/tenants HTTP/1.1\r\nHost: x\r\nX-API-Key: "+h.key+"\r\nAuthorization: Bearer "+h.token+
		"\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n") // the answer says whether it came
	_ = conn.SetReadDeadline(time.Now().Add(patience / 4)) // shows at the reading
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing is read
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("%s, the connection closed %v; want 413, and closed", resp.Status, resp.Close)
	}
}

func dial(t testing.TB, url string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestS06EveryListenerHasItsBounds, because each that is zero is one that a client can wait for ever behind.
func TestS06EveryListenerHasItsBounds(t *testing.T) {
	s, err := New(Config{Store: openStore(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := s.httpServer(s.public)
	for name, bound := range map[string]time.Duration{
		"ReadHeaderTimeout": server.ReadHeaderTimeout, "ReadTimeout": server.ReadTimeout,
		"WriteTimeout": server.WriteTimeout, "IdleTimeout": server.IdleTimeout,
	} {
		if bound <= 0 || bound > 2*time.Minute {
			t.Errorf("%s is %s", name, bound)
		}
	}
	if server.MaxHeaderBytes <= 0 || server.MaxHeaderBytes > 1<<20 {
		t.Errorf("MaxHeaderBytes is %d", server.MaxHeaderBytes)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestM10SlowClientsHurtNobody: thousands send their headers, or their body, byte for byte. The others are answered
// meanwhile, and the slow ones are shown out.
func TestM10SlowClientsHurtNobody(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	// Each begins at once: to connect so many takes longer, on a machine that is busy, than a head may take.
	conns := dialMany(t, h.url, 5000, func(i int, conn net.Conn) {
		head := "GET /v1/tenants/" + id + " HTTP/1.1\r\nHost: x\r\nX-Slow: "
		if i%2 == 1 {
			head = "POST /v1/tenants HTTP/1.1\r\nHost: x\r\nX-API-Key: " + h.key + "\r\nAuthorization: Bearer " + h.token +
				"\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
		}
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var trickle sync.WaitGroup
	trickle.Go(func() { sendSlowly(ctx, conns) })
	for range 200 {
		h.want(t, 200, "GET", "/v1/tenants/"+id, "")
	}
	h.want(t, 201, "POST", "/v1/tenants", `{"name":"meanwhile"}`)
	for i, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(4 * patience)) // shows at the reading
		got, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("slow client %d is still connected", i)
		}
		if i == 1 && !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
			t.Errorf("a slow body is answered with %.40q (%v), want 408", got, err)
		}
	}
	cancel()
	trickle.Wait()
}

// dialMany makes do with fewer connections where the system does not give that many descriptors.
func dialMany(t *testing.T, url string, n int, begin func(i int, conn net.Conn)) []net.Conn {
	t.Helper()
	var conns []net.Conn
	for range n {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			const enough, spare = 300, 100
			if len(conns) < enough+spare {
				t.Fatalf("connection %d: %v", len(conns), err)
			}
			for _, conn := range conns[enough:] {
				_ = conn.Close() // they are too many
			}
			t.Logf("%v: %d slow connections and not %d", err, enough, n)
			return conns[:enough]
		}
		t.Cleanup(func() { _ = conn.Close() })
		begin(len(conns), conn)
		conns = append(conns, conn)
	}
	return conns
}

// sendSlowly sends every connection a byte a second. Those that are closed take none.
func sendSlowly(ctx context.Context, conns []net.Conn) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, conn := range conns {
				_, _ = conn.Write([]byte(" ")) // the server may have closed it
			}
		}
	}
}

func TestAPanicIsA500AndOneLine(t *testing.T) {
	h := serve(t, openStore(t), func(s *Server) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/early", func(http.ResponseWriter, *http.Request) { panic("a mistake") })
		mux.HandleFunc("GET /v1/late", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half") // the client sees it, or not
			_ = http.NewResponseController(w).Flush()
			panic("a mistake")
		})
		s.public = s.observed(mux, mux)
	})
	got := h.want(t, 500, "GET", "/v1/early", "")
	has(t, got.body, `"code":"INTERNAL"`)
	if strings.Contains(got.body, "mistake") {
		t.Errorf("the body tells of the panic: %s", got.body)
	}
	has(t, h.log.String(), "a mistake", "limits_test.go", "route=/v1/early", "level=ERROR")
	if n := strings.Count(h.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, h.log)
	}
	resp, err := h.client.Do(h.request(t, "GET", h.url+"/v1/late", ""))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it has been read
	}
	if err == nil {
		t.Error("a half answer looks whole")
	}
	eventually(t, "the second panic in the log", func() bool { return strings.Contains(h.log.String(), "route=/v1/late") })
}

func TestS08LogHasNoSecrets(t *testing.T) {
	h := start(t)
	const canary = "c4n4ry"
	h.want(t, 401, "GET", "/v1/tenants/x?token="+canary, "", with("X-API-Key", canary), with("Authorization", "Bearer "+canary))
	h.want(t, 400, "POST", "/v1/tenants", `{"owner":{"passwordHash":"`+canary+`"}}`)
	h.want(t, 404, "PUT", "/v1/tenants/x/associations/y/connections", `{"rabbitmq":{"m":{"password":"`+canary+`"}}}`)
	h.want(t, 400, "PUT", "/v1/tenants/x/associations/y/connections", `{"rabbitmq":{"password":"`+canary+`"}}`)
	for _, secret := range []string{canary, h.key, h.token} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, h.log)
		}
	}
	if n := strings.Count(h.log.String(), "\n"); n != 4 {
		t.Errorf("%d lines, want one for each refusal:\n%s", n, h.log)
	}
}
