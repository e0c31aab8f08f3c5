package server

import (
	"sync"
	"time"
)

// maxBuckets is how many callers the limiter remembers. Only keys and tokens that are right come to it, so that nobody can
// fill it from outside.
const maxBuckets = 10_000

// limiter gives every caller a bucket that fills with time. The nil limiter lets everything pass.
type limiter struct {
	rate, burst float64 // requests a second; requests

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(rate float64) *limiter {
	if rate == 0 {
		return nil
	}
	return &limiter{rate: rate, burst: max(2*rate, 1), buckets: map[string]bucket{}}
}

// take takes one request from the caller's bucket. If there is none it returns how long it takes until there is.
func (l *limiter) take(id string, now time.Time) (wait time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[id]
	if !known {
		l.forgetFull(now)
		b = bucket{tokens: l.burst, at: now}
	}
	b = l.filled(b, now)
	if ok = b.tokens >= 1; ok {
		b.tokens--
	} else {
		wait = time.Duration((1 - b.tokens) / l.rate * float64(time.Second))
	}
	l.buckets[id] = b
	return wait, ok
}

func (l *limiter) filled(b bucket, now time.Time) bucket {
	return bucket{tokens: min(l.burst, b.tokens+now.Sub(b.at).Seconds()*l.rate), at: now}
}

// forgetFull drops the callers that a new bucket would be no different for, once there are many.
func (l *limiter) forgetFull(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for id, b := range l.buckets {
		if l.filled(b, now).tokens >= l.burst {
			delete(l.buckets, id)
		}
	}
}
