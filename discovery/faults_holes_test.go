package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// relay is a manager's, which sends what has been committed in rounds, none with two events of one tenant: so the order of
// each tenant is kept, and the revisions change places.
type relay struct {
	feed    *tenanttest.Feed
	pending []tenant.Event
}

func (r *relay) take(_ context.Context, evt tenant.Event) error {
	r.pending = append(r.pending, evt)
	return nil
}

// send sends what is pending. between is called before each round but the first.
func (r *relay) send(t *testing.T, between func()) {
	t.Helper()
	for i, round := range roundsOf(r.pending) {
		if i > 0 {
			between()
		}
		for _, evt := range round {
			if err := r.feed.Publish(t.Context(), evt); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.pending = nil
}

// roundsOf sorts events as the relay sends them.
func roundsOf(events []tenant.Event) (rounds [][]tenant.Event) {
	seen := make(map[string]int)
	for _, evt := range events {
		id := tenant.CanonicalID(evt.TenantID)
		n := seen[id]
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n], seen[id] = append(rounds[n], evt), n+1
	}
	return rounds
}

// behindARelay is a discovery of tenants that a relay announces.
func behindARelay(t *testing.T, tenants int) (f *fixture, r *relay, d *discovery.TenantDiscovery) {
	t.Helper()
	r = &relay{feed: tenanttest.NewFeed()}
	f = &fixture{feed: r.feed, log: &logBook{}}
	f.manager = tenanttest.NewManager(tenanttest.WithPublisher(r.take), tenanttest.WithEnvironment("test"))
	for n := range tenants {
		f.add(t, fmt.Sprint("t", n))
	}
	r.pending = nil
	f.cfg = discovery.Config{ServiceName: service, TMClient: f.manager.Fetcher(), Feed: r.feed, Logger: slog.New(f.log)}
	d = f.start(t)
	return f, r, d
}

// TestX04ARelayThatSendsTenantsSideBySide: eight clients change forty tenants for a minute. Nothing is lost, so no list is
// asked for, and the state stays as it is.
func TestX04ARelayThatSendsTenantsSideBySide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const clients, tenants = 8, 40
		f, r, d := behindARelay(t, tenants)
		dice := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // to be repeated
		before := f.manager.Requests()
		var changed atomic.Int64
		d.OnStatusChange(func(context.Context, discovery.Status) { changed.Add(1) })
		settle()
		changed.Store(0) // that of the start
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			for range clients * 4 {
				id := fmt.Sprint("t", dice.IntN(tenants))
				if f.manager.Suspend(t.Context(), id) != nil && f.manager.Reactivate(t.Context(), id) != nil {
					t.Fatal("neither active nor suspended")
				}
			}
			r.send(t, func() { pass(time.Duration(dice.IntN(10)) * time.Millisecond) })
			pass(time.Duration(dice.IntN(20)) * time.Millisecond)
		}
		settle()
		if asked := f.manager.Requests() - before; asked > 0 || changed.Load() > 0 {
			t.Errorf("%d lists, the state has changed %d times", asked, changed.Load())
		}
		wantState(t, d, discovery.Live)
		wantSet(t, d, idsOfRows(f.manager.Active(service))...)
		if _, ahead := d.Remembered(); ahead > 0 {
			t.Errorf("%d revisions are beyond a hole", ahead)
		}
	})
}

// TestX04AHoleIsAGapAfterAWhile, to the millisecond, even while a request is under way that began before it.
func TestX04AHoleIsAGapAfterAWhile(t *testing.T) {
	for name, busy := range map[string]bool{"": false, ", during a request": true} {
		t.Run("a hole"+name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, r, d := behindARelay(t, 3)
				if busy {
					reached, release := f.manager.HoldList()
					defer release()
					go func() { _ = d.Refresh(context.WithoutCancel(t.Context())) }()
					<-reached
				}
				f.suspend(t, "t0")
				lost := r.pending
				f.suspend(t, "t1")
				r.pending = r.pending[len(lost):]
				r.send(t, settle)
				pass(holePatience - time.Millisecond)
				wantState(t, d, discovery.Live)
				pass(time.Millisecond)
				wantState(t, d, discovery.Syncing)
				wantSet(t, d, "t0", "t2")
				f.log.want(t, 1, slog.LevelInfo, "discovery is syncing", "is missing")
			})
		})
	}
}

// TestX04AHoleThatIsFilled just in time is none, and the next one has its own time.
func TestX04AHoleThatIsFilled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, r, d := behindARelay(t, 4)
		requests := f.manager.Requests()
		for _, id := range []string{"t0", "t1", "t2", "t3"} {
			f.suspend(t, id)
		}
		events := r.pending
		step := func(n int, wait time.Duration) {
			r.pending = events[n : n+1]
			r.send(t, settle)
			pass(wait)
			wantState(t, d, discovery.Live)
		}
		step(1, 200*time.Millisecond) // 0 is missing
		step(3, 49*time.Millisecond)  // so is 2
		step(0, 200*time.Millisecond) // 2 still is
		step(2, time.Hour)
		wantSet(t, d)
		if asked := f.manager.Requests() - requests; asked > 15 { // an hour has a few anyway
			t.Errorf("%d lists", asked)
		}
	})
}

// TestX04AnActivationThatNothingFollows: the event that says for which service has a while to come; then the list tells.
func TestX04AnActivationThatNothingFollows(t *testing.T) {
	d := newDesk(version("e", 10))
	d.event(tenant.EventActivated, "c", version("e", 11), time.Time{})
	d.want(t, discovery.Live, "a", "b")
	d.event(tenant.EventActivated, "d", version("e", 12), time.Time{})
	d.event(tenant.EventServiceReactivated, "d", version("e", 13), time.Time{})
	d.now = d.now.Add(holePatience)
	d.Look(d.now)
	d.want(t, discovery.Syncing, "a", "b", "d")
	d.answer(d.ask(), version("e", 13), "a", "b", "d")
	d.want(t, discovery.Live, "a", "b", "d")
	d.event(tenant.EventActivated, "c", version("e", 14), time.Time{})
	d.answer(d.ask(), version("e", 14), "a", "b", "d") // which knows
	d.now = d.now.Add(holePatience)
	d.Look(d.now)
	d.want(t, discovery.Live, "a", "b", "d")

	plain := newDesk(tenant.Version{})
	plain.event(tenant.EventActivated, "c", tenant.Version{}, time.Time{})
	plain.want(t, discovery.Syncing, "a", "b")
}

func idsOfRows(rows []tenant.Summary) (ids []string) {
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}
