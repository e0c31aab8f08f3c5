package relay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// streamed returns the revisions that the stream has taken.
func (p *fakePublisher) streamed() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []uint64
	for _, event := range p.stream {
		all = append(all, event.Revision)
	}
	return all
}

// TestX06AStreamThatTakesNothing holds up nothing on the channels, and nothing is marked before the stream has it.
func TestX06AStreamThatTakesNothing(t *testing.T) {
	inWorld(t, Config{Batch: 10}, func(w *world) {
		w.wake("a", "b")
		w.publisher.set(func() { w.publisher.full = true })
		w.wake("a", "b", "a")
		w.wake("a", "c")
		w.expectSent(1, 2, 3, 4, 5, 6, 7)
		w.passes(time.Minute)
		w.wake(repeat(30, "a", "b", "c")...)
		if got := len(w.publisher.revisions()); got != 97 {
			t.Errorf("announced %d events, want each once: 97", got)
		}
		if got := w.status(); got.Pending != 95 || got.Quarantined != 0 {
			t.Errorf("%+v, want all but the first two waiting", got)
		}
		w.passes(5 * time.Second)
		if got := w.publisher.beats[len(w.publisher.beats)-1].revision; got != 97 {
			t.Errorf("the heartbeat says %d, and all 97 were announced", got)
		}
		w.publisher.set(func() { w.publisher.full = false })
		w.passes(mostWait)
		w.wake("a")
		if got := w.status(); got.Pending != 0 {
			t.Errorf("%+v, want nothing waiting", got)
		}
		if got := inOrder(t, w.publisher.stream); got != 98 || len(w.publisher.stream) != 98 || len(w.publisher.sent) != 98 {
			t.Errorf("the stream has %d events, %d of them different, and %d were announced; want 98 each", len(w.publisher.stream), got, len(w.publisher.sent))
		}
		w.stop()
		if w.logged("WARN", "into the stream") != 1 || w.logged("INFO", "the stream has all events again") != 1 || w.logged("WARN") != 1 {
			t.Errorf("logged:\n%s", w.log)
		}
	})
}

// TestX06AnEventComesBackBeforeTheLateOnes, as one that was set aside and is tried again: listeners have not been told of it.
func TestX06AnEventComesBackBeforeTheLateOnes(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.add("x")
		w.set(func() { w.rows[0].quarantined = "for a while" })
		w.publisher.set(func() { w.publisher.full = true })
		w.wake("a", "b")
		w.passes(time.Second)
		w.set(func() { w.rows[0].quarantined, w.settled = "", 0 })
		w.passes(2 * mostWait)
		w.expectSent(2, 3, 1)
		w.publisher.set(func() { w.publisher.full = false })
		w.passes(mostWait)
		if got := w.publisher.streamed(); !slices.Equal(got, []uint64{1, 2, 3}) || w.status().Pending != 0 {
			t.Errorf("the stream has %v, and %+v", got, w.status())
		}
	})
}

// TestX06TheNextRelayAnnouncesOnceMore what the stream lacks.
func TestX06TheNextRelayAnnouncesOnceMore(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.full = true })
		w.wake("a", "b")
		w.stop()
		w.publisher.set(func() { w.publisher.full = false })
		w.start(w.relay.cfg)
		w.passes(time.Second)
		w.expectSent(1, 2, 1, 2)
		if got := w.publisher.streamed(); !slices.Equal(got, []uint64{1, 2}) || w.status().Pending != 0 {
			t.Errorf("the stream has %v, and %+v", got, w.status())
		}
	})
}

// TestX06AMountainIsBounded: what is late is remembered up to a bound, and the rest waits.
func TestX06AMountainIsBounded(t *testing.T) {
	r := &Relay{cfg: Config{}.withDefaults()}
	l := newTerm(r)
	l.late.told = map[uint64]bool{}
	for i := range uint64(maxWindow - 1) {
		l.late.told[i+1] = true
	}
	var pending []store.Event
	for i := range 10 {
		pending = append(pending, store.Event{Event: tenant.Event{TenantID: fmt.Sprint(i), Revision: maxWindow + uint64(i)}})
	}
	if got := len(l.due(pending, time.Now())); got != 1 {
		t.Errorf("%d more are due, want 1", got)
	}
}

// TestX06HeartbeatsOfARelayThatStands name the newest change, so that listeners look for it.
func TestX06HeartbeatsOfARelayThatStands(t *testing.T) {
	for name, faulty := range map[string]func(w *world){
		"a tenant's event is refused":   func(w *world) { w.publisher.refuse = onlyTenant("bad", errRefused) },
		"Redis is not ready for them":   func(w *world) { w.publisher.refuse = always(errUnready) },
		"the clock was set back by 1 h": func(w *world) { w.publisher.refuse = always(errUnready); w.rows[0].At = time.Now().Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{Attempts: 1 << 20}, func(w *world) {
				w.passes(time.Second)
				w.add("bad", "bad", "bad")
				w.set(func() { w.publisher.set(func() { faulty(w) }) })
				w.relay.Wake()
				w.passes(5 * time.Second)
				w.expectBeats([]beat{{0, 0}, {5 * time.Second, 3}})
			})
		})
	}
}

// TestX06ACommittersClockDoesNotMakeListenersLook: one that is an hour behind says nothing of how long an event waits, here
// for half a second each time.
func TestX06ACommittersClockDoesNotMakeListenersLook(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() {
			w.publisher.refuse = func(event tenant.Event) error {
				if time.Since(event.Timestamp) < 500*time.Millisecond {
					return errAway
				}
				return nil
			}
		})
		w.passes(950 * time.Millisecond)
		for range 20 {
			w.add("a")
			w.set(func() { w.rows[len(w.rows)-1].At = time.Now().Add(-time.Hour) })
			w.relay.Wake()
			w.passes(time.Second)
		}
		w.expectBeats([]beat{{0, 0}, {5 * time.Second, 4}, {10 * time.Second, 9}, {15 * time.Second, 14}, {20 * time.Second, 19}})
	})
}

// TestX06ABacklogThatNeverEndsIsTold: the oldest event is another one each time, and each has waited too long.
func TestX06ABacklogThatNeverEndsIsTold(t *testing.T) {
	var s sightings
	now := time.Now()
	for i := range uint64(10_000) {
		now = now.Add(10 * time.Millisecond)
		s.add(tenant.Version{Epoch: epoch, Revision: i + 1}, now)
		if i > 400 && (!s.tooLong(i-300, now) || s.tooLong(i-150, now)) {
			t.Fatalf("at %d: 3 s are %t, 1.5 s are %t", i, s.tooLong(i-300, now), s.tooLong(i-150, now))
		}
	}
	if len(s.all) > 25 {
		t.Errorf("it keeps %d", len(s.all))
	}
	s.add(tenant.Version{Epoch: "restored", Revision: 5}, now)
	if s.tooLong(5, now) || s.tooLong(3, now) {
		t.Error("what was seen of another epoch counts")
	}
}

// TestX06AHeartbeatIsPatient with an event that is on its way.
func TestX06AHeartbeatIsPatient(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = always(errUnready) })
		w.passes(3500 * time.Millisecond)
		w.wake("a")
		w.passes(2 * time.Second)
		w.expectBeats([]beat{{0, 0}, {5 * time.Second, 0}})
	})
}
