package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// badEvents are all forms of an event that cannot be used, as they come off the wire.
func badEvents() map[string]string {
	const service = `{"event_type":"tenant.service.suspended","tenant_id":"acme"`
	return map[string]string{
		"bad JSON":                `{"event_type":`,
		"nothing":                 ``,
		"no object":               `["tenant.suspended","acme"]`,
		"10 MiB":                  `{"event_type":"tenant.suspended","tenant_id":"acme","tenant_slug":"` + strings.Repeat("x", 10<<20) + `"}`,
		"invalid UTF-8":           "{\"event_type\":\"tenant.suspended\",\"tenant_id\":\"acme\",\"tenant_slug\":\"\xff\"}",
		"depth 20,000":            `{"event_type":"tenant.suspended","tenant_id":"acme","payload":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"tenant_id null":          `{"event_type":"tenant.suspended","tenant_id":null}`,
		"tenant_id impossible":    `{"event_type":"tenant.suspended","tenant_id":"a c"}`,
		"event_type null":         `{"event_type":null,"tenant_id":"acme"}`,
		"payload missing":         service + `}`,
		"payload null":            service + `,"payload":null}`,
		"payload no object":       service + `,"payload":"ledger"}`,
		"payload without service": service + `,"payload":{"service":"ledger"}}`,
		"unknown type":            `{"event_type":"tenant.novelty","tenant_id":"acme"}`,
	}
}

// TestD14OnRealRedis: each form is published as it is, counted, and harms neither the set nor the link; together they
// cost at most one reconcile for each spread.
func TestD14OnRealRedis(t *testing.T) {
	r := newReal(t)
	r.add(t, "acme")
	r.cfg.ResyncSpread = time.Minute // longer than the test: one reconcile at most
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	forms := badEvents()
	for name, data := range forms {
		if err := r.redis.Client().Publish(t.Context(), redisevents.EnvironmentChannelName("test"), data).Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	r.add(t, "after")
	r.wantEqual(t, d)
	s := d.Status()
	if n := s.Counters.EventsBad + s.Counters.EventsUnknown; n != uint64(len(forms)) || s.Counters.Subscriptions != 1 {
		t.Errorf("%d of %d counted, %d subscriptions", n, len(forms), s.Counters.Subscriptions)
	}
	if n := r.manager.Requests(); n > 2 || s.State != discovery.Syncing {
		t.Errorf("%d requests, %v", n, s.State)
	}
	if err := d.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, d, discovery.Live)
	if found := r.log.find(slog.LevelWarn, "an event could not be used"); len(found) != 1 {
		t.Errorf("warned %d times", len(found))
	}
}

// TestD14AHundredThousandASecond of one small form, ten thousand of the others unless -faults.full, and then a thousand a second for a
// while: all are counted, good events between them are applied at once, and there is at most one reconcile a second.
func TestD14AHundredThousandASecond(t *testing.T) {
	const seconds, later, parts = 5, 1_000, 10
	for name, first := range map[string]int{"bad JSON": 100_000, "tenant_id null": 10_000, "payload missing": 10_000, "unknown type": 10_000} {
		if *faultsFull {
			first = 100_000
		}
		t.Run(name, func(t *testing.T) {
			data := []byte(badEvents()[name])
			bubble(t, func(t *testing.T) {
				f := newFixture(t)
				f.cfg.Logger = slog.New(warnings{f.log}) // else most of the time goes into lines that nobody reads
				d := f.start(t)
				for part := range seconds * parts {
					n := later / parts
					if part < parts {
						n = first / parts
					}
					for range n {
						f.feed.PublishRaw(data)
					}
					f.add(t, fmt.Sprint("after", part))
					settle()
					if d.Len() != part+1 {
						t.Fatal("a good event is not applied any more")
					}
					pass(time.Second / parts)
				}
				pass(time.Second)
				wantState(t, d, discovery.Live)
				if n := f.manager.Requests(); n < seconds || n > 1+seconds+1 {
					t.Errorf("%d requests in %d seconds", n, seconds+1)
				}
				n := d.Status().Counters
				if n.EventsBad+n.EventsUnknown != uint64(first+(seconds-1)*later) || n.EventsDropped != 0 { //nolint:gosec // a count is never negative
					t.Errorf("counted %+v", n)
				}
				if warned := f.log.find(slog.LevelWarn, "event"); len(warned) != 1 {
					t.Errorf("%d warnings", len(warned))
				}
			})
		})
	}
}

// warnings lets only those, and what is worse, into the log book.
type warnings struct{ *logBook }

func (warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// TestD14HandleEventSaysWhich event it was that could not be used.
func TestD14HandleEventSaysWhich(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		for i, evt := range []tenant.Event{
			{EventType: tenant.EventServiceSuspended, TenantID: "acme"},
			{EventType: tenant.EventServiceSuspended, TenantID: "acme", Payload: []byte(`null`)},
			{EventType: tenant.EventServiceAssociated, TenantID: "acme", Payload: []byte(`{"service_name":7}`)},
			{EventType: tenant.EventSuspended},
			{TenantID: "acme"},
		} {
			evt.EventID = fmt.Sprint("id-", i)
			var said *tenant.EventError
			if err := d.HandleEvent(t.Context(), evt); !errors.As(err, &said) || said.EventID != evt.EventID || said.EventType != evt.EventType {
				t.Errorf("event %d: %v", i, err)
			}
		}
		wantSet(t, d, "acme")
		wantState(t, d, discovery.Syncing)
		pass(time.Second)
		wantState(t, d, discovery.Live)
		if n := d.Status().Counters.EventsBad; n != 5 || f.manager.Requests() != 2 {
			t.Errorf("%d counted, %d requests", n, f.manager.Requests())
		}
	})
}
