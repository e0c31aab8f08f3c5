package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// TestX35OneProbeForAllThatAsk: nobody's asking costs more than one change a second, and one that goes away does not spoil it for
// the others.
func TestX35OneProbeForAllThatAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := newOnce()
		probes, failure := 0, errors.New("full")
		gone, leave := context.WithCancel(t.Context())
		leave()
		ask := func(ctx context.Context) error {
			return ready.ask(ctx, readyTimeout, func(ctx context.Context) error {
				probes++
				time.Sleep(100 * time.Millisecond)
				if probes == 2 {
					return failure
				}
				return ctx.Err()
			})
		}
		var running sync.WaitGroup
		all := func(want error) {
			for range 256 {
				running.Go(func() {
					if err := ask(gone); !errors.Is(err, want) {
						t.Errorf("%v, want %v", err, want)
					}
				})
			}
			running.Wait()
		}
		all(nil)
		all(nil)
		if probes != 1 {
			t.Errorf("%d probes for 512 callers", probes)
		}
		time.Sleep(freshFor)
		all(failure) // a failure is everybody's too
		if probes != 2 {
			t.Errorf("%d probes", probes)
		}
	})
}

// TestX35ReadinessIsALineWhenItChanges, and no other.
func TestX35ReadinessIsALineWhenItChanges(t *testing.T) {
	var broken atomic.Bool
	h := serve(t, openStore(t), func(s *Server) {
		ping := s.ping
		s.ready.fresh = 0
		s.ping = func(ctx context.Context) error {
			if broken.Load() {
				return store.ErrUnavailable
			}
			return ping(ctx)
		}
	})
	want := func(status string) {
		t.Helper()
		for range 20 {
			if got := h.fetch(t, h.url+"/readyz"); !strings.HasPrefix(got, status) {
				t.Fatal(got)
			}
			if got := h.fetch(t, h.adminURL+"/readyz"); !strings.HasPrefix(got, status) {
				t.Fatal(got)
			}
		}
	}
	want("200")
	broken.Store(true)
	want("503")
	broken.Store(false)
	want("200")
	log := h.log.String()
	if strings.Count(log, "not ready: ") != 1 || strings.Count(log, "ready again: ") != 1 || strings.Count(log, "\n") != 2 {
		t.Errorf("the log:\n%s", log)
	}
}

// TestX35ManyThatAskWriteOnce: what they ask is one change for all of them.
func TestX35ManyThatAskWriteOnce(t *testing.T) {
	var probes atomic.Int64
	h := serve(t, openStore(t), func(s *Server) {
		ping := s.ping
		s.ready.fresh = time.Hour
		s.ping = func(ctx context.Context) error { probes.Add(1); return ping(ctx) }
	})
	var running sync.WaitGroup
	for range 64 {
		running.Go(func() {
			if got := h.fetch(t, h.url+"/readyz"); !strings.HasPrefix(got, "200") {
				t.Error(got)
			}
		})
	}
	running.Wait()
	if n := probes.Load(); n != 1 {
		t.Errorf("%d probes, want 1", n)
	}
}

// TestX48AProbeWritesAsMuchAsAChange, or a disk that is almost full would look fine; but not each time, which would wear the disk
// out for nothing.
func TestX48AProbeWritesAsMuchAsAChange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	h := serve(t, openDSN(t, "sqlite:"+file), func(s *Server) { s.ready.fresh = 0 })
	grown := func(by func()) int64 {
		before := sizeOf(t, file+"-wal")
		by()
		return sizeOf(t, file+"-wal") - before
	}
	probe := func() { h.fetch(t, h.url+"/readyz") }
	first, change := grown(probe), grown(func() { h.want(t, 201, "POST", "/v1/tenants", `{"name":"Acme"}`) })
	if first < change {
		t.Errorf("the first probe writes %d bytes, and a new tenant %d", first, change)
	}
	if more := grown(func() { probe(); probe() }); more == 0 || more > 32<<10 {
		t.Errorf("two more probes write %d bytes", more)
	}
}

func sizeOf(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
