package discovery

import (
	"math"
	"math/rand/v2"
	"net/http"
	"time"
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
	dice   dice
}

// dice draw evenly from [0, d), and are 0 where d is. Nil ones are those of math/rand.
type dice func(d time.Duration) time.Duration

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
		s.gap = now.Add(s.dice.upTo(spread))
	}
}

// feedLost brings the next reconcile nearer, never further away.
func (s *schedule) feedLost(now time.Time, poll time.Duration) {
	if next := now.Add(s.dice.about(poll)); s.periodic.IsZero() || next.Before(s.periodic) {
		s.periodic = next
	}
}

// succeeded plans the next reconcile after interval.
func (s *schedule) succeeded(now time.Time, interval time.Duration) {
	s.failures, s.notBefore, s.gap, s.guard = 0, time.Time{}, time.Time{}, time.Time{}
	s.periodic = now.Add(s.dice.about(interval))
}

// failed plans the next attempt: exponential back-off with full jitter, the longest for one who is not let in or asks the
// wrong manager, and later
// where the manager asked for it, but never sooner than spread after the last began.
func (s *schedule) failed(now time.Time, err error, spread time.Duration) {
	wait := s.dice.upTo(min(longestBackoff, firstBackoff<<min(s.failures, 10)))
	if hopeless(err) {
		wait = longestBackoff/2 + s.dice.upTo(longestBackoff/2)
	}
	if asked := retryDelay(err); asked > 0 {
		wait = max(wait, min(asked, longestRetryAfter)+s.dice.upTo(min(spread, math.MaxInt64-longestRetryAfter)))
	}
	s.failures++
	s.notBefore = later(now.Add(wait), s.lastBegin.Add(spread))
}

// hopeless reports whether asking again will be of no use until somebody changes something. As the two below it asks what is
// known of the error, and never the error itself, which may be code of others: a lock is held.
func hopeless(err error) bool {
	_, other := err.(*EnvironmentError) //nolint:errorlint // ours is never wrapped
	status := known(err).status
	return other || status == http.StatusUnauthorized || status == http.StatusForbidden
}

// refusesCondition reports whether the answer may be about the ETag of the request, and not about the request.
func refusesCondition(err error) bool {
	switch known(err).status {
	case http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestHeaderFieldsTooLarge:
		return true
	default:
		return false
	}
}

func retryDelay(err error) time.Duration { return known(err).delay }

func (draw dice) upTo(d time.Duration) time.Duration {
	switch {
	case d <= 0:
		return 0
	case draw != nil:
		return draw(d)
	default:
		return rand.N(d) //nolint:gosec // jitter is no secret
	}
}

// about draws evenly from d less and more 20 %.
func (draw dice) about(d time.Duration) time.Duration { return d - d/5 + draw.upTo(2*d/5) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
