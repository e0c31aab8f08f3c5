package worker

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// State is what is going on for a tenant.
type State uint8

// The states of a tenant.
const (
	// Waiting is in line for Config.Limit or Config.RampPerSecond.
	Waiting State = iota + 1
	// Running has a run.
	Running
	// Stopping has a run that was cancelled, and has not returned yet.
	Stopping
	// Overstaying is Stopping for longer than Config.StopGrace.
	Overstaying
	// Restarting has failed and waits for its back-off to end; or it was reconfigured less than 100 ms ago; or its last run,
	// before it was reconfigured or had gone, began less than half of Config.MinBackoff ago.
	Restarting
	// Done has a run that returned nil. Nothing follows until the tenant goes and comes again.
	Done
	// GivenUp has a run that returned ErrGiveUp. Nothing follows until the tenant goes and comes again, or is reconfigured.
	GivenUp
)

// String is the name in lower case.
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

// MarshalText returns the same word as String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is how a Group is doing: how many tenants are in each state, and each of them.
type Status struct {
	Waiting     int `json:"waiting"`
	Running     int `json:"running"`
	Stopping    int `json:"stopping"`
	Overstaying int `json:"overstaying"`
	Restarting  int `json:"restarting"`
	Done        int `json:"done"`
	GivenUp     int `json:"given_up"`
	// Limit is Config.Limit. A tenant that waits although fewer run waits for the ramp, or for one
	// that was reconfigured and is Restarting.
	Limit int `json:"limit,omitempty"`
	// Tenants has those that are active, and those whose last run has not ended yet, sorted by id.
	Tenants []TenantStatus `json:"tenants"`
}

// TenantStatus is how the work of one tenant is doing.
type TenantStatus struct {
	TenantID string
	State    State
	Since    time.Time // when it came into this state
	Place    int       // in line, from 1 on; 0 where State is not Waiting
	Next     time.Time // when Restarting ends; zero in other states
	// Reconfiguring is since when Config.Reconfigured is being called for the tenant; zero when it is not.
	Reconfiguring time.Time
	// Restarts is how often a run has followed one that failed, since the tenant came.
	Restarts int
	// LastError is what the last run that failed returned, or its panic; nil if none has since the tenant came.
	LastError error
	// Active is false when the tenant is gone and its run has not ended yet. A run that is stopping while it is true is
	// followed by a new one.
	Active bool
}

// MarshalJSON writes the state as its word and the error as a text.
func (t TenantStatus) MarshalJSON() ([]byte, error) { return json.Marshal(viewOf(&t)) }

// StillRunningError is the error of a Group's Run and of [Every], and a part of that of [ForEach], when something has not ended
// within the grace. Its goroutine is left behind: it ends when what it has called returns.
type StillRunningError struct {
	// TenantIDs are those whose work has not returned, sorted.
	TenantIDs []string
	// Changes is true when the sequence of changes has not ended.
	Changes bool
}

// Error names up to ten.
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
