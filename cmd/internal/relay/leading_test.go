package relay

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
)

func TestM08OneRelayAtATime(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first := w.stop
		second := newFakePublisher()
		cfg := w.relay.cfg
		cfg.Publisher = second
		w.start(cfg)
		w.wake("a")
		w.passes(time.Hour)
		if len(second.sent) != 0 || len(second.beats) != 0 {
			t.Errorf("the second relay sent %d events and %d heartbeats", len(second.sent), len(second.beats))
		}
		first()
		w.wake("a", "b")
		if got := second.revisions(); !slices.Equal(got, []uint64{2, 3}) {
			t.Errorf("the second relay sent %v", got)
		}
		w.expectSent(1)
	})
}

func TestM08TheLockIsLost(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.set(func() { w.leading = func() error { return errors.New("the connection is gone") } })
		w.wake("a")
		w.passes(time.Minute)
		w.expectSent()
		if w.leads < 10 || w.leads > 200 {
			t.Errorf("became the relay %d times in a minute", w.leads)
		}
		w.set(func() { w.leading = nil })
		w.passes(mostWait)
		w.expectSent(1)
	})
}

// TestX08WhatTookTheRevisionOfALostEventIsSent: what was sent on the old primary is marked on the new one, which never had it.
func TestX08WhatTookTheRevisionOfALostEventIsSent(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.set(func() { w.markErr = errors.New("the connection is gone") })
		w.wake("a")
		w.expectSent(1)
		w.passes(time.Millisecond)
		w.set(func() {
			w.leading = func() error { return errors.New("the address leads to another server") }
			w.rows, w.settled, w.markErr = nil, 0, nil
		})
		w.wake("b")
		w.passes(time.Second)
		w.set(func() { w.leading = nil })
		w.passes(mostWait)
		w.expectSent(1, 1)
	})
}

// TestM08AnIdleRelayLooksAtItsLock, so that the database hears from it.
func TestM08AnIdleRelayLooksAtItsLock(t *testing.T) {
	inWorld(t, Config{Poll: time.Hour}, func(w *world) {
		looks := 0
		w.set(func() { w.leading = func() error { looks++; return nil } })
		w.passes(time.Minute)
		if looks < 11 {
			t.Errorf("looked at the lock %d times in a minute", looks)
		}
	})
}

// TestM08FrozenAfterTheLook: what a frozen relay does when it wakes up has no time left.
func TestM08FrozenAfterTheLook(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.set(func() {
			w.leading = func() error {
				w.set(func() { w.leading = nil })
				time.Sleep(sendTimeout + time.Second)
				return nil
			}
		})
		var states []error
		w.publisher.set(func() {
			w.publisher.before = func(ctx context.Context) { states = append(states, ctx.Err()) }
		})
		w.wake("a")
		w.passes(time.Minute)
		if len(states) != 2 || !errors.Is(states[0], context.DeadlineExceeded) || states[1] != nil {
			t.Errorf("PublishAll was called with %v", states)
		}
	})
}

func TestHeartbeatsTellHowFarItIs(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = onlyTenant("bad", errAway) })
		w.passes(12 * time.Second) // 0, 5, 10
		w.wake("a", "a", "a")
		w.passes(5 * time.Second) // 15
		w.wake("b", "bad", "a")
		w.passes(5 * time.Second) // 20
		w.publisher.set(func() { w.publisher.refuse = nil })
		w.passes(10 * time.Second) // 25, 30
		w.expectBeats([]beat{
			{0, 0},
			{5 * time.Second, 0},
			{10 * time.Second, 0},
			{15 * time.Second, 3},
			{20 * time.Second, 6}, // though 5 waits, because it has for too long
			{25 * time.Second, 6},
			{30 * time.Second, 6},
		})
	})
}

// TestHeartbeatsDuringALongDrain: they are due even where there is always more to send.
func TestHeartbeatsDuringALongDrain(t *testing.T) {
	inWorld(t, Config{Batch: 1}, func(w *world) {
		w.publisher.set(func() {
			w.publisher.before = func(context.Context) { time.Sleep(time.Second) }
		})
		w.add(repeat(12, "a")...)
		w.passes(11500 * time.Millisecond)
		w.expectBeats([]beat{{0, 0}, {5250 * time.Millisecond, 12}, {10250 * time.Millisecond, 12}})
	})
}

func TestHeartbeatsThatFailHoldUpNothing(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.noBeat = redisevents.ErrRefused })
		w.passes(6 * time.Second)
		began := time.Now()
		w.wake("a")
		w.expectSent(1)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		w.passes(time.Minute)
		w.publisher.set(func() { w.publisher.noBeat = nil })
		w.passes(mostWait)
		if got := w.publisher.beats; len(got) != 2 || got[1].revision != 1 {
			t.Errorf("heartbeats: %v", got)
		}
		w.stop()
		if w.logged("WARN", "no heartbeat could be sent") != 1 {
			t.Errorf("logged:\n%s", w.log)
		}
	})
}

func (w *world) expectBeats(want []beat) {
	w.t.Helper()
	synctest.Wait()
	if !slices.Equal(w.publisher.beats, want) {
		w.t.Errorf("heartbeats %v, want %v", w.publisher.beats, want)
	}
}
