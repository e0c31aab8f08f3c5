package process

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// Display is where people, or programs, see what goes on.
type Display interface {
	// Voice is where the next process of a tenant tells of itself.
	Voice(tenantID string) Voice
	// During runs body. What it was told until then is shown when it returns; failed is called when nothing can be shown.
	During(failed func(error), body func() error) error
}

// Voice is what tells of one process. It may be used from any goroutine.
type Voice interface {
	// Event never waits.
	Event(e Event)
	// Read reads what the process writes to a stream, until r ends or fails, as a pipe does that is closed here.
	Read(from Stream, r io.Reader)
}

// The types of an [Event].
const (
	EventStarted   = "started"
	EventSignalled = "signalled" // it was told of a new configuration
	EventStopping  = "stopping"  // it was asked to end
	EventKilled    = "killed"
	EventStopped   = "stopped" // it has ended after that
	EventDone      = "done"
	EventFailed    = "failed"
	EventGivenUp   = "given_up"
	EventDropped   = "dropped" // lines of output, which nobody took
)

// Event is something that happened to a process.
type Event struct {
	Type     string    `json:"type"`
	At       time.Time `json:"at"`
	TenantID string    `json:"tenant_id"`
	PID      int       `json:"pid,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Lines    int       `json:"lines,omitempty"`
}

// Stream is where a process has written.
type Stream int

// The streams of a process.
const (
	StandardOutput Stream = iota
	StandardError
)

// String is the name that the stream has everywhere.
func (s Stream) String() string {
	if s == StandardOutput {
		return "stdout"
	}
	return "stderr"
}

// outputLine is a line of output for programs.
type outputLine struct {
	Type     string    `json:"type"`
	At       time.Time `json:"at"`
	TenantID string    `json:"tenant_id"`
	Stream   string    `json:"stream"`
	Line     string    `json:"line"`
	Partial  bool      `json:"partial,omitempty"` // the line goes on in the next one
}

// stopReason is why a process is asked to end. ctx has ended.
func stopReason(ctx context.Context) string {
	cause := context.Cause(ctx)
	if errors.Is(cause, worker.ErrStopping) {
		return "tenantwatch is ending"
	}
	return cause.Error()
}
