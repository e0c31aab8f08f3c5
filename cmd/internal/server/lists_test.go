package server

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestM10SlowListsOfOneServiceLeaveRoomForOthers: what it asks for beyond its share waits, even when it has another key.
func TestM10SlowListsOfOneServiceLeaveRoomForOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	over := openDSN(t, "sqlite:"+file)
	h := serve(t, over, func(*Server) {}, func(c *Config) { c.RequestTimeout = 2 * time.Second })
	etag := h.want(t, 200, "GET", ledgerList, "").header.Get("ETag")
	second, billing := makeKey(t, over, "ledger"), makeKey(t, over, "billing")
	manyTenants(t, file, 2000)
	clients := stuckClients{release: make(chan struct{})}
	var running sync.WaitGroup
	defer running.Wait()
	release := sync.OnceFunc(func() { close(clients.release) })
	defer release()
	for range over.Room().Lists + 1 {
		request := h.request(t, "GET", h.url+ledgerList, "", without("Authorization"))
		request.RequestURI = ledgerList
		running.Go(func() { h.public.ServeHTTP(clients.answer(), request) })
	}
	eventually(t, "the slow clients have their share", func() bool { return clients.stuck.Load() == int64(over.Room().Lists/2) })
	h.want(t, 200, "GET", "/v1/tenants/active?service=billing", "", with("X-API-Key", billing))
	h.want(t, 304, "GET", ledgerList, "", with("If-None-Match", etag))
	h.want(t, 200, "HEAD", ledgerList, "")
	got := h.want(t, 503, "GET", ledgerList, "", with("X-API-Key", second))
	has(t, got.body, `"code":"TOO_MANY_LISTS"`)
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	release()
	eventually(t, "room for one more", func() bool { return h.call(t, "GET", ledgerList, "", with("X-API-Key", second)).status == 200 })
}

// stuckClients take nothing of their answers until they are released.
type stuckClients struct {
	release chan struct{}
	stuck   atomic.Int64
}

func (c *stuckClients) answer() http.ResponseWriter {
	return &stuckAnswer{ResponseRecorder: httptest.NewRecorder(), clients: c}
}

type stuckAnswer struct {
	*httptest.ResponseRecorder

	clients *stuckClients
	began   bool
}

// Write waits before a list. Errors are taken at once.
func (a *stuckAnswer) Write(p []byte) (int, error) {
	if !a.began && a.Code == http.StatusOK {
		a.clients.stuck.Add(1)
		<-a.clients.release
	}
	a.began = true
	return a.ResponseRecorder.Write(p)
}
