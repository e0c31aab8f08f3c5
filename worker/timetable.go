package worker

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// minSlack is how late a tick may always be noticed without being treated as missed, however short the interval is.
const minSlack = 100 * time.Millisecond

// timetable says when whose ticks are. All times are since the start of the schedule, by the monotonic clock: the clock on
// the wall is read once, for the phases to be the same after a restart, and may then jump as it likes.
type timetable struct {
	interval time.Duration
	origin   time.Duration // where in an interval the start was
	slack    time.Duration
}

// longestInterval is 73 years, so that two of them, and a time since the start, can be added.
const longestInterval = time.Duration(1 << 61)

func newTimetable(interval time.Duration, start time.Time) timetable {
	interval = min(interval, longestInterval)
	origin := time.Duration(start.UnixNano() % int64(interval))
	return timetable{interval: interval, origin: origin, slack: max(interval/64, minSlack)}
}

// phase is the time of the first tick of a tenant, less than an interval after the start. It is drawn from the id, so that
// the ticks of all tenants are spread evenly over the interval.
func (t timetable) phase(key string) time.Duration {
	sum := sha256.Sum256([]byte(key))
	offset := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(t.interval)) //nolint:gosec // an interval is more than 0, and the rest less than it
	return (offset - t.origin + t.interval) % t.interval
}

// count is the number of the last tick that is not after at; -1 is before the first.
func (t timetable) count(phase, at time.Duration) int64 {
	if at < phase {
		return -1
	}
	return int64((at - phase) / t.interval)
}

// after is the time of the first tick after at.
func (t timetable) after(phase, at time.Duration) time.Duration {
	return phase + time.Duration(t.count(phase, at)+1)*t.interval
}

// turn is what becomes of a tick that is due.
type turn struct {
	run     bool
	skipped int64         // ticks that are dropped for good
	next    time.Duration // when to look again
	again   bool          // next is run however late it is
}

// judge decides about a tick that was due, at or before now. Of several that were missed one is made up for, at most. After
// the process has stood still not all of them are run at once: a tick is run as much later as it was noticed late, which
// spreads them as they were, if that leaves a third of the interval until the next one. Otherwise the next one has to do.
// again is that of the turn before: none is put off twice, so that a slow machine starves nobody.
func (t timetable) judge(phase, due, now time.Duration, again bool) turn {
	missed := t.count(phase, now) - t.count(phase, due)
	next := t.after(phase, now)
	if again || now-due <= t.slack {
		return turn{run: true, skipped: missed, next: next}
	}
	if delay := now - (next - t.interval); delay <= t.interval/3 {
		return turn{skipped: missed, next: now + delay, again: true}
	}
	return turn{skipped: missed + 1, next: next, again: true}
}
