package managerapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
)

// What a [CircuitBreaker] does where it says nothing.
const (
	defaultBreakerFailures = 5
	defaultBreakerOpenFor  = 30 * time.Second
)

// errBreakerOpen is the cause of an [ErrUnavailable] that needed no connection.
var errBreakerOpen = errors.New("circuit breaker is open")

// CircuitBreaker says when a client stops asking a manager that fails. Failures are broken connections, attempts that
// took too long, answers of 500 and above, and answers that cannot be read. Other answers show that the manager works.
// A call that ended because its ctx ended does not count.
type CircuitBreaker struct {
	// Failures is how many attempts in a row must fail. Zero means 5.
	Failures int
	// OpenFor is how long no attempt is made after that. Then one attempt is made at a time: a success closes the
	// breaker, a failure opens it again. Zero means 30 s.
	OpenFor time.Duration
}

type breaker = gobreaker.CircuitBreaker[struct{}]

func newBreaker(config *CircuitBreaker) *breaker {
	if config == nil {
		return nil
	}
	failures, openFor := config.Failures, config.OpenFor
	if failures == 0 {
		failures = defaultBreakerFailures
	}
	if openFor == 0 {
		openFor = defaultBreakerOpenFor
	}
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "tenant manager",
		MaxRequests:  1,
		Timeout:      openFor,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int64(c.ConsecutiveFailures) >= int64(failures) },
		IsSuccessful: func(err error) bool { return !isFailure(err) },
		IsExcluded:   isCallersEnd,
	})
}

// guard runs attempt unless the breaker is open. A nil breaker is never open.
func guard(b *breaker, attempt func() error) error {
	if b == nil {
		return attempt()
	}
	_, err := b.Execute(func() (struct{}, error) { return struct{}{}, attempt() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return &unavailableError{text: errBreakerOpen.Error(), cause: errBreakerOpen}
	}
	return err
}

// isFailure reports whether err is the manager's failure.
func isFailure(err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.StatusCode >= http.StatusInternalServerError
	}
	return err != nil
}

// isCallersEnd reports whether err says that the caller's ctx ended. A dial that timed out by itself looks like a
// deadline too, but is unavailable.
func isCallersEnd(err error) bool {
	return !errors.Is(err, ErrUnavailable) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}
