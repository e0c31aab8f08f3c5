package server

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

const billingEvents, billingList = "/v1/tenants/events?service=billing", "/v1/tenants/active?service=billing"

// TestX36StreamsOfOneServiceLeaveRoomForOthers: with one key, with two, and with a token besides.
func TestX36StreamsOfOneServiceLeaveRoomForOthers(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxStreams = 8 })
	second, billing := makeKey(t, h.store, "ledger"), makeKey(t, h.store, "billing")
	open := func(change ...func(http.Header)) int {
		for n := range 100 {
			if f := h.follow(t, ledgerEvents, "", change...); f.status != http.StatusOK {
				has(t, f.body, `"code":"TOO_MANY_STREAMS"`, "8 streams")
				return n
			}
		}
		return 100
	}
	first := open()
	if more := open(with("X-API-Key", second)); first != 4 || more != 0 {
		t.Errorf("a service has %d streams of 8, and %d more with its second key; want 4 and 0", first, more)
	}
	if f := h.follow(t, billingEvents, "", with("X-API-Key", billing)); f.status != http.StatusOK {
		t.Errorf("the stream of another service: %d %s", f.status, f.body)
	}
}

// TestX36SlowListsOfManyCallersLeaveRoomForOthers: each has a share of what the others have left.
func TestX36SlowListsOfManyCallersLeaveRoomForOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	over := openDSN(t, "sqlite:"+file)
	h := serve(t, over, func(*Server) {}, func(c *Config) { c.RequestTimeout = 2 * time.Second })
	billing := makeKey(t, over, "billing")
	manyTenants(t, file, 2000)
	clients := stuckClients{release: make(chan struct{})}
	var running sync.WaitGroup
	defer running.Wait()
	release := sync.OnceFunc(func() { close(clients.release) })
	defer release()
	for range over.Room().Lists {
		for _, change := range []func(http.Header){without("Authorization"), without("X-API-Key")} {
			request := h.request(t, "GET", h.url+ledgerList, "", change)
			request.RequestURI = ledgerList
			running.Go(func() { h.public.ServeHTTP(clients.answer(), request) })
		}
	}
	eventually(t, "the slow clients have their shares", func() bool { return clients.stuck.Load() >= int64(2*over.Room().Lists/3) })
	h.want(t, 200, "GET", billingList, "", with("X-API-Key", billing), without("Authorization"))
}

// TestX48WhoIsRefusedCostsNoLookup: one that asks too often, and one whose key was wrong a moment ago, are told so although
// nothing can be looked up at present.
func TestX48WhoIsRefusedCostsNoLookup(t *testing.T) {
	h := start(t, func(c *Config) { c.RateLimit = 0.5; c.RequestTimeout = 2 * time.Second })
	key, wrong := without("Authorization"), with("X-API-Key", "twk_"+strings.Repeat("w", 43))
	h.want(t, 404, "GET", "/v1/tenants/nobody", "", key)
	h.want(t, 401, "GET", "/v1/tenants/nobody", "", key, wrong)
	for _, other := range []string{"a", "b", "c", "d"} {
		holdAll(h.limits.lookups, other)
	}
	got := h.want(t, 429, "GET", "/v1/tenants/nobody", "", key)
	has(t, got.body, "requests are short")
	h.want(t, 401, "GET", "/v1/tenants/nobody", "", key, wrong)
	has(t, h.want(t, 503, "GET", "/v1/tenants/nobody", "", key, with("X-API-Key", makeKey(t, h.store, "billing"))).body, `"code":"TOO_MANY_LOOKUPS"`)
}

// TestX36StreamsFromFarBackLeaveRoomForOthers: those of one service wait for each other, and a stream that needs nothing old, or
// is another service's, waits for none of them.
func TestX36StreamsFromFarBackLeaveRoomForOthers(t *testing.T) {
	over := openStore(t)
	h := serve(t, over, func(s *Server) { s.limits.catchUp = newPlaces(2, shortage{status: 503, code: "TOO_MANY_READS"}) })
	if err := over.Seed(t.Context(), "ledger", []store.NewTenant{{Name: "Acme"}}); err != nil {
		t.Fatal(err)
	}
	h.follow(t, ledgerEvents, "").nextOf(t, "heartbeat") // the tail begins here
	held := holdAll(h.limits.catchUp, "service ledger")
	first := versionOf(t, h).Epoch + ":0"
	back := make(chan struct{})
	go func() {
		defer close(back)
		h.follow(t, ledgerEvents, first).nextOf(t, "")
	}()
	h.follow(t, ledgerEvents, "").nextOf(t, "heartbeat")
	h.follow(t, billingEvents, first, with("X-API-Key", makeKey(t, over, "billing"))).nextOf(t, "heartbeat")
	select {
	case <-back:
		t.Error("a service reads more old events at once than it may")
	default:
	}
	for _, done := range held {
		done()
	}
	<-back
}

// TestX36AStreamThatBeginsNowCostsNoReadingOfItsOwn: where it begins is read for all streams at once, so that it needs no turn.
func TestX36AStreamThatBeginsNowCostsNoReadingOfItsOwn(t *testing.T) {
	h := start(t, func(c *Config) { c.RequestTimeout = time.Second })
	for _, other := range []string{"a", "b", "c", "d", "e", "f"} {
		for _, done := range holdAll(h.limits.reads, other) {
			t.Cleanup(done)
		}
	}
	free := h.limits.reads.free
	for range 3 {
		h.follow(t, ledgerEvents, "").nextOf(t, "heartbeat")
	}
	if left := h.limits.reads.free; left != free {
		t.Errorf("%d places are free, and %d were before there were streams", left, free)
	}
}
