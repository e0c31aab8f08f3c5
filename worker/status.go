package worker

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// State says what the work of a tenant is doing.
type State uint8

// The states of a tenant.
const (
	// Waiting: the tenant waits in line because of Config.Limit or Config.RampPerSecond.
	Waiting State = iota + 1
	// Running: the tenant has a run.
	Running
	// Stopping: the run was cancelled and has not returned yet.
	Stopping
	// Overstaying: the run was cancelled longer than Config.StopGrace ago and has not returned yet.
	Overstaying
	// Restarting: the next run is not due yet. Its last run failed and the back-off has not ended; or the tenant was
	// reconfigured less than 100 ms ago; or its last run, before the tenant was reconfigured or went, began less than
	// half of Config.MinBackoff ago.
	Restarting
	// Done: Work returned nil. It is not called again until the tenant goes and comes again.
	Done
	// GivenUp: Work returned ErrGiveUp. It is not called again until the tenant goes and comes again, or is
	// reconfigured.
	GivenUp
)

// String returns the name of the state in lower case.
func (s State) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Running:
		return "running"
	case Stopping:
		return "stopping"
	case Overstaying:
		return "overstaying"
	case Restarting:
		return "restarting"
	case Done:
		return "done"
	case GivenUp:
		return "given up"
	default:
		return "unknown"
	}
}

// MarshalText returns the word that String returns.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status describes the work of a Group: how many tenants are in each state, and the state of each tenant.
type Status struct {
	Waiting     int `json:"waiting"`
	Running     int `json:"running"`
	Stopping    int `json:"stopping"`
	Overstaying int `json:"overstaying"`
	Restarting  int `json:"restarting"`
	Done        int `json:"done"`
	GivenUp     int `json:"given_up"`
	// Limit is Config.Limit. When tenants wait although fewer than Limit run, they wait because of
	// Config.RampPerSecond, or for the slot of a tenant that was reconfigured and is Restarting.
	Limit int `json:"limit,omitempty"`
	// Tenants has the active tenants, and the tenants whose last run has not ended yet, sorted by id.
	Tenants []TenantStatus `json:"tenants"`
}

// TenantStatus describes the work of one tenant.
type TenantStatus struct {
	TenantID string
	State    State
	Since    time.Time // when it came into this state
	Place    int       // in line, from 1 on; 0 where State is not Waiting
	Next     time.Time // when Restarting ends; zero in other states
	// Reconfiguring is when the current call of Config.Reconfigured for the tenant began; zero when there is none.
	Reconfiguring time.Time
	// Restarts is how many runs have followed a failed run since the tenant came.
	Restarts int
	// LastError is the error or the panic of the last failed run; nil if no run has failed since the tenant came.
	LastError error
	// Active is false when the tenant is gone but its run has not ended yet. While it is true, a new run follows a run
	// that is stopping.
	Active bool
}

// MarshalJSON writes the state as a word and the error as a text.
func (t TenantStatus) MarshalJSON() ([]byte, error) { return json.Marshal(viewOf(&t)) }

// StillRunningError says what has not ended within StopGrace. [Group.Run] and [Every] return it, and the error of
// [ForEach] may contain it. The goroutine of such a call is left behind; it ends when the call returns.
type StillRunningError struct {
	// TenantIDs are the tenants whose work has not returned, sorted.
	TenantIDs []string
	// Changes is true when the sequence of changes has not ended.
	Changes bool
}

// Error names up to ten of the tenants.
func (e *StillRunningError) Error() string {
	const most = 10
	var parts []string
	if n := len(e.TenantIDs); n > 0 {
		shown, more := e.TenantIDs[:min(n, most)], ""
		if n > most {
			more = fmt.Sprintf(" and %d more", n-most)
		}
		parts = append(parts, "the work of "+strings.Join(shown, ", ")+more)
	}
	if e.Changes {
		parts = append(parts, "the sequence of changes")
	}
	return "still running after the grace: " + strings.Join(parts, ", and ")
}
