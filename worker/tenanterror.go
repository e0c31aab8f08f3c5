package worker

import (
	"context"
	"errors"
	"runtime/debug"
)

// TenantError says whose work failed. [errors.Is] and [errors.As] look at Err as well.
type TenantError struct {
	TenantID string
	// Err is what the work returned, or a *[PanicError], with the stack, when it panicked or called runtime.Goexit.
	Err error
}

// Error names the tenant.
func (e *TenantError) Error() string { return "tenant " + e.TenantID + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *TenantError) Unwrap() error { return e.Err }

// withStack adds the stack to the end of a goroutine. It has to be called by what guard calls, where the stack still stands.
func withStack(err error) error {
	if errors.Is(err, errExited) {
		return &PanicError{Value: err, Stack: debug.Stack()}
	}
	return err
}

// isPanic reports whether the work has not returned, but panicked or ended its goroutine.
func isPanic(err error) bool {
	_, panicked := err.(*PanicError) //nolint:errorlint // a panic that it wraps, of something that it has called, was returned
	return panicked
}

// isCancellation reports whether err says no more than that a ctx has ended. A panic is a mistake all the same.
func isCancellation(err error) bool {
	return !isPanic(err) &&
		(errors.Is(err, context.Canceled) || errors.Is(err, ErrRemoved) || errors.Is(err, ErrReconfigured) || errors.Is(err, ErrStopping))
}
