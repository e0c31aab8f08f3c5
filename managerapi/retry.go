package managerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/backoff"
)

// MaxRetryAfter is the longest Retry-After that is believed. A longer one counts as this.
const MaxRetryAfter = 5 * time.Minute

// errDeadlineBeforeRetry means that ctx would end before the next attempt.
var errDeadlineBeforeRetry = errors.New("the next attempt would be after the deadline")

// wait returns how long to wait before retry number n, counted from zero: what the manager asked for, and a jitter
// over the whole back-off, so that many clients do not come back together.
func (c *Config) wait(n int, retryAfter time.Duration) time.Duration {
	bound := backoff.Range{First: c.BackoffBase, Most: c.BackoffMax}.After(n + 1)
	bound = min(bound, math.MaxInt64-1-retryAfter) // nobody sees the end of it, but it has to be one
	return retryAfter + rand.N(bound+1)            //nolint:gosec // a jitter is not a secret
}

// sleep waits for wait. It does not wait at all when ctx would end first.
func sleep(ctx context.Context, wait time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return errDeadlineBeforeRetry
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mayRepeat reports whether a request with this method may be sent again after err.
func mayRepeat(method string, err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok && answer.StatusCode == http.StatusTooManyRequests {
		return true // refused before anything was done
	}
	if !errors.Is(err, ErrUnavailable) || errors.Is(err, errBreakerOpen) {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false // it will not get better by itself
	}
	switch method {
	case http.MethodGet, http.MethodPut, http.MethodDelete:
		return true
	default:
		return neverConnected(err)
	}
}

// neverConnected reports whether err says that there was no connection on which a request could have been sent.
func neverConnected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// retryAfterOf returns what the manager asked for in the answer behind err.
func retryAfterOf(err error) time.Duration {
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.RetryAfter
	}
	return 0
}

// parseRetryAfter reads a Retry-After header, seconds or an HTTP date. It returns 0 for what cannot be read and for
// what is past, and never more than [MaxRetryAfter].
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		return secondsAtMost(value)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// secondsAtMost reads decimal digits of any number.
func secondsAtMost(digits string) time.Duration {
	var wait time.Duration
	for _, digit := range digits {
		wait = min(wait*10+time.Duration(digit-'0')*time.Second, MaxRetryAfter)
	}
	return wait
}
