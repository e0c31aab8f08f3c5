package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// One request in longer than there are durations.
func TestX26ARateOfNextToNothing(t *testing.T) {
	l := newRate(1e-300, shortage{status: 429})
	if _, err := l.try("somebody"); err != nil {
		t.Fatal(err)
	}
	_, err := l.try("somebody")
	refusal, ok := errors.AsType[*apiError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if again, err := strconv.Atoi(refusal.header.Get("Retry-After")); err != nil || again < 1_000_000 {
		t.Errorf("again after %d s, %v", again, err)
	}
}

func TestARateFillsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRate(10, shortage{status: 429, code: "X", text: "they are short"})
		for i := range 20 {
			if _, err := l.try("a"); err != nil {
				t.Fatalf("request %d is refused, want 20 at once", i)
			}
		}
		_, err := l.try("a")
		if refused, ok := errors.AsType[*apiError](err); !ok || refused.status != 429 || refused.header.Get("Retry-After") != "1" {
			t.Errorf("%v, want a refusal for a second", err)
		}
		if _, err := l.try("b"); err != nil {
			t.Error("another caller is refused")
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := l.try("a"); err != nil {
			t.Error("refused after the wait")
		}
		if _, err := l.try("a"); err == nil {
			t.Error("allowed a second one after the wait for one")
		}
		time.Sleep(time.Hour)
		allowed := 0
		for range 100 {
			if _, err := l.try("a"); err == nil {
				allowed++
			}
		}
		if allowed != 20 {
			t.Errorf("%d at once after an hour, want 20", allowed)
		}
	})
}

func TestARateIsBoundedInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRate(1, shortage{})
		for i := range 2 * maxCallers {
			if _, err := l.try(strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
			if i%1000 == 0 {
				time.Sleep(time.Second)
			}
		}
		if n := len(l.callers); n > maxCallers+1000 {
			t.Errorf("%d callers, want at most about %d", n, maxCallers)
		}
	})
}

// holdAll takes as many as the caller gets.
func holdAll(l *limiter, who string) (held []func()) {
	for {
		done, err := l.try(who)
		if err != nil {
			return held
		}
		held = append(held, done)
	}
}

// TestX36AShareIsOfWhatIsFree: who takes all they can get leaves as much to the next, and there is one for everybody else.
func TestX36AShareIsOfWhatIsFree(t *testing.T) {
	l := newPlaces(32, shortage{status: 503})
	var all []func()
	for i, want := range []int{16, 8, 4, 2, 1, 1} {
		held := holdAll(l, strconv.Itoa(i))
		if len(held) != want {
			t.Errorf("caller %d has %d, want %d", i, len(held), want)
		}
		all = append(all, held...)
	}
	if held := holdAll(l, "one more"); len(held) != 0 {
		t.Error("there were more than there are")
	}
	for _, done := range all {
		done()
	}
	if l.free != 32 || len(l.callers) != 0 {
		t.Errorf("%d are free at the end, and %d callers remembered", l.free, len(l.callers))
	}
}

func TestThereIsAlwaysRoomForOne(t *testing.T) {
	l := newPlaces(0, shortage{})
	if held := holdAll(l, "a"); len(held) != 1 {
		t.Errorf("%d, want 1", len(held))
	}
}

// TestX36ThoseThatWaitAreServedInTurn, caller by caller: a thousand of one cost another one place in the line.
func TestX36ThoseThatWaitAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPlaces(1, shortage{})
		var mu sync.Mutex
		var order []string
		var running sync.WaitGroup
		visit := func(who string) {
			running.Go(func() {
				done, err := l.take(t.Context(), who)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, who)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				done()
			})
			synctest.Wait()
		}
		for range 50 {
			visit("many")
		}
		visit("few")
		visit("few")
		running.Wait()
		if order[1] != "few" || order[3] != "few" {
			t.Errorf("served in the order %v", order)
		}
		if len(order) != 52 || l.free != 1 || len(l.callers) != 0 {
			t.Errorf("%d were served, %d free, %d callers remembered", len(order), l.free, len(l.callers))
		}
	})
}

// TestX36ABusyCallerKeepsItsTurn: those that come one at a time, and are forgotten in between, do not pass it each time.
func TestX36ABusyCallerKeepsItsTurn(t *testing.T) {
	for _, places := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			l := newPlaces(places, shortage{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var busy, others atomic.Int32
			var running sync.WaitGroup
			visit := func(who string, served *atomic.Int32) {
				running.Go(func() {
					for ctx.Err() == nil { // a place that is free is given to the last moment, and behind it
						if done, err := l.take(ctx, who); err == nil {
							time.Sleep(time.Millisecond)
							served.Add(1)
							done()
						}
					}
				})
			}
			for range 4 {
				visit("busy", &busy)
			}
			for i := range 4 * places {
				visit(strconv.Itoa(i), &others)
			}
			running.Wait()
			if fair := int(busy.Load()+others.Load()) / (4*places + 1); int(busy.Load()) < fair/2 {
				t.Errorf("%d places: the busy one was served %d times, the others %d times", places, busy.Load(), others.Load())
			}
		})
	}
}

// TestX36WhoeverWaitsInVainIsToldWhatIsShort, and one that is gone is not.
func TestX36WhoeverWaitsInVainIsToldWhatIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPlaces(2, shortage{status: 503, code: "TOO_MANY", text: "lists are short", again: 3 * time.Second})
		held := holdAll(l, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.take(ctx, "a")
		refused, ok := errors.AsType[*apiError](err)
		if !ok || refused.status != 503 || refused.Message != "lists are short" || refused.header.Get("Retry-After") != "3" {
			t.Errorf("%v, want what is short", err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := l.take(gone, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v of one that is gone", err)
		}
		held[0]()
		if l.free != 2 || len(l.callers) != 0 {
			t.Errorf("%d free, %d callers remembered", l.free, len(l.callers))
		}
	})
}

// TestX36NoPlaceIsEverLost, whatever comes, waits, goes away and gives back in whatever order.
func TestX36NoPlaceIsEverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(200) {
			dice := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same each time
			places := 1 + dice.IntN(8)
			l := newPlaces(places, shortage{})
			var mu sync.Mutex
			now, most := 0, 0
			var running sync.WaitGroup
			for range 60 {
				who, wait, hold := strconv.Itoa(dice.IntN(4)), time.Duration(dice.IntN(20)), time.Duration(dice.IntN(20))
				arrive := time.Duration(dice.IntN(100))
				running.Go(func() {
					time.Sleep(arrive)
					ctx, cancel := context.WithTimeout(t.Context(), wait)
					defer cancel()
					done, err := l.take(ctx, who)
					if err != nil {
						return
					}
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(hold)
					mu.Lock()
					now--
					mu.Unlock()
					done()
				})
			}
			running.Wait()
			if l.free != places || len(l.callers) != 0 || most > places {
				t.Fatalf("seed %d: %d of %d free, %d callers remembered, %d at once", seed, l.free, places, len(l.callers), most)
			}
		}
	})
}
