// Package backoff says how long a wait after failures in a row may be: a bound that doubles. What time it is, and which wait up to the
// bound is drawn, its callers decide, each with a clock and dice of its own.
package backoff

import "time"

// Range is the bound after the first failure of a row, and the largest one. Most is at least First, or else First counts as Most.
type Range struct{ First, Most time.Duration }

// Next returns the bound that follows another one. Zero is before the first failure.
func (r Range) Next(bound time.Duration) time.Duration {
	if bound > r.Most/2 { // twice as much might overflow
		return r.Most
	}
	return min(max(r.First, 2*bound), r.Most)
}

// After returns the bound after a number of failures in a row. Less than one counts as one.
func (r Range) After(failures int) time.Duration {
	bound := r.Next(0)
	for i := 1; i < failures && bound < r.Most; i++ {
		bound = r.Next(bound)
	}
	return bound
}
