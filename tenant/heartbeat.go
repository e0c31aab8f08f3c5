package tenant

import (
	"errors"
	"time"
)

// HeartbeatInterval is the time between two heartbeats of a manager that sends them.
const HeartbeatInterval = 5 * time.Second

// ErrNoHeartbeat means that heartbeats are expected, but that neither a heartbeat nor an event arrived for more than
// two intervals.
var ErrNoHeartbeat = errors.New("no heartbeat of the manager came for two intervals")

// Heartbeat is the message with which a manager says how far it has published its events: all of them up to Revision.
// Over Server-Sent Events a heartbeat has no timestamp.
type Heartbeat struct {
	Epoch     string    `json:"epoch"`
	Revision  uint64    `json:"revision"`
	Timestamp time.Time `json:"timestamp,omitzero"`
}
