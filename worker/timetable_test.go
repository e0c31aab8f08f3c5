package worker

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTheTimetableIsTheSameForEver: whoever changes these numbers moves the ticks of everybody when a new version is rolled out.
func TestTheTimetableIsTheSameForEver(t *testing.T) {
	start := time.Date(2026, 3, 27, 14, 45, 30, 250, time.UTC)
	table := newTimetable(time.Hour, start)
	for id, want := range map[string]string{
		"acme":                             "15:37:49.329139872",
		"globex":                           "15:04:16.093466599",
		"6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012": "14:52:40.974277605",
	} {
		if got := start.Add(table.phase(id)).Format("15:04:05.000000000"); got != want {
			t.Errorf("%s: first tick at %s, want %s", id, got, want)
		}
	}
}

func TestTicksAreAtTheSameTimesAfterARestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(1, int64(48*time.Hour)).Draw(t, "interval"))
		start := time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "start"))
		again := start.Add(time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "later")))
		id := rapid.StringN(1, 20, 40).Draw(t, "id")
		first, second := newTimetable(interval, start).phase(id), newTimetable(interval, again).phase(id)
		if first < 0 || first >= interval {
			t.Fatalf("the first tick is %s after the start, of an interval of %s", first, interval)
		}
		if apart := again.Add(second).Sub(start.Add(first)); apart%interval != 0 {
			t.Fatalf("ticks %s apart, of an interval of %s", apart, interval)
		}
	})
}

func TestTicksAreSpreadEvenly(t *testing.T) {
	const tenants, parts = 100_000, 100
	for _, interval := range []time.Duration{time.Second, time.Minute, 24 * time.Hour, 64 * time.Microsecond << 10} {
		table := newTimetable(interval, time.Unix(1_700_000_000, 0))
		var counts [parts]int
		for i := range tenants {
			counts[table.phase(fmt.Sprintf("tenant-%d", i))*parts/interval]++
		}
		for part, n := range counts { // 1000 each is even; 160 is five standard deviations
			if n < 840 || n > 1160 {
				t.Errorf("interval %s: %d of %d in part %d of %d", interval, n, tenants, part, parts)
			}
		}
	}
}

// TestJudgeLosesNoTick takes one tenant through any sequence of looks at the clock, some of them much too late. Each tick is
// run or counted as skipped; runs are a third of an interval apart, unless the pauses are many; and none is owed for long.
func TestJudgeLosesNoTick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)).Draw(t, "interval"))
		table := newTimetable(interval, time.Unix(1_700_000_000, 0))
		phase := table.phase(rapid.StringN(1, 8, 16).Draw(t, "id"))
		due, again, owed := phase, false, int64(0) // owed: a tick that is to be made up for
		var ran, skipped int64
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			late := rapid.OneOf(rapid.Int64Range(0, int64(time.Millisecond)), rapid.Int64Range(0, 5*int64(interval))).Draw(t, "late")
			now = max(now, due) + time.Duration(late)
			for due <= now {
				v := table.judge(phase, due, now, again)
				if again && !v.run {
					t.Fatalf("put off twice: %+v", v)
				}
				if v.next < now || v.next > now+interval || v.next == now && !v.again {
					t.Fatalf("at %s the next is at %s, of an interval of %s", now, v.next, interval)
				}
				owed = 0
				switch onSlot := (v.next-phase)%interval == 0; {
				case v.run:
					ran++
				case !onSlot || v.skipped == table.count(phase, now)-table.count(phase, due):
					owed = 1
				}
				skipped += v.skipped
				due, again = v.next, v.again
			}
		}
		if ticks := table.count(phase, now) + 1; ran+skipped+owed != ticks {
			t.Fatalf("%d run, %d skipped and %d owed, of %d ticks", ran, skipped, owed, ticks)
		}
	})
}

func TestJudge(t *testing.T) {
	const interval, phase = 90 * time.Second, 10 * time.Second
	table := timetable{interval: interval, slack: 2 * time.Second}
	at := func(ticks int, later time.Duration) time.Duration {
		return phase + time.Duration(ticks)*interval + later
	}
	tests := []struct {
		name     string
		due, now time.Duration
		again    bool
		want     turn
	}{
		{"in time", at(3, 0), at(3, 0), false, turn{run: true, next: at(4, 0)}},
		{"a little late", at(3, 0), at(3, 2*time.Second), false, turn{run: true, next: at(4, 0)}},
		{"late", at(3, 0), at(3, 3*time.Second), false, turn{next: at(3, 6*time.Second), again: true}},
		{"a third late", at(3, 0), at(3, 30*time.Second), false, turn{next: at(3, 60*time.Second), again: true}},
		{"more than a third late", at(3, 0), at(3, 31*time.Second), false, turn{skipped: 1, next: at(4, 0), again: true}},
		{"several missed", at(3, 0), at(7, 20*time.Second), false, turn{skipped: 4, next: at(7, 40*time.Second), again: true}},
		{"several missed, and more than a third late", at(3, 0), at(7, 80*time.Second), false, turn{skipped: 5, next: at(8, 0), again: true}},
		{"what was put off, in time", at(3, 40*time.Second), at(3, 40*time.Second), true, turn{run: true, next: at(4, 0)}},
		{"what was put off, late", at(3, 40*time.Second), at(3, 80*time.Second), true, turn{run: true, next: at(4, 0)}},
		{"what was put off, and more missed", at(3, 40*time.Second), at(6, 80*time.Second), true, turn{run: true, skipped: 3, next: at(7, 0)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := table.judge(phase, tt.due, tt.now, tt.again); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTheSlackGrowsWithTheInterval(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{time.Millisecond: minSlack, 64 * time.Minute: time.Minute} {
		if got := newTimetable(interval, time.Now()).slack; got != want {
			t.Errorf("interval %s: slack %s, want %s", interval, got, want)
		}
	}
}
