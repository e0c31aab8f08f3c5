package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/worker"
)

// display is where people, or programs, see what goes on.
type display interface {
	// voice is where the next process of a tenant tells of itself.
	voice(tenantID string) voice
	// states is told each change of the discovery's state.
	states(ctx context.Context, s discovery.Status)
	// during runs body. What it was told until then is shown when it returns; failed is called when nothing can be shown.
	during(status func() worker.Status, failed func(error), body func() error) error
}

// voice is what tells of one process. It may be used from any goroutine.
type voice interface {
	// event never waits.
	event(e event)
	// read reads what the process writes to a stream, until r ends or fails, as a pipe does that is closed here.
	read(from stream, r io.Reader)
}

// The types of an event.
const (
	eventStarted   = "started"
	eventSignalled = "signalled" // it was told of a new configuration
	eventStopping  = "stopping"  // it was asked to end
	eventKilled    = "killed"
	eventStopped   = "stopped" // it has ended after that
	eventDone      = "done"
	eventFailed    = "failed"
	eventGivenUp   = "given_up"
	eventDropped   = "dropped" // lines of output, which nobody took
)

// event is something that happened to a process.
type event struct {
	Type     string    `json:"type"`
	At       time.Time `json:"at"`
	TenantID string    `json:"tenant_id"`
	PID      int       `json:"pid,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Lines    int       `json:"lines,omitempty"`
}

// stream is where a process has written.
type stream int

const (
	standardOutput stream = iota
	standardError
)

// String is the name that the stream has everywhere.
func (s stream) String() string {
	if s == standardOutput {
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
