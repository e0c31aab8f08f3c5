package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestSetFirstThenMailboxes: who is told of a tenant finds it in the set. It runs in real time, because a reader that is
// at its mailbox already is the one that could be too early.
func TestSetFirstThenMailboxes(t *testing.T) {
	const n = 20000
	f := newFixture(t)
	f.cfg.Logger = nil
	d := f.start(t)
	var told, early atomic.Int64
	d.OnTenantAdded(func(_ context.Context, id string) {
		if !d.IsActive(id) {
			early.Add(1)
		}
		told.Add(1)
	})
	for i := range n {
		f.publishOnly(t, event(tenant.EventServiceAssociated, fmt.Sprint("t", i)))
	}
	eventually(t, func() string {
		if told.Load() < n {
			return fmt.Sprint(told.Load(), " were told")
		}
		return ""
	})
	if early.Load() > 0 {
		t.Errorf("%d of %d were told before the set showed it", early.Load(), n)
	}
}

// publishOnly is publish outside of a bubble.
func (f *fixture) publishOnly(t testing.TB, evt tenant.Event) {
	t.Helper()
	if err := f.feed.Publish(t.Context(), evt); err != nil {
		t.Fatal(err)
	}
}

// TestEveryBadStateIsWarnedOf, even when it comes after another one.
func TestEveryBadStateIsWarnedOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		f.manager.FailList(-1, 500, "")
		f.feed.Gap(nil)
		pass(20 * time.Second)
		f.feed.Disconnect(errors.New("NOPERM"))
		settle()
		f.manager.ClearFaults()
		pass(time.Hour)
		wantState(t, d, discovery.Polling)
		f.log.want(t, 1, slog.LevelWarn, "discovery is stale")
		f.log.want(t, 1, slog.LevelWarn, "discovery is polling", "NOPERM")
	})
}

// TestD27TheReasonIsWarnedOf although it became known only after the state was.
func TestD27TheReasonIsWarnedOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
			for ctx.Err() == nil {
				wait(ctx, 10*time.Second)
				sink(tenant.Signal{Kind: tenant.SignalLost, Err: fmt.Errorf("subscribe: %w", redisevents.ErrSilent)})
			}
			return ctx.Err()
		})
		f.start(t)
		pass(10 * time.Minute)
		f.log.want(t, 1, slog.LevelWarn, "discovery is polling")
		f.log.want(t, 1, slog.LevelWarn, "no subscription", redisevents.ErrSilent.Error())
	})
}

// TestStartAfterItsCtxHasEnded is an error, even when the answer comes after all.
func TestStartAfterItsCtxHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.TMClient = fetcher(func(context.Context, string) ([]*tenant.Summary, error) {
			<-time.After(1100 * time.Millisecond)
			return nil, nil
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too slow"))
		defer cancel()
		err := f.new(t).Start(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start: %v", err)
		}
		if f.feed.Subscribers() != 0 {
			t.Error("the feed runs on")
		}
	})
}

// TestExplainRemembersWhoFlaps, and those who do not.
func TestExplainRemembersWhoFlaps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "other")
		d := f.start(t)
		handle := func(kind tenant.EventType, id string) {
			if err := d.HandleEvent(t.Context(), event(kind, id)); err != nil {
				t.Fatal(err)
			}
		}
		handle(tenant.EventSuspended, "other")
		for range 1100 {
			handle(tenant.EventServiceAssociated, "flapping")
			handle(tenant.EventSuspended, "flapping")
		}
		if len(d.Explain("flapping")) == 0 || len(d.Explain("other")) == 0 {
			t.Error("forgotten, though only two tenants ever left")
		}
		for i := range 1100 {
			handle(tenant.EventServiceAssociated, fmt.Sprint("t", i))
			handle(tenant.EventSuspended, fmt.Sprint("t", i))
		}
		if len(d.Explain("other")) != 0 || len(d.Explain("t1099")) == 0 {
			t.Error("the wrong ones are remembered")
		}
	})
}

// TestSpreadIsTheLeastTimeBetweenRequests, however short the intervals are.
func TestSpreadIsTheLeastTimeBetweenRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.PollInterval, f.cfg.ResyncInterval = 10*time.Millisecond, 10*time.Millisecond
		f.start(t)
		pass(10 * time.Second)
		if n := f.manager.Requests(); n > 11 {
			t.Errorf("%d requests in ten seconds", n)
		}
	})
}

// TestEveryConfirmationIsAGap, also one while the feed is up, as of a driver that subscribed again by itself.
func TestEveryConfirmationIsAGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		f.feed.Drop(2)
		f.add(t, "missed")
		f.feed.Resubscribe()
		settle()
		wantState(t, d, discovery.Syncing)
		pass(time.Second)
		wantSet(t, d, "missed")
		wantState(t, d, discovery.Live)
	})
}

// TestEventThatChangesNothingOverridesTheSnapshot: without versions, an answer that lacks a tenant which was announced
// meanwhile is the older one, although the set had the tenant already.
func TestEventThatChangesNothingOverridesTheSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t).plain(t, "acme")
		d := f.start(t)
		told := keep(d)
		f.feed.Silence(true)
		f.suspend(t, "acme")
		reached, release := f.manager.HoldList()
		refreshed := make(chan error)
		go func() { refreshed <- d.Refresh(t.Context()) }()
		<-reached
		if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		f.feed.Silence(false)
		if err := d.HandleEvent(t.Context(), event(tenant.EventServiceReactivated, "acme")); err != nil {
			t.Fatal(err)
		}
		release()
		if err := <-refreshed; err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "acme")
		wantTold(t, told, "")
	})
}
