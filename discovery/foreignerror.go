package discovery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// mostErrorText is how many bytes are kept of what an error says.
	mostErrorText = 2 << 10
	// hugeErrorText is how long that may be at most where the error is kept too.
	hugeErrorText = 64 << 10
)

// foreignError is an error of a TMClient, a Feed or a ctx: code of others, whose methods may do anything. It was looked at
// once, where it entered; from then on nothing but these fields is asked.
type foreignError struct {
	text string
	err  error // nil where only the text is kept
	huge bool  // what it says is too long to be kept

	status   int           // by HTTPStatus
	delay    time.Duration // by RetryDelay
	ended    bool          // it is the end of a ctx
	lost     string        // which of the kinds of a lost link it is
	beatless bool          // heartbeats are missing
	eventID  string        // of an event that cannot be used
	event    tenant.EventType
}

// enter looks at an error that code of others has handed in. No lock may be held.
func enter(err error) error {
	if err == nil {
		return nil
	}
	if seen, ok := err.(*foreignError); ok { //nolint:errorlint // it is asked whether it was looked at already
		return seen
	}
	seen, sound := usererror.Look(err, look)
	if !seen.huge {
		seen.err = sound
	}
	return &seen
}

// enterText is enter for an error of which nothing but what it says is kept, so that many of them take little.
func enterText(err error) error {
	if err == nil {
		return nil
	}
	seen, _ := usererror.Look(err, look)
	return &seen
}

func look(err error) foreignError {
	text := err.Error()
	seen := foreignError{text: cut(text, mostErrorText), huge: len(text) > hugeErrorText, lost: kindOf(err)}
	if answer, ok := errors.AsType[interface {
		error
		HTTPStatus() int
	}](err); ok {
		seen.status = answer.HTTPStatus()
	}
	if answer, ok := errors.AsType[interface {
		error
		RetryDelay() time.Duration
	}](err); ok {
		seen.delay = answer.RetryDelay()
	}
	seen.ended = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	seen.beatless = errors.Is(err, redisevents.ErrNoHeartbeat)
	if evt, ok := errors.AsType[*tenant.EventError](err); ok {
		seen.eventID, seen.event = cut(evt.EventID, longestName), tenant.EventType(cut(string(evt.EventType), longestName))
	}
	return seen
}

// Error is what the error said.
func (e *foreignError) Error() string { return e.text }

// Unwrap returns the error as it came, for who is told of it.
func (e *foreignError) Unwrap() error { return e.err }

// HTTPStatus is that of the error, zero if it has none.
func (e *foreignError) HTTPStatus() int { return e.status }

// RetryDelay is that of the error, zero if it has none.
func (e *foreignError) RetryDelay() time.Duration { return e.delay }

// known returns what is known of an error that has been looked at, and nothing of one of our own.
func known(err error) foreignError {
	if seen, ok := err.(*foreignError); ok { //nolint:errorlint // what it wraps is not asked again
		return *seen
	}
	return foreignError{}
}

// longestName is how many bytes of a name that somebody made up are kept: of an event's id, its type, an epoch.
const longestName = 256

// cut returns the text, or as much as is kept of it, in memory of its own.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.Clone(strings.ToValidUTF8(text[:most], "")) + "…"
}

// entered looks at the error of a signal, on the goroutine of the feed. Of those that may come in floods only the text is
// kept.
func entered(sig tenant.Signal) tenant.Signal {
	switch sig.Kind {
	case tenant.SignalSubscribed, tenant.SignalLost:
		sig.Err = enter(sig.Err)
	case tenant.SignalHeartbeat:
		if len(sig.Version.Epoch) > tenant.MaxNameBytes {
			return tenant.Signal{Kind: tenant.SignalBadEvent, Err: errLongEpoch}
		}
	default:
		sig.Err = enterText(sig.Err)
	}
	return sig
}
