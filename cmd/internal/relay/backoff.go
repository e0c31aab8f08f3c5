package relay

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/backoff"
)

const (
	// Redis is asked again after at most that long when it was away, however long that was.
	firstWait = 50 * time.Millisecond
	mostWait  = 2 * time.Second
)

// retries are the waits after failures in a row: a random part of a bound that doubles.
type retries struct{ bound time.Duration }

func (r *retries) next() time.Duration {
	r.bound = backoff.Range{First: firstWait, Most: mostWait}.Next(r.bound)
	return rand.N(r.bound) + time.Millisecond //nolint:gosec // jitter is not a secret
}

func (r *retries) reset() { r.bound = 0 }

// sleep waits for d, or less if ctx ends or woken has something, which may be nil.
func sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-woken:
	}
}
