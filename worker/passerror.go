package worker

import (
	"fmt"
	"strings"
)

// PassError says what a call of [ForEach] has not done. [errors.Is] and [errors.As] look at each of Failed, at
// StillRunning and at Stopped.
type PassError struct {
	// Failed has the tenants whose work failed, in the order of their turns.
	Failed []*TenantError
	// StillRunning has the tenants whose work overstayed and has not ended, even tenants that are no longer active. Nil
	// when there are none.
	StillRunning *StillRunningError
	// NotRun is how many tenants work was not called for, because ctx had ended.
	NotRun int
	// PassedOver is how many tenants were not active when their turn came, according to Active. That alone is not an
	// error.
	PassedOver int
	// Total is how many different tenants the sequence had.
	Total int
	// Stopped is the error of ctx and its cause. Nil when NotRun is 0.
	Stopped error
}

// Error returns the numbers, and up to ten of the failures.
func (e *PassError) Error() string {
	const most = 10
	var parts []string
	if e.Stopped != nil {
		parts = append(parts, fmt.Sprintf("%d of %d tenants were not begun: %v", e.NotRun, e.Total, e.Stopped))
	}
	if e.StillRunning != nil {
		parts = append(parts, e.StillRunning.Error())
	}
	if n := len(e.Failed); n > 0 {
		parts = append(parts, fmt.Sprintf("the work of %d of %d tenants failed", n, e.Total))
	}
	if e.PassedOver > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d tenants were passed over: they are not active", e.PassedOver, e.Total))
	}
	for _, failure := range e.Failed[:min(len(e.Failed), most)] {
		parts = append(parts, failure.Error())
	}
	if more := len(e.Failed) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// Unwrap returns all of Failed, StillRunning, and Stopped.
func (e *PassError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failed)+2)
	for _, failure := range e.Failed {
		errs = append(errs, failure)
	}
	if e.StillRunning != nil {
		errs = append(errs, e.StillRunning)
	}
	if e.Stopped != nil {
		errs = append(errs, e.Stopped)
	}
	return errs
}
