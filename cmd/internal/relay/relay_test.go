package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("connection refused")

func TestNewNamesWhatIsWrong(t *testing.T) {
	_, err := New(Config{Batch: -1})
	for _, word := range []string{"Store", "Publisher", "Batch"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name %s", err, word)
		}
	}
}

func TestEventsAreSentInOrderAndMarked(t *testing.T) {
	inWorld(t, Config{Batch: 100}, func(w *world) {
		w.wake(repeat(150, "a", "b", "c", "d", "e", "f", "g")...)
		if got := inOrder(t, w.publisher.sent); got != 1050 || len(w.publisher.sent) != 1050 {
			t.Errorf("sent %d events, %d of them different; want 1050", len(w.publisher.sent), got)
		}
		if w.publisher.calls != 11 {
			t.Errorf("%d batches, want 11", w.publisher.calls)
		}
		if got := w.status(); got.Pending != 0 || w.marks != 1050 {
			t.Errorf("%d events are not marked, %d times one was", got.Pending, w.marks)
		}
		for i, data := range w.publisher.data {
			if data != string(w.rows[i].Data) {
				t.Fatalf("event %d was sent as %s", i, data)
			}
		}
	})
}

func TestWakeSendsAtOnce(t *testing.T) {
	inWorld(t, Config{Poll: time.Hour}, func(w *world) {
		began := time.Now()
		for range 5 {
			w.wake("a")
		}
		w.expectSent(1, 2, 3, 4, 5)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

func TestPollFindsWhatNobodyToldOf(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.add("a")
		w.passes(defaultPoll)
		w.expectSent(1)
	})
}

// TestM05AnHourWithoutRedis has 50 changes a second: for six minutes, or in full for an hour.
func TestM05AnHourWithoutRedis(t *testing.T) {
	seconds := 360
	if *outboxFull {
		seconds = 3600
	}
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.down = errAway })
		for range seconds {
			for i := range 50 {
				w.add(fmt.Sprintf("t%d", i))
			}
			w.relay.Wake()
			time.Sleep(time.Second)
		}
		w.expectSent()
		calls := w.publisher.calls
		if calls < seconds/2 || calls > 2*seconds {
			t.Errorf("Redis was tried %d times in %d s, want about one a second", calls, seconds)
		}
		if got := w.status(); got.Pending != 50*seconds || got.Quarantined != 0 {
			t.Errorf("%+v, want %d waiting", got, 50*seconds)
		}
		w.publisher.set(func() { w.publisher.down = nil })
		w.passes(mostWait + beatTimeout)
		if got := inOrder(t, w.publisher.sent); got != 50*seconds || len(w.publisher.sent) != got {
			t.Errorf("sent %d, %d of them different; want %d", len(w.publisher.sent), got, 50*seconds)
		}
		if got := w.publisher.calls - calls; got > 50*seconds/defaultBatch+5 {
			t.Errorf("sent in %d batches", got)
		}
		w.stop()
		if w.logged("level=WARN", "Redis takes no events") != 1 || w.logged("level=INFO", "Redis takes events again") != 1 {
			t.Errorf("logged:\n%s", w.log)
		}
	})
}

// TestM03ReadsAndCannotMark: while the store can be read and not written, what was sent is not sent again and again.
func TestM03ReadsAndCannotMark(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.set(func() { w.markErr = errors.New("disk full") })
		w.wake("a", "b", "a")
		w.passes(time.Minute)
		w.expectSent(1, 2, 3)
		w.set(func() { w.markErr = nil })
		w.wake("a")
		w.passes(mostWait)
		w.expectSent(1, 2, 3, 4)
		if got := w.status(); got.Pending != 0 {
			t.Errorf("%d events are not marked", got.Pending)
		}
		w.stop()
		if w.logged("WARN", "cannot be read or written") != 1 || w.logged("INFO", "read and written again") != 1 {
			t.Errorf("logged:\n%s", w.log)
		}
	})
}

// TestM03TheNextRelayRepeats what one has sent and not marked.
func TestM03TheNextRelayRepeats(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.set(func() { w.markErr = errors.New("killed") })
		w.wake("a", "b", "a")
		w.stop()
		w.set(func() { w.markErr = nil })
		w.start(w.relay.cfg)
		synctest.Wait()
		w.expectSent(1, 2, 3, 1, 2, 3)
		for i := range 3 {
			if w.publisher.data[i] != w.publisher.data[i+3] {
				t.Errorf("%s was repeated as %s", w.publisher.data[i], w.publisher.data[i+3])
			}
		}
	})
}

// TestSomebodyElseMarkedThem: with nothing to send, nothing of an outage is left.
func TestSomebodyElseMarkedThem(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.publisher.set(func() { w.publisher.down = errAway })
		w.wake("a")
		w.passes(time.Minute)
		w.publisher.set(func() { w.publisher.down = nil })
		w.set(func() { w.rows[0].sent = time.Now() })
		w.passes(mostWait)
		began := time.Now()
		w.wake("a")
		if w.expectSent(2); time.Since(began) != 0 {
			t.Errorf("it took %s", time.Since(began))
		}
	})
}

func TestTheStoreIsGoneForAWhile(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.set(func() { w.err = errors.New("locked") })
		reads := w.reads
		w.wake("a")
		w.passes(time.Minute)
		w.expectSent()
		if got := w.reads - reads; got > 200 {
			t.Errorf("read %d times in a minute", got)
		}
		w.set(func() { w.err = nil })
		w.passes(mostWait)
		w.expectSent(1)
	})
}

// TestM11StopsAfterTheBatch that is under way, and marks it.
func TestM11StopsAfterTheBatch(t *testing.T) {
	inWorld(t, Config{Batch: 2}, func(w *world) {
		w.publisher.set(func() {
			w.publisher.before = func(ctx context.Context) {
				time.Sleep(time.Second)
				if err := ctx.Err(); err != nil {
					t.Error(err)
				}
			}
		})
		w.wake("a", "a", "a", "a")
		w.stop()
		w.expectSent(1, 2)
		if got := w.status(); got.Pending != 2 {
			t.Errorf("%d events wait, want 2", got.Pending)
		}
	})
}

func TestSentEventsArePruned(t *testing.T) {
	for _, tt := range []struct {
		name  string
		keep  time.Duration
		every time.Duration
		times int // in three hours
	}{
		{"default", 0, time.Hour, 4},
		{"short", 12 * time.Minute, time.Minute, 181},
		{"long", 1000 * time.Hour, time.Hour, 4},
		{"for ever", -1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Config{Keep: tt.keep}, func(w *world) {
				began := time.Now()
				w.passes(3 * time.Hour)
				keep := tt.keep
				if keep == 0 {
					keep = 24 * time.Hour
				}
				if len(w.pruned) != tt.times {
					t.Errorf("pruned %d times, want %d", len(w.pruned), tt.times)
				}
				for i, before := range w.pruned {
					if want := began.Add(time.Duration(i)*tt.every - keep); !before.Equal(want) {
						t.Errorf("pruned what was sent before %s, want %s", before, want)
					}
				}
			})
		})
	}
}

// turns are the reads at one instant of simulated time, which does not pass while the relay never waits.
type turns struct {
	at time.Time
	n  int
}

func (t *turns) count() {
	if now := time.Now(); now != t.at {
		*t = turns{at: now}
	}
	if t.n++; t.n > 10_000 {
		panic("the relay turns round and round and never waits")
	}
}
