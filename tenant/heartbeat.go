package tenant

import (
	"errors"
	"time"
)

// HeartbeatInterval is how often a manager that sends heartbeats sends one.
const HeartbeatInterval = 5 * time.Second

// ErrNoHeartbeat means that heartbeats are expected, and that neither one nor any event came for more than two intervals.
var ErrNoHeartbeat = errors.New("no heartbeat of the manager came for two intervals")

// Heartbeat is what a manager sends to say how far its events are: all up to the revision were published. Over Server-Sent Events it
// has no timestamp.
type Heartbeat struct {
	Epoch     string    `json:"epoch"`
	Revision  uint64    `json:"revision"`
	Timestamp time.Time `json:"timestamp,omitzero"`
}
