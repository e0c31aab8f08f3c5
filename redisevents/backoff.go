package redisevents

import (
	"math/rand/v2"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/backoff"
)

// retries say how long to wait after an attempt that failed: a random part of a bound that doubles as far as their range says,
// and further up to later once attempts have failed for patience.
type retries struct {
	backoff.Range

	later, patience time.Duration

	bound   time.Duration
	failing time.Time // when the row of failures began; zero outside of one
}

func defaultBackoff() retries {
	return retries{
		Range: backoff.Range{First: 50 * time.Millisecond, Most: 800 * time.Millisecond}, later: 5 * time.Second, patience: time.Minute,
	}
}

// next counts one more failure and returns the wait.
func (r *retries) next(now time.Time) time.Duration {
	if r.failing.IsZero() {
		r.failing = now
	}
	limit := r.Range
	if now.Sub(r.failing) >= r.patience {
		limit.Most = r.later
	}
	r.bound = limit.Next(r.bound)
	return rand.N(r.bound + 1) //nolint:gosec // jitter is not a secret
}

// reset ends the row of failures.
func (r *retries) reset() { r.bound, r.failing = 0, time.Time{} }
