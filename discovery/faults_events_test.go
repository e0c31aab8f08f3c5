package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestD14WrongEvents: each is counted, the loop lives, and one reconcile makes good what they may have been.
func TestD14WrongEvents(t *testing.T) {
	for name, data := range map[string]string{
		"bad JSON":        `{"event_type":`,
		"10 MiB":          `{"event_type":"tenant.suspended","tenant_id":"acme","tenant_slug":"` + strings.Repeat("x", 10<<20) + `"}`,
		"invalid UTF-8":   "{\"event_type\":\"tenant.suspended\",\"tenant_id\":\"acme\",\"tenant_slug\":\"\xff\"}",
		"deep":            `{"event_type":"tenant.suspended","tenant_id":"acme","payload":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"tenant_id null":  `{"event_type":"tenant.suspended","tenant_id":null}`,
		"no type":         `{"tenant_id":"acme"}`,
		"payload missing": `{"event_type":"tenant.service.suspended","tenant_id":"acme"}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				d := f.start(t)
				many := uint64(1000)
				if name == "10 MiB" && !*faultsFull {
					many = 50
				}
				for range many {
					f.feed.PublishRaw([]byte(data))
				}
				f.add(t, "after")
				settle()
				wantSet(t, d, "acme", "after")
				wantState(t, d, discovery.Syncing)
				if n := d.Status().Counters.EventsBad; n != many {
					t.Errorf("%d counted", n)
				}
				pass(3 * time.Second)
				wantState(t, d, discovery.Live)
				if n := f.manager.Requests(); n != 2 {
					t.Errorf("%d requests, want the bootstrap and one more", n)
				}
				f.log.want(t, 1, slog.LevelWarn, "an event could not be used")
			})
		})
	}
}

// TestD14FloodOfUnknownTypes: at most one reconcile a second, one warning for each type, and memory for some types only.
func TestD14FloodOfUnknownTypes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		const seconds, perSecond = 5, 20000
		for second := range seconds {
			for i := range perSecond {
				eventType := tenant.EventType(fmt.Sprintf("tenant.novelty%d", i%1000))
				if err := f.feed.Publish(t.Context(), tenant.Event{EventType: eventType, TenantID: fmt.Sprint("t", second, "-", i)}); err != nil {
					t.Fatal(err)
				}
			}
			pass(time.Second)
		}
		pass(2 * time.Second)
		wantSet(t, d, "acme")
		wantState(t, d, discovery.Live)
		if n := f.manager.Requests(); n > seconds+3 {
			t.Errorf("%d requests in %d seconds", n, seconds)
		}
		if n := d.Status().Counters; n.EventsUnknown+n.EventsDropped != seconds*perSecond {
			t.Errorf("%d counted, %d dropped", n.EventsUnknown, n.EventsDropped)
		}
		f.log.want(t, 64, slog.LevelWarn, "does not know")
	})
}

// TestUnknownTypeAsksForASnapshot: it may be news of a kind that this version cannot read.
func TestUnknownTypeAsksForASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		f.feed.Drop(2)
		f.add(t, "missed")
		if err := d.HandleEvent(t.Context(), event("tenant.service.migrated", "missed")); err != nil {
			t.Error(err)
		}
		wantSet(t, d)
		wantState(t, d, discovery.Syncing)
		pass(time.Second)
		wantSet(t, d, "missed")
		wantState(t, d, discovery.Live)
	})
}

// TestGapDuringARequest: the answer may be older than the gap and does not close it; a second one does.
func TestGapDuringARequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		reached, release := f.manager.HoldList()
		refreshed := make(chan error)
		go func() { refreshed <- d.Refresh(t.Context()) }()
		<-reached
		f.feed.Drop(2)
		f.add(t, "missed")
		f.feed.Gap(nil)
		settle()
		release()
		if err := <-refreshed; err != nil {
			t.Fatal(err)
		}
		wantState(t, d, discovery.Syncing)
		pass(2 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "missed")
	})
}

// TestOverflow: while a logger holds up the applying, more arrives than is kept. What was dropped is counted, and a
// snapshot makes it good.
func TestOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		release := make(chan struct{})
		f.log.hook = func(line string) {
			if strings.Contains(line, "gate") {
				<-release
			}
		}
		d := f.start(t)
		f.add(t, "gate")
		settle()
		for range 100_000 {
			f.feed.PublishRaw([]byte(`{"event_type":"tenant.updated","tenant_id":"acme"}`))
		}
		f.add(t, "dropped")
		settle()
		close(release)
		settle()
		wantSet(t, d, "gate")
		if n := d.Status().Counters; n.EventsDropped == 0 || n.EventsDropped+n.EventsIgnored+n.EventsApplied != 100_004 {
			t.Errorf("counted %+v", n)
		}
		pass(time.Second)
		wantSet(t, d, "gate", "dropped")
		f.log.want(t, 1, slog.LevelWarn, "faster than they could be applied")
	})
}

// TestD25SuspendedThenActivated: tenant.activated alone has to bring the tenant back.
func TestD25SuspendedThenActivated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		told := keep(d)
		f.suspend(t, "acme")
		settle()
		wantSet(t, d)
		f.feed.Silence(true)
		if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		f.feed.Silence(false)
		activated := event(tenant.EventActivated, "acme")
		if err := f.feed.Publish(t.Context(), activated); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		wantSet(t, d, "acme")
		wantTold(t, told, "-acme, +acme")
		before := f.manager.Requests()
		if err := f.feed.Publish(t.Context(), activated); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if f.manager.Requests() != before {
			t.Error("a snapshot was asked for although the tenant is there")
		}
	})
}

func TestD26OtherEnvironmentOtherService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		f.cfg.Environment = "production"
		f.manager.ListEnvironment(-1, "production")
		d := f.start(t)
		staging := event(tenant.EventSuspended, "acme")
		staging.Environment = "staging"
		other := event(tenant.EventServiceSuspended, "acme")
		other.Payload = json.RawMessage(`{"service_name":"crm"}`)
		for range 3 {
			if err := d.HandleEvent(t.Context(), staging); err != nil {
				t.Error(err)
			}
			if err := f.feed.Publish(t.Context(), staging); err != nil {
				t.Error(err)
			}
			if err := f.feed.Publish(t.Context(), other); err != nil {
				t.Error(err)
			}
		}
		pass(5 * time.Second)
		wantSet(t, d, "acme")
		if n := d.Status().Counters; n.EventsOtherEnvironment != 6 || n.EventsOtherService != 3 || n.EventsApplied != 0 {
			t.Errorf("counted %+v", n)
		}
		if f.manager.Requests() != 1 {
			t.Errorf("%d requests", f.manager.Requests())
		}
		none := event(tenant.EventSuspended, "acme")
		if err := d.HandleEvent(t.Context(), none); err != nil {
			t.Error(err)
		}
		wantSet(t, d)
	})
}

// TestD26TwoEnvironmentsHeard: with none configured all count, and one warning says that there are two.
func TestD26TwoEnvironmentsHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		for i, environment := range []string{"", "staging", "staging", "production", "test", "staging"} {
			evt := event(tenant.EventServiceAssociated, fmt.Sprint("t", i))
			evt.Environment = environment
			if err := d.HandleEvent(t.Context(), evt); err != nil {
				t.Error(err)
			}
		}
		if d.Len() != 6 {
			t.Errorf("%d tenants", d.Len())
		}
		f.log.want(t, 1, slog.LevelWarn, "two environments", "staging", "production")
	})
}

// TestD27ConfirmedAndClosedAtOnce, again and again: never a storm of requests, one warning with the reason.
func TestD27ConfirmedAndClosedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
			for ctx.Err() == nil {
				sink(tenant.Signal{Kind: tenant.SignalSubscribed})
				wait(ctx, time.Millisecond)
				sink(tenant.Signal{Kind: tenant.SignalLost, Err: errors.New("closed by the server")})
				wait(ctx, 49*time.Millisecond)
			}
			return ctx.Err()
		})
		f.manager.DelayList(-1, 5*time.Millisecond)
		d := f.start(t)
		d.OnStatusChange(func(_ context.Context, s discovery.Status) {
			if s.State == discovery.Live {
				t.Error("live")
			}
		})
		pass(10 * time.Second)
		wantState(t, d, discovery.Polling)
		if err := d.Status().FeedError; err == nil || err.Error() != "closed by the server" {
			t.Errorf("Status says %v", err)
		}
		if n := f.manager.Requests(); n > 12 {
			t.Errorf("%d requests in ten seconds", n)
		}
		if n := d.Status().Counters.Subscriptions; n < 190 {
			t.Errorf("%d subscriptions", n)
		}
		f.log.want(t, 1, slog.LevelWarn, "discovery is polling", "closed by the server")
	})
}

// wait lets the bubble's time pass, but not beyond ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func TestD30EventsWithoutUsableTimestamp(t *testing.T) {
	for i, extra := range []string{
		``, `,"timestamp":null`, `,"timestamp":""`, `,"timestamp":"yesterday"`, `,"timestamp":1700000000`, `,"timestamp":{}`,
		`,"timestamp":"2026-02-30T00:00:00Z"`, `,"mood":"good","revision":"seven","epoch":7`,
	} {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			d := f.start(t)
			id := fmt.Sprint("t", i)
			f.feed.PublishRaw([]byte(`{"event_type":"tenant.service.associated","tenant_id":"` + id + `","payload":{"service_name":"ledger","novel":[]}` + extra + `}`))
			settle()
			wantSet(t, d, id)
			wantState(t, d, discovery.Live)
		})
	}
}
