package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// plain makes the fixture's manager one that sends no versions.
func (f *fixture) plain(t testing.TB, tenants ...string) *fixture {
	t.Helper()
	f.manager = tenanttest.NewManager(tenanttest.WithPublisher(f.feed.Publish), tenanttest.WithEnvironment("test"), tenanttest.WithoutVersions())
	f.cfg.TMClient = f.manager.Fetcher()
	f.add(t, tenants...)
	return f
}

// TestD06SnapshotOfALaggingReplica: refused, the set is kept, it is asked again with back-off, and that shows.
func TestD06SnapshotOfALaggingReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		before := f.manager.Version().Revision
		d := f.start(t)
		f.suspend(t, "acme")
		f.add(t, "beta")
		settle()
		f.manager.StaleList(-1, before)
		if err := d.Refresh(t.Context()); !errors.Is(err, discovery.ErrOldSnapshot) {
			t.Errorf("Refresh: %v", err)
		}
		wantSet(t, d, "beta")
		f.feed.Gap(nil)
		pass(time.Minute)
		wantSet(t, d, "beta")
		wantState(t, d, discovery.Stale)
		if !errors.Is(d.Status().SnapshotError, discovery.ErrOldSnapshot) {
			t.Errorf("Status says %v", d.Status().SnapshotError)
		}
		if n := f.manager.Requests(); n > 30 {
			t.Errorf("%d requests in a minute", n)
		}
		f.manager.ClearFaults()
		pass(31 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "beta")
	})
}

// TestD07ManagerRestored: a new epoch with lower revisions is a new world, taken once.
func TestD07ManagerRestored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "stays", "lost")
		d := f.start(t)
		told := keep(d)
		f.feed.Silence(true)
		if err := f.manager.Delete(t.Context(), "lost"); err != nil { // as the backup does not have it
			t.Fatal(err)
		}
		f.manager.NewEpoch()
		f.feed.Silence(false)
		f.add(t, "new")
		settle()
		wantSet(t, d, "stays", "lost") // an event of another epoch proves nothing yet
		pass(time.Second)
		wantSet(t, d, "stays", "new")
		wantState(t, d, discovery.Live)
		wantTold(t, told, "-lost, +new")
		f.suspend(t, "stays")
		pass(time.Hour)
		wantSet(t, d, "new")
		wantTold(t, told, "-stays")
		f.log.want(t, 1, slog.LevelWarn, "new data set")
	})
}

// TestD08OldNews: repeated a hundred times, out of order, and long after.
func TestD08OldNews(t *testing.T) {
	kinds := map[string]func(t *testing.T) *fixture{
		"versions":    func(t *testing.T) *fixture { t.Helper(); return newFixture(t, "acme") },
		"no versions": func(t *testing.T) *fixture { t.Helper(); return newFixture(t).plain(t, "acme") },
	}
	for name, fixtureOf := range kinds {
		t.Run(name+", a hundred times", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := fixtureOf(t)
				d := f.start(t)
				told := keep(d)
				f.feed.Duplicate(1 << 20)
				if err := f.manager.RotateCredentials(t.Context(), "acme", service); err != nil {
					t.Fatal(err)
				}
				pass(time.Millisecond)
				f.suspend(t, "acme")
				settle()
				for range 100 {
					for _, evt := range f.manager.Events() {
						if err := f.feed.Publish(t.Context(), evt); err != nil {
							t.Fatal(err)
						}
					}
				}
				pass(time.Minute)
				wantSet(t, d)
				wantTold(t, told, "~acme tenant.credentials.rotated, -acme")
			})
		})
		t.Run(name+", remove before the older add", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := fixtureOf(t)
				d := f.start(t)
				told := keep(d)
				f.feed.Silence(true)
				f.suspend(t, "acme")
				if err := f.manager.ReactivateService(t.Context(), "acme", service); err == nil {
					t.Fatal("reactivated while suspended")
				}
				pass(time.Millisecond)
				if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
					t.Fatal(err)
				}
				pass(time.Millisecond)
				f.suspend(t, "acme")
				f.feed.Silence(false)
				for _, evt := range slices.Backward(f.manager.Events()) {
					if err := f.feed.Publish(t.Context(), evt); err != nil {
						t.Fatal(err)
					}
				}
				settle()
				wantSet(t, d)
				pass(time.Minute)
				wantSet(t, d)
				wantState(t, d, discovery.Live)
				wantTold(t, told, "-acme")
			})
		})
		t.Run(name+", an hour late", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := fixtureOf(t)
				d := f.start(t)
				f.feed.Silence(true)
				f.suspend(t, "acme")
				if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
					t.Fatal(err)
				}
				lateNews := f.manager.Events()
				f.feed.Silence(false)
				pass(time.Hour)
				f.suspend(t, "acme")
				settle()
				told := keep(d)
				for _, evt := range lateNews {
					if err := f.feed.Publish(t.Context(), evt); err != nil {
						t.Fatal(err)
					}
				}
				pass(2 * time.Second)
				wantSet(t, d)
				wantState(t, d, discovery.Live)
				wantTold(t, told, "")
			})
		})
	}
}

// TestMissingRevisionIsAGap: the next event tells that one was lost.
func TestMissingRevisionIsAGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		f.feed.Drop(1)
		f.suspend(t, "acme")
		settle()
		wantState(t, d, discovery.Live) // how should it know
		f.add(t, "beta")
		pass(holePatience)
		wantState(t, d, discovery.Syncing)
		pass(time.Second)
		wantSet(t, d, "beta")
		wantState(t, d, discovery.Live)
	})
}

func TestHeartbeatAheadIsAGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		f.feed.Heartbeat(f.manager.Version())
		settle()
		wantState(t, d, discovery.Live)
		f.feed.Drop(1)
		f.suspend(t, "acme")
		f.feed.Heartbeat(f.manager.Version())
		pass(time.Second)
		wantSet(t, d)
		wantState(t, d, discovery.Live)
	})
}

// TestSnapshotOvertakenByEvents: under constant change every answer is older than the set when it comes, and has to be
// good enough.
func TestSnapshotOvertakenByEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		f.manager.DelayList(-1, 100*time.Millisecond)
		f.feed.Gap(nil)
		for i := range 300 {
			f.add(t, fmt.Sprint("t", i))
			pass(10 * time.Millisecond)
		}
		pass(100 * time.Millisecond)
		wantState(t, d, discovery.Live)
		if d.Len() != 301 || d.Status().SnapshotError != nil {
			t.Errorf("%d tenants, %v", d.Len(), d.Status().SnapshotError)
		}
	})
}

// forgetful is a fetcher whose 304 does not repeat the version.
type forgetful struct {
	*tenanttest.Fetcher

	repeats func(have tenant.Snapshot) tenant.Snapshot
}

func (f forgetful) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	got, err := f.Fetcher.FetchSnapshot(ctx, req)
	if got.NotModified {
		got = f.repeats(req.Have)
		got.NotModified = true
	}
	return got, err
}

// TestNotModifiedWithoutVersion: the set stays at the version that it has, and old events stay old.
func TestNotModifiedWithoutVersion(t *testing.T) {
	for name, repeats := range map[string]func(tenant.Snapshot) tenant.Snapshot{
		"nothing":      func(tenant.Snapshot) tenant.Snapshot { return tenant.Snapshot{} },
		"what we have": func(have tenant.Snapshot) tenant.Snapshot { return have },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newListFixture(t, "acme")
				f.cfg.TMClient = forgetful{f.manager.Fetcher(), repeats}
				stale := f.manager.Events()
				f.suspend(t, "acme")
				d := f.start(t)
				if err := f.manager.Add(t.Context(), "crm", "beta"); err != nil { // which moves the revision on
					t.Fatal(err)
				}
				settle()
				if err := d.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := d.Status().Counters.SnapshotsUnchanged; n != 1 {
					t.Fatalf("%d answers without change", n)
				}
				for _, evt := range stale {
					if err := d.HandleEvent(t.Context(), evt); err != nil {
						t.Fatal(err)
					}
				}
				wantSet(t, d)
				wantState(t, d, discovery.Live)
			})
		})
	}
}

// TestEventsOfOtherServicesCountAsHeard: revisions are of all of them.
func TestEventsOfOtherServicesCountAsHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		if err := f.manager.Add(t.Context(), "crm", "beta"); err != nil {
			t.Fatal(err)
		}
		f.add(t, "gamma")
		settle()
		wantState(t, d, discovery.Live)
		evt := event("tenant.novelty", "acme")
		evt.Epoch, evt.Revision = f.manager.Version().Epoch, f.manager.Version().Revision+1
		if err := d.HandleEvent(context.Background(), evt); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if n := f.manager.Requests(); n != 2 {
			t.Errorf("%d requests: want the bootstrap, and one for the unknown type", n)
		}
	})
}
