package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var (
	errRefused = fmt.Errorf("%w: NOPERM", redisevents.ErrRefused)
	errUnready = fmt.Errorf("%w: %w: LOADING", redisevents.ErrRefused, redisevents.ErrUnready)
)

func onlyTenant(id string, err error) func(tenant.Event) error {
	return func(event tenant.Event) error {
		if event.TenantID == id {
			return err
		}
		return nil
	}
}

func always(err error) func(tenant.Event) error { return func(tenant.Event) error { return err } }

func TestAFailureStopsItsTenantAlone(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() {
			w.publisher.refuse = func(event tenant.Event) error {
				if event.Revision == 2 {
					return errAway
				}
				return nil
			}
		})
		w.wake("a", "b", "a", "b", "c")
		w.expectSent(1, 3, 5)
		if got := w.status(); got.Pending != 2 {
			t.Errorf("%d events wait, want 2", got.Pending)
		}
		w.wake("a", "b")
		w.expectSent(1, 3, 5, 6)
		w.publisher.set(func() { w.publisher.refuse = nil })
		w.passes(mostWait)
		w.expectSent(1, 3, 5, 6, 2, 4, 7)
	})
}

func TestM06ARefusedEventIsSetAside(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() {
			w.publisher.refuse = func(event tenant.Event) error {
				if event.Revision == 2 {
					return errRefused
				}
				return nil
			}
		})
		began := time.Now()
		w.wake("a", "bad", "bad", "b", "bad")
		w.expectSent(1, 4)
		for w.status().Quarantined == 0 {
			w.passes(100 * time.Millisecond)
			w.wake()
		}
		if took := time.Since(began); took < 5*time.Second || took > 30*time.Second {
			t.Errorf("it took %s", took)
		}
		w.expectSent(1, 4, 3, 5)
		if got := w.rows[1]; got.Attempts != defaultAttempts || !strings.Contains(got.quarantined, "NOPERM") {
			t.Errorf("%d attempts, reason %q", got.Attempts, got.quarantined)
		}
		w.stop()
		if w.logged("level=ERROR", "set aside", "revision=2", "event_id=id-2", "tenant_id=bad", "attempts=5") != 1 || w.logged("level=ERROR") != 1 {
			t.Errorf("logged:\n%s", w.log)
		}
	})
}

func TestM06WhatIsNoEventIsSetAsideAtOnce(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.add("a", "a", "a", "b")
		w.set(func() { w.rows[0].Data, w.rows[2].Data = []byte("{"), nil })
		w.wake()
		w.expectSent(2, 4)
		if got := w.status(); got.Quarantined != 2 || got.Pending != 0 {
			t.Errorf("%+v", got)
		}
		w.stop()
		if w.logged("level=ERROR", "set aside") != 2 {
			t.Errorf("logged:\n%s", w.log)
		}
	})
}

// TestM06NothingIsSetAsideWhileNothingIsTaken, whatever Redis says.
func TestM06NothingIsSetAsideWhileNothingIsTaken(t *testing.T) {
	for name, fault := range map[string]struct {
		refuse  error
		beats   error
		tenants []string
	}{
		"an ACL without the channels":       {errRefused, nil, []string{"a", "b", "a"}},
		"an ACL without anything":           {errRefused, errRefused, []string{"a"}},
		"loading":                           {errUnready, errUnready, []string{"a", "b", "a"}},
		"no memory, one tenant, heartbeats": {errUnready, nil, []string{"a", "a", "a"}},
		"away":                              {errAway, errAway, []string{"a", "a", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				w.wake("z")
				w.passes(time.Second) // an event was taken once, and that says nothing of today
				w.publisher.set(func() { w.publisher.refuse, w.publisher.noBeat = always(fault.refuse), fault.beats })
				w.passes(10 * time.Second)
				w.wake(fault.tenants...)
				w.passes(time.Hour)
				w.publisher.set(func() { w.publisher.refuse = nil })
				w.passes(mostHold)
				if got := w.status(); got.Quarantined != 0 || got.Pending != 0 {
					t.Errorf("%+v", got)
				}
				if got := inOrder(t, w.publisher.sent); got != 1+len(fault.tenants) {
					t.Errorf("sent %d", got)
				}
			})
		})
	}
}

// TestM06EverythingIsRefusedFromTheMiddleOfABatchOn: what Redis took before says nothing of the minutes after.
func TestM06EverythingIsRefusedFromTheMiddleOfABatchOn(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		took := 0
		w.publisher.set(func() {
			w.publisher.noBeat = errRefused
			w.publisher.refuse = func(tenant.Event) error {
				if took++; took > 2 {
					return errRefused
				}
				return nil
			}
		})
		w.wake("a", "b", "c", "d", "e", "a")
		w.passes(time.Hour)
		w.publisher.set(func() { w.publisher.refuse = nil })
		w.passes(mostHold)
		if got := w.status(); got.Quarantined != 0 || got.Pending != 0 {
			t.Errorf("%+v", got)
		}
		if got := inOrder(t, w.publisher.sent); got != 6 {
			t.Errorf("sent %d", got)
		}
	})
}

// TestM06RefusedAlone is one event that nothing else comes after: heartbeats show that Redis takes what it likes.
func TestM06RefusedAlone(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = always(errRefused) })
		w.wake("a")
		w.passes(time.Minute)
		if got := w.status(); got.Quarantined != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// TestM06TwoBadTenantsAfterGoodOnes: those are what shows that it is not Redis, even when no more of them come.
func TestM06TwoBadTenantsAfterGoodOnes(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() {
			w.publisher.refuse = func(event tenant.Event) error {
				if strings.HasPrefix(event.TenantID, "bad") {
					return errRefused
				}
				return nil
			}
		})
		w.wake("bad1", "good", "bad2")
		w.passes(time.Minute)
		if got := w.status(); got.Quarantined != 2 || got.Pending != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestM06OthersPassAMountain of events that have to wait.
func TestM06OthersPassAMountain(t *testing.T) {
	inWorld(t, Config{Batch: 10, Attempts: 1 << 20}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = onlyTenant("bad", errRefused) })
		w.wake(append(repeat(500, "bad"), "good")...)
		w.expectSent(501)
		w.wake("good")
		w.expectSent(501, 502)
		w.publisher.set(func() { w.publisher.refuse = nil })
		w.passes(mostHold)
		if got := inOrder(t, w.publisher.sent); got != 502 {
			t.Errorf("sent %d", got)
		}
	})
}

// TestM06AttemptsOutliveTheRelay, since they are kept in the store.
func TestM06AttemptsOutliveTheRelay(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = onlyTenant("bad", errRefused) })
		relays := 1
		for ; w.status().Quarantined == 0; relays++ {
			w.stop()
			w.start(w.relay.cfg)
			w.wake("good", "bad")
			w.passes(firstHold + time.Millisecond)
		}
		if got := w.rows[1].Attempts; got != defaultAttempts || relays < 3 {
			t.Errorf("%d attempts, by %d relays", got, relays)
		}
	})
}

// TestAHoldEndsWithWhatItWasFor: somebody else, such as a relay that was frozen, marks the event that a tenant waits for. The
// relay does not turn round and round for a tenant that has nothing to send, and a new event of it goes at once.
func TestAHoldEndsWithWhatItWasFor(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = onlyTenant("bad", errAway) })
		w.wake("good", "bad")
		w.set(func() { w.rows[1].sent = time.Now() })
		w.passes(mostWait)
		w.wake("bad")
		w.expectSent(1)
		w.passes(mostWait)
		w.publisher.set(func() { w.publisher.refuse = nil })
		w.passes(mostWait)
		w.expectSent(1, 3)
	})
}

func TestHoldsGrowAndAreBounded(t *testing.T) {
	now := time.Now()
	h := holds{}
	for i := range 40 {
		if fresh := h.add("a", true, now); fresh != (i == 0) {
			t.Errorf("add %d: new is %v", i, fresh)
		}
		wait := h["a"].until.Sub(now)
		if least := min(firstHold<<min(i, 10), mostHold) / 2; wait < least || wait > 2*least {
			t.Errorf("wait %d is %s, want %s to %s", i, wait, least, 2*least)
		}
		if h["a"].since != now || h.refused() != 1 || !h.waits("a", now) || h.waits("b", now) {
			t.Errorf("holds: %+v", h)
		}
	}
	if got := h.next(now, now, time.Millisecond); got != time.Millisecond {
		t.Errorf("next: %s", got)
	}
	late := h["a"].until
	if got := h.next(now, late, time.Hour); got != 0 {
		t.Errorf("next of one that is due: %s", got)
	}
	if got := h.next(late, late, time.Hour); got != time.Hour {
		t.Errorf("next of one that was due and had nothing: %s", got)
	}
	h.add("b", false, now)
	if h.keep([]store.Event{{Event: tenant.Event{TenantID: "b"}}}); len(h) != 1 || !h.waits("b", now) {
		t.Errorf("holds where b alone has something pending: %+v", h)
	}
}
