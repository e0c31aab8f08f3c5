package discovery_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// beating makes the feed of the fixture one that confirms that it hears heartbeats.
func (f *fixture) beating(t testing.TB, tenants ...string) *fixture {
	t.Helper()
	f.feed = tenanttest.NewFeed(tenanttest.WithHeartbeats())
	f.manager = tenanttest.NewManager(tenanttest.WithPublisher(f.feed.Publish), tenanttest.WithEnvironment("test"))
	f.cfg.TMClient, f.cfg.Feed = f.manager.Fetcher(), f.feed
	f.add(t, tenants...)
	return f
}

// TestD31TheListIsOfAnotherEnvironment: Start fails at once with both names, even when there is a file to start from; later
// the set is kept and it is asked with the longest back-off.
func TestD31TheListIsOfAnotherEnvironment(t *testing.T) {
	for _, way := range []string{"HTTP", "rows in memory"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				if way == "HTTP" {
					f.overHTTP(t, f.manager, managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
				}
				keys := &askTimes{fetcher: f.cfg.TMClient.(bothFetchers)}
				f.cfg.TMClient, f.cfg.Environment = keys, " Test "
				f.cfg.SnapshotFile = filepath.Join(t.TempDir(), "set")
				d := f.start(t)
				wantState(t, d, discovery.Live)
				pass(2 * time.Second)
				f.manager.ListEnvironment(-1, "Live")
				f.feed.Gap(nil)
				pass(10 * time.Minute)
				wantSet(t, d, "acme")
				wantState(t, d, discovery.Stale)
				wantOther(t, d.Status().SnapshotError)
				if pauses := keys.pauses()[1:]; len(pauses) < 10 || slices.Min(pauses) < 15*time.Second {
					t.Errorf("asked again after %v", pauses)
				}
				wantOther(t, d.Refresh(t.Context()))
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				wantOther(t, f.new(t).Start(t.Context())) // although there is a file
				if time.Since(began) > time.Second {
					t.Errorf("after %v", time.Since(began))
				}
			})
		})
	}
}

type bothFetchers interface {
	discovery.ActiveTenantsFetcher
	discovery.SnapshotFetcher
}

func wantOther(t *testing.T, err error) {
	t.Helper()
	var other *discovery.EnvironmentError
	if !errors.As(err, &other) || *other != (discovery.EnvironmentError{Configured: "test", Listed: "live"}) ||
		!strings.Contains(err.Error(), `"test"`) || !strings.Contains(err.Error(), `"live"`) {
		t.Errorf("got %v, want an error that names both environments", err)
	}
}

// TestX01TheEnvironmentOfTheList is compared in its normal form, on a 304 too, and only where both are known.
func TestX01TheEnvironmentOfTheList(t *testing.T) {
	for _, tc := range []struct {
		name, configured, listed string
		right                    bool
	}{
		{"the same", "dev", "dev", true},
		{"in another case", "Dev", "dEV", true},
		{"spaces", "dev ", "dev", true},
		{"another", "dev", "staging", false},
		{"with quotes", "dev", `"dev"`, false},
		{"the list names none", "dev", "", true},
		{"none is configured", "", "dev", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newListFixture(t, "acme")
				f.overHTTP(t, f.manager, managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
				f.cfg.Environment = tc.configured
				f.manager.ListEnvironment(-1, tc.listed)
				d := f.new(t)
				err := d.Start(t.Context())
				if (err == nil) != tc.right {
					t.Fatalf("Start says %v", err)
				}
				if !tc.right {
					f.manager.ListEnvironment(1, tc.configured)
					if err := d.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if err := d.Refresh(t.Context()); (err == nil) != tc.right { // which a 304 answers
					t.Errorf("Refresh says %v", err)
				}
				if got := f.manager.LastRequest().Get("If-None-Match"); got == "" {
					t.Error("it was not a conditional request")
				}
			})
		})
	}
}

// TestX01EventsOfAnEnvironmentInAnotherCase are those of the configured one.
func TestX01EventsOfAnEnvironmentInAnotherCase(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.Environment = "TEST"
		d := f.start(t)
		for environment, id := range map[string]string{"Test": "a", "test": "b", "": "c", "production": "d"} {
			evt := event(tenant.EventServiceAssociated, id)
			evt.Environment = environment
			if err := d.HandleEvent(t.Context(), evt); err != nil {
				t.Fatal(err)
			}
		}
		wantSet(t, d, "a", "b", "c")
	})
}

// TestX01TheFeedIsToldTheEnvironmentOfTheList, where none is configured, and each time that it is another one.
func TestX01TheFeedIsToldTheEnvironmentOfTheList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		if got := f.feed.UsedEnvironment(); got != "test" {
			t.Errorf("told %q", got)
		}
		f.manager.ListEnvironment(1, "Other")
		if err := d.Refresh(t.Context()); err != nil || f.feed.UsedEnvironment() != "other" {
			t.Errorf("told %q, %v", f.feed.UsedEnvironment(), err)
		}
		f.cfg.Environment, f.feed = "test", tenanttest.NewFeed()
		f.cfg.Feed = f.feed
		f.start(t)
		if got := f.feed.UsedEnvironment(); got != "" {
			t.Errorf("told %q, although one is configured", got)
		}
	})
}

// TestD32NothingIsHeard: where the list has versions and heartbeats are expected, Live is not said before one has come, or an
// event, and after 11 s it is Polling, with a reason that names what can be wrong. It is Live when one comes after all.
func TestD32NothingIsHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t).beating(t, "acme")
		d := f.start(t)
		wantState(t, d, discovery.Syncing)
		f.log.want(t, 1, slog.LevelInfo, "discovery is syncing", "nothing has been heard of the manager yet")
		pass(11*time.Second - time.Millisecond)
		wantState(t, d, discovery.Syncing)
		pass(time.Millisecond)
		wantState(t, d, discovery.Polling)
		if err := d.Status().FeedError; !errors.Is(err, redisevents.ErrNoHeartbeat) || !d.Status().FeedConnected {
			t.Errorf("the status is %+v", d.Status())
		}
		f.log.want(t, 1, slog.LevelWarn, "discovery is polling", `channel "tenant-heartbeat:test"`, "the configured Feed", `environment is "test"`, "same Redis")
		f.feed.Drop(2)
		f.add(t, "missed")
		before := f.manager.Requests()
		pass(10 * time.Minute)
		wantSet(t, d, "acme", "missed")
		if n := f.manager.Requests() - before; n < 600/18 || n > 600/12+1 {
			t.Errorf("%d polls in ten minutes", n)
		}
		wantState(t, d, discovery.Polling)
		f.feed.Heartbeat(f.manager.Version())
		settle()
		wantState(t, d, discovery.Syncing) // what came before it may have been missed
		pass(2 * time.Second)
		wantState(t, d, discovery.Live)
		if err := d.Status().FeedError; err != nil {
			t.Errorf("live, and the feed's error is %v", err)
		}
		f.feed.Resubscribe() // perhaps at another server
		pass(5 * time.Second)
		wantState(t, d, discovery.Syncing)
		f.manager.FailList(-1, 503, "")
		pass(time.Minute)
		wantState(t, d, discovery.Stale)
		f.manager.ClearFaults()
		f.add(t, "heard")
		pass(time.Minute)
		wantState(t, d, discovery.Live)
	})
}

// TestD32NoneAreExpected of a manager without versions, by a feed that does not hear them, or after a restore that the
// heartbeat itself told of.
func TestD32NoneAreExpected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		pass(time.Hour)
		wantState(t, d, discovery.Live)

		g := newFixture(t)
		g.feed = tenanttest.NewFeed(tenanttest.WithHeartbeats())
		g.cfg.Feed = g.feed
		g.plain(t, "acme")
		d = g.start(t)
		pass(time.Hour)
		wantState(t, d, discovery.Live)

		f = newFixture(t).beating(t, "acme")
		d = f.start(t)
		f.feed.Heartbeat(f.manager.Version())
		settle()
		wantState(t, d, discovery.Live)
		f.manager.NewEpoch()
		pass(time.Minute)
		f.feed.Heartbeat(f.manager.Version())
		pass(2 * time.Second)
		wantState(t, d, discovery.Live)
	})
}

// TestD34TheFarEndWasSwapped: behind the address of the manager is another one now, whose list is of another environment; and
// behind that of Redis another one, by which nothing of the manager comes.
func TestD34TheFarEndWasSwapped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t).beating(t, "acme")
		other := tenanttest.NewManager(tenanttest.WithEnvironment("other"), tenanttest.WithAPIKey(f.manager.APIKey()))
		var swapped atomic.Bool
		f.overHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if swapped.Load() {
				other.ServeHTTP(w, r)
				return
			}
			f.manager.ServeHTTP(w, r)
		}), managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
		f.cfg.Environment = "test"
		d := f.start(t)
		f.feed.Heartbeat(f.manager.Version())
		settle()
		wantState(t, d, discovery.Live)

		swapped.Store(true)
		f.feed.Gap(nil)
		pass(time.Minute)
		wantState(t, d, discovery.Stale)
		wantSet(t, d, "acme")
		swapped.Store(false)
		pass(time.Minute)
		wantState(t, d, discovery.Live)

		f.feed.Resubscribe() // at the other Redis
		for range 5 {
			f.feed.Heartbeat(other.Version())
			pass(5 * time.Second)
			if d.Status().State == discovery.Live {
				t.Fatal("live by the heartbeats of another manager")
			}
		}
		wantState(t, d, discovery.Polling)
		wantSet(t, d, "acme")
		f.log.want(t, 1, slog.LevelWarn, "discovery is polling", "another manager's data", other.Version().Epoch)
	})
}

// TestX01WhatNoEventAnnounced between the list and the set is warned of, once, with the number, and stands in Status.
func TestX01WhatNoEventAnnounced(t *testing.T) {
	for _, tc := range []struct {
		name     string
		plain    bool
		after    func(f *fixture, lost []tenant.Event)
		wait     time.Duration
		want     uint64
		explains func(f *fixture)
	}{
		{name: "nothing comes, for ten seconds", wait: 10 * time.Second, want: 3},
		{name: "nothing comes, for less", wait: 9900 * time.Millisecond, want: 0},
		{name: "without versions, ten seconds", plain: true, wait: 10 * time.Second, want: 3},
		{name: "without versions, less", plain: true, wait: 9900 * time.Millisecond, want: 0},
		{name: "a heartbeat from there", wait: 250 * time.Millisecond, want: 3, after: func(f *fixture, _ []tenant.Event) {
			f.feed.Heartbeat(f.manager.Version())
		}},
		{name: "a heartbeat from before", wait: 250 * time.Millisecond, want: 0, after: func(f *fixture, _ []tenant.Event) {
			v := f.manager.Version()
			v.Revision--
			f.feed.Heartbeat(v)
		}},
		{name: "a later event, and those of before right behind it", wait: time.Minute, want: 0, after: func(f *fixture, lost []tenant.Event) {
			f.feed.Heartbeat(f.manager.Version())
			pass(200 * time.Millisecond)
			for _, evt := range lost {
				_ = f.feed.Publish(context.Background(), evt)
			}
		}},
		{name: "an event from there that a user hands in", wait: 9900 * time.Millisecond, want: 0, after: func(f *fixture, _ []tenant.Event) {
			evt := event(tenant.EventUpdated, "goes")
			evt.Epoch, evt.Revision = f.manager.Version().Epoch, f.manager.Version().Revision
			_ = f.d.HandleEvent(context.Background(), evt)
		}},
		{name: "one of them is handed in", wait: 10 * time.Second, want: 2, after: func(f *fixture, lost []tenant.Event) {
			_ = f.d.HandleEvent(context.Background(), lost[1])
		}},
		{name: "one of them is announced", wait: time.Minute, want: 2, after: func(f *fixture, lost []tenant.Event) {
			_ = f.feed.Publish(context.Background(), lost[1])
		}},
		{name: "a loss that is known", wait: time.Minute, want: 0, explains: func(f *fixture) { f.feed.Gap(nil) }},
		{name: "a new subscription", wait: time.Minute, want: 0, explains: func(f *fixture) { f.feed.Resubscribe() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "goes")
				if tc.plain {
					f.plain(t, "goes")
				}
				f.cfg.ResyncInterval = 24 * time.Hour
				d := f.start(t)
				had := len(f.manager.Events())
				f.feed.Drop(5)
				f.add(t, "new", "newer")
				f.suspend(t, "goes")
				f.feed.Drop(0)
				lost := f.manager.Events()[had:]
				if tc.explains != nil {
					tc.explains(f)
					settle()
				}
				if err := d.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				if tc.after != nil {
					tc.after(f, lost)
				}
				pass(tc.wait)
				if n := d.Status().Counters; n.Unannounced != tc.want || n.DriftFound != 3 {
					t.Errorf("%d are unannounced, want %d; %+v", n.Unannounced, tc.want, n)
				}
				lines := min(int(tc.want), 1) //nolint:gosec // a few
				f.log.want(t, lines, slog.LevelWarn, "differences that no event has announced", "is it the manager's Redis")
				pass(time.Hour)
				wantState(t, d, discovery.Live)
			})
		})
	}
}
