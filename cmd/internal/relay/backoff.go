package relay

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// Redis is asked again after at most that long when it was away, however long that was.
	firstWait = 50 * time.Millisecond
	mostWait  = 2 * time.Second
)

// backoff is the wait after failures in a row: a random part of a bound that doubles.
type backoff struct{ bound time.Duration }

func (b *backoff) next() time.Duration {
	b.bound = min(max(firstWait, 2*b.bound), mostWait)
	return rand.N(b.bound) + time.Millisecond //nolint:gosec // jitter is not a secret
}

func (b *backoff) reset() { b.bound = 0 }

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
