package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// TestX37ARevokedTokenBesideAGoodKey is refused: what is shown has to be right, all of it.
func TestX37ARevokedTokenBesideAGoodKey(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	made := decoded[managerapi.CreatedToken](t, h.want(t, 201, "POST", "/v1/admin/tokens", `{"name":"ops"}`).body)
	h.want(t, 200, "GET", "/v1/tenants/"+id, "", with("Authorization", "Bearer "+string(made.Token)))
	h.want(t, 204, "DELETE", "/v1/admin/tokens/"+made.ID, "")
	for _, token := range []string{string(made.Token), "twt_wrong", "x"} {
		got := h.want(t, 401, "GET", "/v1/tenants/"+id, "", with("Authorization", "Bearer "+token))
		if got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%v, want that the token is wrong", got.header)
		}
	}
	h.want(t, 200, "GET", "/v1/tenants/"+id, "", without("Authorization"))
}

// endlessReader takes what a stream sends, and counts it.
type endlessReader struct {
	header http.Header
	events atomic.Int64
	each   func(n int64)
}

func (e *endlessReader) Header() http.Header { return e.header }
func (e *endlessReader) WriteHeader(int)     {}
func (e *endlessReader) Flush()              {}

func (e *endlessReader) Write(p []byte) (int, error) {
	if n := e.events.Add(1); e.each != nil {
		e.each(n)
	}
	return len(p), nil
}

// TestX37AStreamThatHasNotCaughtUpWatchesItsKey: while it sends what is old it looks as often as at any other time, between two
// batches and within one.
func TestX37AStreamThatHasNotCaughtUpWatchesItsKey(t *testing.T) {
	over := openStore(t)
	h := serve(t, over, func(s *Server) { s.beat, s.recheck = time.Hour, 0 })
	tenants := make([]store.NewTenant, 4*tailBatch)
	for i := range tenants {
		tenants[i].Name = "n" + strconv.Itoa(i)
	}
	if err := over.Seed(t.Context(), "ledger", tenants); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int64{"within a batch": 10, "at the end of a batch": tailBatch} {
		t.Run(name, func(t *testing.T) {
			_, secret, err := over.CreateKey(t.Context(), "ledger", name)
			if err != nil {
				t.Fatal(err)
			}
			id := ""
			keys, err := over.Keys(t.Context(), "ledger")
			for _, k := range keys {
				if k.Name == name {
					id = k.ID
				}
			}
			reader := &endlessReader{header: http.Header{}}
			reader.each = func(n int64) {
				if n == at {
					if err := over.RevokeKey(t.Context(), id); err != nil {
						t.Error(err)
					}
					forget(h.Server)
				}
			}
			request := h.request(t, "GET", h.url+ledgerEvents, "", without("Authorization"), with("X-API-Key", secret),
				with("Last-Event-ID", versionOf(t, h).Epoch+":0"))
			h.public.ServeHTTP(reader, request)
			if n := reader.events.Load(); err != nil || n != at {
				t.Errorf("%d events, %v; want none after the %dth", n, err, at)
			}
		})
	}
}

// forget lets the next look at a key be a real one.
func forget(s *Server) {
	s.shown.mu.Lock()
	defer s.shown.mu.Unlock()
	for _, one := range s.shown.all {
		one.asking <- struct{}{}
		one.at = time.Time{}
		<-one.asking
	}
}

// TestX37AStreamOfAServerAsItIsEndsInFiveSeconds: one whose key is revoked, without any setting of a test, while there is
// something to send all the time.
func TestX37AStreamOfAServerAsItIsEndsInFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := openStore(t)
		s, err := New(Config{Store: over})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close(t.Context()) }()
		key, secret, err := over.CreateKey(t.Context(), "ledger", "test")
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequestWithContext(t.Context(), "GET", ledgerEvents, nil)
		request.Header.Set("X-API-Key", secret)
		reader, ended := &endlessReader{header: http.Header{}}, make(chan struct{})
		go func() { defer close(ended); s.public.ServeHTTP(reader, request) }()
		busy := func(ok func() bool) (took time.Duration) {
			for began := time.Now(); !ok() && took < time.Minute; took = time.Since(began) {
				if err := over.Seed(t.Context(), "ledger", []store.NewTenant{{Name: "n" + strconv.FormatInt(time.Now().UnixNano(), 10)}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
			}
			return took
		}
		if took := busy(func() bool { return reader.events.Load() > 100 }); took >= time.Minute {
			t.Fatalf("%d events", reader.events.Load())
		}
		if err := over.RevokeKey(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		isOver := func() bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}
		if took := busy(isOver); took > 5*time.Second {
			t.Errorf("the stream ended %s after its key was revoked", took)
		}
		s.endStreams()
		<-ended
	})
}

// TestX37TheLookIsAtMostFiveSecondsOld, whoever has asked for it, and a thousand streams of one key cost one look a second.
func TestX37TheLookIsAtMostFiveSecondsOld(t *testing.T) {
	if oldest := standingEvery + freshFor + standingLimit; oldest > 5*time.Second {
		t.Errorf("it may be %s old", oldest)
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOnce()
		asked := 0
		ask := func() {
			if err := o.ask(t.Context(), time.Second, func(context.Context) error { asked++; return nil }); err != nil {
				t.Error(err)
			}
		}
		for range 1000 {
			ask()
		}
		time.Sleep(freshFor)
		ask()
		if asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
	})
}

// TestX37TheLookKeepsItsTime: who waits for the one that asks waits for no longer than it may take.
func TestX37TheLookKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOnce()
		var running sync.WaitGroup
		for range 100 {
			running.Go(func() {
				began := time.Now()
				err := o.ask(t.Context(), standingLimit, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
				if took := time.Since(began); took > standingLimit || err == nil {
					t.Errorf("%v after %s", err, took)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		running.Wait()
	})
}

// TestX37OnceItIsKnownThatNobodyCanTellNothingIsSent: a stream whose key cannot be looked up waits.
func TestX37AStreamWhoseKeyCannotBeLookedUpWaits(t *testing.T) {
	over := openStore(t)
	h := serve(t, over, func(s *Server) { s.recheck = 0; s.limits.lookups = newPlaces(1, shortage{status: 503}) })
	f := h.follow(t, ledgerEvents, "")
	f.nextOf(t, "heartbeat")
	done, err := h.limits.lookups.take(t.Context(), "somebody")
	if err != nil {
		t.Fatal(err)
	}
	forget(h.Server)
	if err := over.Seed(t.Context(), "ledger", []store.NewTenant{{Name: "Acme"}}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-f.frames:
		t.Errorf("%+v came although nobody could look at the key", got)
	case <-time.After(700 * time.Millisecond):
	}
	done()
	f.nextOf(t, "")
}
