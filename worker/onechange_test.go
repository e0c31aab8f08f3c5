package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestW02OneChangeRestartsARunOnce, however many events it has and however they come apart. The run ends with the first of
// them, and the next begins a tenth of a second after the last; news without an end does not hold it up for long.
func TestW02OneChangeRestartsARunOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		limit  int // 1: another tenant is in line all the while
		events int
		apart  time.Duration
		starts int
		within time.Duration // from the first event to the last start
	}{
		{"one event", 0, 1, 0, 1, 100 * time.Millisecond},
		{"at once", 0, 6, 0, 1, 100 * time.Millisecond},
		{"a few milliseconds apart", 0, 6, 7 * time.Millisecond, 1, 135 * time.Millisecond},
		{"as far apart as a relay sends them", 0, 4, 90 * time.Millisecond, 1, 370 * time.Millisecond},
		{"two changes", 0, 2, time.Second, 2, 1100 * time.Millisecond},
		{"without an end", 0, 100, 50 * time.Millisecond, 10, 5050 * time.Millisecond},
		{"another in line", 1, 1, 0, 1, 100 * time.Millisecond},
		{"another in line, as far apart as a relay sends them", 1, 4, 90 * time.Millisecond, 1, 370 * time.Millisecond},
		{"another in line, without an end", 1, 100, 50 * time.Millisecond, 10, 5050 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var starts []time.Time
				var ended time.Time
				b := start(t, Config{Limit: tc.limit}, func(ctx context.Context, id string) error {
					if id != "a" {
						t.Errorf("%s has taken the slot of one that was reconfigured", id)
						return nil
					}
					starts = append(starts, time.Now())
					<-ctx.Done()
					if errors.Is(context.Cause(ctx), ErrReconfigured) && ended.IsZero() {
						ended = time.Now()
					}
					return nil
				})
				b.add("a")
				if tc.limit > 0 {
					b.add("b")
				}
				time.Sleep(time.Minute)
				began := time.Now()
				for range tc.events {
					b.reconfigure("a")
					synctest.Wait()
					time.Sleep(tc.apart)
				}
				time.Sleep(time.Minute)
				b.stop()
				if !ended.Equal(began) {
					t.Errorf("the run was told %v after the first event", ended.Sub(began))
				}
				if n := len(starts) - 1; n < 1 || n > tc.starts || tc.starts == 1 && n != 1 {
					t.Errorf("%d restarts for %d events", n, tc.events)
				}
				if took := starts[len(starts)-1].Sub(began); took > tc.within {
					t.Errorf("the last run began after %v", took)
				}
			})
		})
	}
}

// TestW02OneChangeStartsWhoWaitsOnce: its turn comes between two events of one change. It is started when no more can come, and
// who is behind it in line does not get its slot.
func TestW02OneChangeStartsWhoWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Limit: 1}, nil)
		b.add("a", "b", "c")
		b.reconfigure("b")
		time.Sleep(time.Millisecond)
		b.remove("a")
		b.wants("+a -a")
		b.wantStates("b restarting, c waiting")
		time.Sleep(time.Millisecond)
		b.reconfigure("b")
		time.Sleep(newsQuiet - time.Nanosecond)
		b.wants("")
		time.Sleep(time.Nanosecond)
		b.wants("+b")
		time.Sleep(time.Minute)
		b.wants("")
		b.stop()
	})
}

// TestW02WhoWaitsForNewsHoldsUpNobodyElse: the slot next to it is for the one behind it in line, and its own is when it goes.
func TestW02WhoWaitsForNewsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Limit: 2}, nil)
		b.add("a", "b", "c", "d", "e")
		b.reconfigure("c")
		b.remove("a")
		b.remove("b")
		b.wants("+a +b -a -b +d")
		b.remove("c")
		b.wants("+e")
		b.stop()
	})
}
