package activeset

import (
	"math"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/backoff"
)

const (
	firstBackoff   = time.Second
	longestBackoff = 30 * time.Second
	// longestRetryAfter bounds what a manager can ask for with Retry-After.
	longestRetryAfter = 5 * time.Minute
)

// schedule says when the next snapshot is asked for. All times are absolute, and zero where nothing is due.
type schedule struct {
	periodic  time.Time // the next reconcile if nothing happens
	gap       time.Time // the reconcile that closes a gap
	guard     time.Time // the second look at removals that are held
	notBefore time.Time // the end of the back-off after a failure
	lastBegin time.Time // when the last request began
	failures  int       // in a row
	refresh   bool      // somebody waits for one

	spread time.Duration // the least time between the beginnings of two
	dice   Dice
}

// Dice draw evenly from [0, d). They are never asked where d is zero or less.
type Dice func(d time.Duration) time.Duration

// due returns when the next request begins.
func (s *schedule) due() time.Time {
	switch {
	case s.refresh:
		return time.Time{}
	case s.failures > 0:
		return s.notBefore
	}
	due := s.periodic
	for _, other := range []time.Time{s.gap, s.guard} {
		if !other.IsZero() && other.Before(due) {
			due = other
		}
	}
	return later(due, s.lastBegin.Add(s.spread))
}

// cause says why a request that begins now does.
func (s *schedule) cause(now time.Time) string {
	switch {
	case s.refresh:
		return "refresh"
	case s.failures > 0:
		return "retry"
	case !s.guard.IsZero() && !s.guard.After(now):
		return "guard"
	case !s.gap.IsZero() && !s.gap.After(now):
		return "gap"
	default:
		return "interval"
	}
}

// gapOpened asks for a reconcile within spread, unless one is due already. That two are spread apart due sees to.
func (s *schedule) gapOpened(now time.Time, spread time.Duration) {
	if s.gap.IsZero() {
		s.gap = now.Add(s.dice.UpTo(spread))
	}
}

// feedLost brings the next reconcile nearer, never further away.
func (s *schedule) feedLost(now time.Time, poll time.Duration) {
	if next := now.Add(s.dice.About(poll)); s.periodic.IsZero() || next.Before(s.periodic) {
		s.periodic = next
	}
}

// succeeded plans the next reconcile after interval.
func (s *schedule) succeeded(now time.Time, interval time.Duration) {
	s.failures, s.notBefore, s.gap, s.guard = 0, time.Time{}, time.Time{}, time.Time{}
	s.periodic = now.Add(s.dice.About(interval))
}

// failed plans the next attempt: exponential back-off with full jitter, the longest for one who is not let in or asks the
// wrong manager, and later
// where the manager asked for it, but never sooner than spread after the last began.
func (s *schedule) failed(now time.Time, failure Failure, spread time.Duration) {
	wait := s.dice.UpTo(backoff.Range{First: firstBackoff, Most: longestBackoff}.After(s.failures + 1))
	if failure.Hopeless {
		wait = longestBackoff/2 + s.dice.UpTo(longestBackoff/2)
	}
	if asked := failure.Delay; asked > 0 {
		wait = max(wait, min(asked, longestRetryAfter)+s.dice.UpTo(min(spread, math.MaxInt64-longestRetryAfter)))
	}
	s.failures++
	s.notBefore = later(now.Add(wait), s.lastBegin.Add(spread))
}

// UpTo draws from [0, d), and is zero where d is zero or less.
func (draw Dice) UpTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return draw(d)
}

// About draws evenly from d less and more 20 %.
func (draw Dice) About(d time.Duration) time.Duration { return d - d/5 + draw.UpTo(2*d/5) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
