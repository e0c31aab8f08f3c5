package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestD06StaleAfterAWhile: while the replica lags, Syncing becomes Stale once that has lasted longer than PollInterval, the
// pauses between requests grow, and nothing is told.
func TestD06StaleAfterAWhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		keys := &askTimes{fetcher: f.manager.Fetcher()}
		f.cfg.TMClient = keys
		f.cfg.ResyncInterval = 24 * time.Hour
		before := f.manager.Version().Revision
		d := f.start(t)
		f.suspend(t, "acme")
		f.add(t, "beta")
		settle()
		told := keep(d)
		f.manager.StaleList(-1, before)
		f.feed.Gap(nil)
		pass(10 * time.Second)
		wantState(t, d, discovery.Syncing)
		pass(40 * time.Second)
		wantState(t, d, discovery.Stale)
		pass(10 * time.Minute)
		wantState(t, d, discovery.Stale)
		wantSet(t, d, "beta")
		if err := d.Status().SnapshotError; !errors.Is(err, discovery.ErrOldSnapshot) {
			t.Errorf("Status says %v", err)
		}
		pauses := keys.pauses()
		if len(pauses) > 80 || slices.Max(pauses) > 31*time.Second || slices.Min(pauses[1:]) < time.Second {
			t.Errorf("asked after pauses of %v", pauses)
		}
		f.manager.ClearFaults()
		pass(31 * time.Second)
		wantState(t, d, discovery.Live)
		wantTold(t, told, "")
	})
}

// askTimes notes when the list is asked for.
type askTimes struct {
	fetcher interface {
		discovery.ActiveTenantsFetcher
		discovery.SnapshotFetcher
	}

	mu    sync.Mutex
	times []time.Time
}

func (a *askTimes) note() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, time.Now())
}

// pauses returns the times between the requests so far.
func (a *askTimes) pauses() (pauses []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 1; i < len(a.times); i++ {
		pauses = append(pauses, a.times[i].Sub(a.times[i-1]))
	}
	return pauses
}

func (a *askTimes) GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error) {
	a.note()
	return a.fetcher.GetActiveTenantsByService(ctx, service)
}

func (a *askTimes) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	a.note()
	return a.fetcher.FetchSnapshot(ctx, req)
}

// TestD09FiveThousand: an answer with none of 5,000 tenants, or with 40 % of them, removes nothing; the next one decides,
// Delay later at the latest. An event for one tenant is applied meanwhile.
func TestD09FiveThousand(t *testing.T) {
	const tenants, gone = 5000, "gone-by-event"
	for name, left := range map[string]int{"none of them": 0, "40 % of them": tenants * 4 / 10} {
		for _, confirmed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, confirmed %v", name, confirmed), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newListFixture(t)
					f.cfg.Logger = nil
					if _, err := f.manager.Seed(t.Context(), service, tenants-1); err != nil {
						t.Fatal(err)
					}
					f.add(t, gone)
					d := f.start(t)
					tally := make(map[tenant.Kind]int)
					d.OnTenantAdded(func(context.Context, string) { tally[tenant.Added]++ })
					d.OnTenantRemoved(func(context.Context, string) { tally[tenant.Removed]++ })
					answers := 1
					if confirmed {
						answers = 2
					}
					f.manager.PartialList(answers, float64(left)/tenants)
					f.feed.Gap(nil)
					pass(time.Second)
					if d.Len() != tenants || d.Status().Counters.RemovalsHeld != uint64(tenants-left) { //nolint:gosec // never negative
						t.Errorf("%d tenants are left, %d removals held", d.Len(), d.Status().Counters.RemovalsHeld)
					}
					wantState(t, d, discovery.Syncing)
					f.suspend(t, gone)
					settle()
					if d.IsActive(gone) || d.Len() != tenants-1 {
						t.Error("an event waits for the guard")
					}
					pass(15 * time.Second)
					want := tenants - 1
					if confirmed {
						want = (tenants - 1) * left / tenants
					}
					if n := d.Len(); n != want || tally[tenant.Removed] != tenants-n || tally[tenant.Added] != 0 {
						t.Errorf("%d tenants are left, want %d; told %v", n, want, tally)
					}
					wantState(t, d, discovery.Live)
					if n := f.manager.Requests(); n != 3 {
						t.Errorf("%d requests: the bootstrap and two are enough", n)
					}
				})
			})
		}
	}
}

// TestD09WhoeverAsks: the second look need not be the guard's own; a Refresh is as good.
func TestD09WhoeverAsks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		if _, err := f.manager.Seed(t.Context(), service, 5000); err != nil {
			t.Fatal(err)
		}
		d := f.start(t)
		f.manager.EmptyList(2)
		for want := range slices.Values([]int{5000, 0}) {
			if err := d.Refresh(t.Context()); err != nil || d.Len() != want {
				t.Errorf("%d tenants, want %d; %v", d.Len(), want, err)
			}
		}
	})
}

// TestResyncAndPollAreSpread by 20 % either way, so that workers that started together do not ask together for ever.
func TestResyncAndPollAreSpread(t *testing.T) {
	const discoveries = 60
	for name, tc := range map[string]struct {
		interval time.Duration
		prepare  func(f *fixture)
		down     bool // the feed goes down once it is live
	}{
		"resync":                  {5 * time.Minute, func(*fixture) {}, false},
		"resync, as configured":   {time.Hour, func(f *fixture) { f.cfg.ResyncInterval = time.Hour }, false},
		"poll, down at the start": {15 * time.Second, func(f *fixture) { f.feed.Disconnect(nil) }, false},
		"poll, down later":        {15 * time.Second, func(*fixture) {}, true},
		"poll, as configured":     {time.Minute, func(f *fixture) { f.cfg.PollInterval = time.Minute; f.feed.Disconnect(nil) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				f.cfg.Logger = nil
				tc.prepare(f)
				all := make([]*askTimes, discoveries)
				for i := range all {
					all[i] = &askTimes{fetcher: f.manager.Fetcher()}
					f.cfg.TMClient = all[i]
					f.start(t)
				}
				if tc.down {
					f.feed.Disconnect(nil)
				}
				pass(5 * tc.interval)
				for i, least, most := 0, tc.interval*4/5, tc.interval*6/5; i < 3; i++ {
					low, high := most, least
					for _, asked := range all {
						pause := asked.pauses()[i]
						low, high = min(low, pause), max(high, pause)
					}
					if low < least || high > most || low > tc.interval*9/10 || high < tc.interval*11/10 {
						t.Errorf("pause %d was %v to %v, want all of %v to %v", i, low, high, least, most)
					}
				}
			})
		})
	}
}
