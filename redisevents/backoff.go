package redisevents

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait after an attempt that failed: a random part of a bound that doubles from first up to
// most, and further up to later once attempts have failed for patience.
type backoff struct {
	first, most, later, patience time.Duration

	bound   time.Duration
	failing time.Time // when the row of failures began; zero outside of one
}

func defaultBackoff() backoff {
	return backoff{
		first: 50 * time.Millisecond, most: 800 * time.Millisecond, later: 5 * time.Second, patience: time.Minute,
	}
}

// next counts one more failure and returns the wait.
func (b *backoff) next(now time.Time) time.Duration {
	if b.failing.IsZero() {
		b.failing = now
	}
	limit := b.most
	if now.Sub(b.failing) >= b.patience {
		limit = b.later
	}
	b.bound = min(max(b.first, 2*b.bound), limit)
	return rand.N(b.bound + 1) //nolint:gosec // jitter is not a secret
}

// reset ends the row of failures.
func (b *backoff) reset() { b.bound, b.failing = 0, time.Time{} }
