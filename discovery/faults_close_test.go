package discovery_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// stirrings count what a discovery does to others: callbacks, requests and runs of the feed.
type stirrings struct {
	callbacks, feeds atomic.Int64
	requests         func() int
}

// stir lets everything that the discovery does be counted.
func (f *fixture) stir() *stirrings {
	s := &stirrings{requests: f.manager.Requests}
	feed := f.cfg.Feed
	f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
		s.feeds.Add(1)
		return feed.Run(ctx, sink)
	})
	return s
}

func (s *stirrings) hear(d *discovery.TenantDiscovery) {
	d.OnTenantAdded(func(context.Context, string) { s.callbacks.Add(1) })
	d.OnTenantRemoved(func(context.Context, string) { s.callbacks.Add(1) })
	d.OnTenantReconfigured(func(context.Context, string, tenant.EventType) { s.callbacks.Add(1) })
	d.OnStatusChange(func(context.Context, discovery.Status) { s.callbacks.Add(1) })
}

func (s *stirrings) count() [3]int64 {
	return [3]int64{s.callbacks.Load(), s.feeds.Load(), int64(s.requests())}
}

// TestD16NothingStartsAfterClose: whatever is under way, Close ends it within its second, and for an hour in which
// tenants come and go and the link is made again nothing begins.
func TestD16NothingStartsAfterClose(t *testing.T) {
	start := func(t *testing.T, d *discovery.TenantDiscovery) {
		t.Helper()
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, prepare := range map[string]func(t *testing.T, f *fixture, d *discovery.TenantDiscovery){
		"not started":  func(*testing.T, *fixture, *discovery.TenantDiscovery) {},
		"live":         func(t *testing.T, _ *fixture, d *discovery.TenantDiscovery) { t.Helper(); start(t, d) },
		"closed twice": func(t *testing.T, _ *fixture, d *discovery.TenantDiscovery) { t.Helper(); start(t, d); closeIt(t, d) },
		"during the bootstrap": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			reached, release := f.manager.HoldList()
			t.Cleanup(release)
			go func() {
				if err := d.Start(t.Context()); !errors.Is(err, discovery.ErrClosed) {
					t.Errorf("Start: %v", err)
				}
			}()
			<-reached
		},
		"during the subscription": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			f.feed.Silence(true)
			go func() {
				if err := d.Start(t.Context()); !errors.Is(err, discovery.ErrClosed) {
					t.Errorf("Start: %v", err)
				}
			}()
			settle()
		},
		"during a reconnect": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			start(t, d)
			f.feed.Disconnect(nil)
			pass(time.Minute)
		},
		"during the request after a reconnect": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			start(t, d)
			reached, release := f.manager.HoldList()
			t.Cleanup(release)
			f.feed.Disconnect(nil)
			f.feed.Connect()
			<-reached
		},
		"while it backs off": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			start(t, d)
			f.managerDown()
			f.feed.Gap(nil)
			pass(10 * time.Minute)
		},
		"while removals are held": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			if _, err := f.manager.Seed(t.Context(), service, 100); err != nil {
				t.Fatal(err)
			}
			start(t, d)
			f.manager.EmptyList(1)
			f.feed.Gap(nil)
			pass(time.Second)
		},
		"with mail that nobody was told of": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			d.OnTenantAdded(func(ctx context.Context, _ string) { <-ctx.Done() })
			start(t, d)
			f.add(t, "one", "two", "three")
			settle()
		},
		"with a file to save": func(t *testing.T, f *fixture, d *discovery.TenantDiscovery) {
			t.Helper()
			start(t, d)
			f.add(t, "one")
			settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				f.cfg.SnapshotFile = filepath.Join(t.TempDir(), "tenants.snapshot")
				s := f.stir()
				d := f.new(t)
				prepare(t, f, d)
				s.hear(d)
				began := time.Now()
				closeIt(t, d)
				if took := time.Since(began); took > time.Second {
					t.Errorf("took %v", took)
				}
				before := s.count()
				f.manager.ClearFaults()
				f.feed.ClearFaults()
				f.feed.Connect()
				f.add(t, "later")
				f.suspend(t, "acme")
				f.feed.Gap(nil)
				pass(time.Hour)
				if after := s.count(); after != before {
					t.Errorf("callbacks, feeds and requests were %v at the Close, and are %v", before, after)
				}
				wantState(t, d, discovery.Closed)
				closeIt(t, d)
				refused := []error{d.Start(t.Context()), d.Refresh(t.Context()), d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "x"))}
				for _, err := range refused {
					if !errors.Is(err, discovery.ErrClosed) {
						t.Errorf("after Close: %v", err)
					}
				}
				for range d.Changes(t.Context()) { // that it ends is what is tested
				}
			})
		})
	}
}

func closeIt(t *testing.T, d *discovery.TenantDiscovery) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestD16FromEveryKindOfCallback, twice: it gives up after a second, says why, and all is over once the callback returns.
func TestD16FromEveryKindOfCallback(t *testing.T) {
	for name, hook := range map[string]func(d *discovery.TenantDiscovery, fn func()){
		"added": func(d *discovery.TenantDiscovery, fn func()) { d.OnTenantAdded(func(context.Context, string) { fn() }) },
		"removed": func(d *discovery.TenantDiscovery, fn func()) {
			d.OnTenantRemoved(func(context.Context, string) { fn() })
		},
		"reconfigured": func(d *discovery.TenantDiscovery, fn func()) {
			d.OnTenantReconfigured(func(context.Context, string, tenant.EventType) { fn() })
		},
		"status": func(d *discovery.TenantDiscovery, fn func()) {
			d.OnStatusChange(func(context.Context, discovery.Status) { fn() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				s := f.stir()
				d := f.start(t)
				results := make(chan error, 2)
				began := time.Now()
				hook(d, func() { results <- d.Close(); results <- d.Close() })
				s.hear(d) // whose functions come after it
				if err := f.manager.RotateCredentials(t.Context(), "acme", service); err != nil {
					t.Fatal(err)
				}
				settle()
				if name != "reconfigured" {
					f.suspend(t, "acme")
					f.add(t, "beta")
					f.feed.Gap(nil)
				}
				if first, second := <-results, <-results; !errors.Is(first, discovery.ErrCallbackRunning) || !errors.Is(second, discovery.ErrCallbackRunning) {
					t.Errorf("got %v, then %v", first, second)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("both took %v", took)
				}
				settle()
				before := s.count()
				f.add(t, "later")
				pass(time.Hour)
				if after := s.count(); after != before {
					t.Errorf("callbacks, feeds and requests were %v at the Close, and are %v", before, after)
				}
				closeIt(t, d)
			})
		})
	}
}

// TestD16WhileACallbackBlocks: nothing but that callback is left, it hears of the Close by its ctx, and a hundred more
// who close at once get the same answer at the same time.
func TestD16WhileACallbackBlocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		s := f.stir()
		d := f.start(t)
		release, results := make(chan struct{}), make(chan error)
		d.OnTenantAdded(func(context.Context, string) { <-release })
		s.hear(d)
		f.add(t, "acme", "beta")
		settle()
		began := time.Now()
		for range 100 {
			go func() { results <- d.Close() }()
		}
		for range 100 {
			if err := <-results; !errors.Is(err, discovery.ErrCallbackRunning) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
		before := s.count()
		pass(time.Hour)
		close(release)
		pass(time.Hour)
		if after := s.count(); after != before {
			t.Errorf("callbacks, feeds and requests were %v at the Close, and are %v", before, after)
		}
		closeIt(t, d)
	})
}

// TestD16OnRealRedis: Close ends a dial that is refused, one that is accepted and never answered, and a link over which
// nothing passes. That Close returns nil says that all was over within its second; what is left would show at the end.
func TestD16OnRealRedis(t *testing.T) {
	for name, mode := range map[string]testserver.Mode{"refused": testserver.Refuse, "never answered": testserver.Mute, "silent": testserver.Silence} {
		t.Run(name, func(t *testing.T) {
			r := newReal(t)
			r.cfg.RedisConfig.SilenceLimit = 20 * time.Second
			proxy := r.via(t)
			d := r.start(t)
			wantStateSoon(t, d, discovery.Live)
			if mode == testserver.Silence {
				proxy.Set(mode)
				closeIt(t, d)
				return
			}
			proxy.Set(testserver.Close)
			wantStateSoon(t, d, discovery.Polling)
			proxy.Set(mode)
			eventually(t, func() string { // the next attempt is under way
				if mode == testserver.Mute && proxy.Conns() == 0 {
					return "no connection"
				}
				return ""
			})
			closeIt(t, d)
		})
	}
	t.Run("killed", func(t *testing.T) {
		r := newReal(t)
		d := r.start(t)
		wantStateSoon(t, d, discovery.Live)
		r.redis.Kill()
		wantStateSoon(t, d, discovery.Polling)
		closeIt(t, d)
	})
}
