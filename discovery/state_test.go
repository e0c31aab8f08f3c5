package discovery_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// panicExit ends the goroutine that calls it.
func panicExit() { runtime.Goexit() }

// TestStates walks through the table of feed and snapshot.
func TestStates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		var states diary
		d.OnStatusChange(func(_ context.Context, s discovery.Status) { states.notef("%s", s.State) })
		wantState(t, d, discovery.Starting)
		if d.Status().Ready() {
			t.Error("ready before Start")
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		wantTold(t, &states, "live")

		f.manager.FailList(1<<30, 500, "")
		if err := d.Refresh(t.Context()); err == nil {
			t.Error("no failure")
		}
		wantState(t, d, discovery.Live) // nothing was missed
		f.feed.Gap(nil)
		settle()
		wantTold(t, &states, "syncing")
		pass(14 * time.Second)
		wantState(t, d, discovery.Syncing)
		pass(2 * time.Second)
		wantTold(t, &states, "stale")

		f.feed.Disconnect(nil)
		settle()
		wantState(t, d, discovery.Stale)
		f.manager.ClearFaults()
		pass(31 * time.Second)
		wantTold(t, &states, "polling")
		f.manager.FailList(1<<30, 500, "")
		pass(19 * time.Second)
		wantTold(t, &states, "stale")
		if !d.Status().Ready() {
			t.Error("not ready while stale")
		}
		f.feed.Connect()
		f.manager.ClearFaults()
		pass(31 * time.Second)
		wantState(t, d, discovery.Live)
		if age := d.Status().Age(); age < 0 || age > 31*time.Second {
			t.Errorf("age %v", age)
		}
	})
}

// TestEveryStateChangeIsOneLine with its reason and advice.
func TestEveryStateChangeIsOneLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		f.feed.Disconnect(errors.New("no route to host"))
		settle()
		f.feed.Connect()
		pass(2 * time.Second)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for _, words := range [][]string{
			{"INFO discovery is live", "before=starting"},
			{"WARN discovery is polling", "before=live", "no route to host", "advice=check Redis"},
			{"discovery is syncing", "before=polling"},
			{"INFO discovery is live", "before=syncing"},
			{"INFO discovery is closed", "before=live"},
		} {
			f.log.want(t, 1, slog.LevelDebug, words...)
		}
		f.log.want(t, 5, slog.LevelDebug, "discovery is", "reason=", "advice=", "service="+service, "tenant_count=1")
	})
}

func TestEventsAreLogged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		evt := event(tenant.EventServiceAssociated, "acme")
		evt.EventID = "e-7"
		if err := d.HandleEvent(t.Context(), evt); err != nil {
			t.Fatal(err)
		}
		f.log.want(t, 1, slog.LevelInfo, "tenant added", "tenant_id=acme", "event_type=tenant.service.associated", "event_id=e-7", "service="+service)
	})
}

// TestAntiEntropy: without any sign of a loss the set is compared with the manager's every five minutes, and 304 is enough
// when nothing is new.
func TestAntiEntropy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newListFixture(t, "acme")
		d := f.start(t)
		f.feed.Drop(2) // that it was created, and that it was associated
		f.add(t, "missed")
		pass(6 * time.Minute)
		wantSet(t, d, "acme", "missed")
		wantState(t, d, discovery.Live)
		if n := d.Status().Counters; n.DriftFound != 1 || n.Reconciles != 1 {
			t.Errorf("counted %+v", n)
		}
		pass(time.Hour)
		n := d.Status().Counters
		if n.Reconciles < 10 || n.Reconciles > 17 || n.SnapshotsUnchanged != n.Reconciles-1 {
			t.Errorf("counted %+v", n)
		}
	})
}

// TestNotModifiedAfterEvents: the manager's list is what it was at the last snapshot, the set is not.
func TestNotModifiedAfterEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "forged")); err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "acme", "forged")
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "acme")
	})
}

func TestPollingWhileTheFeedIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		f.feed.Disconnect(nil)
		settle()
		before := f.manager.Requests()
		pass(10 * time.Minute)
		if n := f.manager.Requests() - before; n < 600/18 || n > 600/12+1 {
			t.Errorf("%d polls in ten minutes", n)
		}
		wantState(t, d, discovery.Polling)
	})
}

// TestFeedThatEndsIsRunAgain: a Run that returns has lost the link.
func TestFeedThatEndsIsRunAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		f.feed.EndRuns(errors.New("out of order"))
		settle()
		wantState(t, d, discovery.Polling)
		f.add(t, "missed")
		pass(3 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "missed")
	})
}

// TestClientsThatNeverReturnAreFew: a TMClient that never returns costs four goroutines, not one for every poll.
func TestClientsThatNeverReturnAreFew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		release := make(chan struct{})
		var hang atomic.Bool
		var calls atomic.Int32
		f.cfg.TMClient = fetcher(func(ctx context.Context, s string) ([]*tenant.Summary, error) {
			calls.Add(1)
			if hang.Load() {
				<-release
			}
			return f.manager.Fetcher().GetActiveTenantsByService(ctx, s)
		})
		d := f.start(t)
		hang.Store(true)
		f.feed.Gap(nil)
		pass(time.Hour)
		if n := calls.Load(); n != 5 {
			t.Errorf("%d calls, want the bootstrap and four", n)
		}
		wantState(t, d, discovery.Stale)
		hang.Store(false)
		close(release)
		pass(time.Minute)
		wantState(t, d, discovery.Live)
	})
}

func TestClientThatPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.TMClient = fetcher(func(context.Context, string) ([]*tenant.Summary, error) { panic("nil map") })
		if err := f.new(t).Start(t.Context()); err == nil {
			t.Error("Start says nothing")
		}
	})
}

// TestStaleWhileARequestHangs: that the manager fails for longer than PollInterval shows, even while it does not answer.
func TestStaleWhileARequestHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		f.cfg.BootstrapTimeout = 10 * time.Minute
		d := f.start(t)
		f.manager.FailList(1, 500, "")
		f.feed.Gap(nil)
		pass(time.Second)
		f.manager.ClearFaults()
		_, release := f.manager.HoldList()
		defer release()
		pass(discovery.DefaultPollInterval - 2*time.Second)
		wantState(t, d, discovery.Syncing)
		pass(3 * time.Second)
		wantState(t, d, discovery.Stale)
	})
}

// TestAFeedThatPanicsIsALostLink, and is run again; the process lives.
func TestAFeedThatPanicsIsALostLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		var healthy atomic.Bool
		f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
			if !healthy.Load() {
				panic("as planned")
			}
			return f.feed.Run(ctx, sink)
		})
		d := f.start(t)
		wantState(t, d, discovery.Polling)
		if err := d.Status().FeedError; err == nil || !strings.Contains(err.Error(), "as planned") {
			t.Errorf("the feed's error is %v", err)
		}
		healthy.Store(true)
		pass(5 * time.Second)
		wantState(t, d, discovery.Live)
	})
}
