package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// hugeErrorText is how many bytes an error may say at most to be kept itself, beside what it says.
const hugeErrorText = 64 << 10

// looked is what came of looking at an error of a TMClient, a Feed or a ctx: code of others, whose methods may do anything. It is
// looked at once, where it enters; from then on nothing but these fields is asked.
type looked struct {
	activeset.Failure

	huge bool // what it says is too long to be kept
}

// enter looks at an error that code of others has handed in. No lock may be held.
func enter(err error) error {
	if err == nil {
		return nil
	}
	if seen, ok := err.(*activeset.Failure); ok { //nolint:errorlint // it is asked whether it was looked at already
		return seen
	}
	seen, sound := usererror.Look(err, look)
	if !seen.huge {
		seen.Err = sound
	}
	return &seen.Failure
}

// enterText is enter for an error of which nothing but what it says is kept, so that many of them take little.
func enterText(err error) error {
	if err == nil {
		return nil
	}
	seen, _ := usererror.Look(err, look)
	return &seen.Failure
}

func look(err error) looked {
	seen := looked{Failure: activeset.NewFailure(err), huge: len(err.Error()) > hugeErrorText}
	seen.Lost = kindOf(err)
	if answer, ok := errors.AsType[interface {
		error
		HTTPStatus() int
	}](err); ok {
		seen.Status = answer.HTTPStatus()
	}
	if answer, ok := errors.AsType[interface {
		error
		RetryDelay() time.Duration
	}](err); ok {
		seen.Delay = answer.RetryDelay()
	}
	_, other := errors.AsType[*EnvironmentError](err)
	seen.Hopeless = other || seen.Status == http.StatusUnauthorized || seen.Status == http.StatusForbidden
	seen.RefusesCondition = refusesCondition(seen.Status)
	seen.Ended = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	seen.NoHeartbeat = errors.Is(err, tenant.ErrNoHeartbeat)
	return seen
}

// refusesCondition reports whether an answer of the status may be about the ETag of the request, and not about the request.
func refusesCondition(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestHeaderFieldsTooLarge:
		return true
	default:
		return false
	}
}

// kindOf sorts the reasons for which a feed is lost, so that a new one is warned of, and a new port number is not.
func kindOf(err error) string {
	for _, kind := range []error{redisevents.ErrRefused, redisevents.ErrSilent, redisevents.ErrProtocol, redisevents.ErrUnsubscribed, tenant.ErrNoHeartbeat} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "the network"
}

var errLongEpoch = fmt.Errorf("a heartbeat whose epoch has more than %d bytes", tenant.MaxNameBytes)

// entered looks at the error of a signal, on the goroutine of the feed. Of those that may come in floods only the text is
// kept.
func entered(sig *tenant.Signal) {
	switch sig.Kind {
	case tenant.SignalSubscribed, tenant.SignalLost:
		sig.Err = enter(sig.Err)
	case tenant.SignalHeartbeat:
		if len(sig.Version.Epoch) > tenant.MaxNameBytes {
			*sig = tenant.Signal{Kind: tenant.SignalBadEvent, Err: errLongEpoch}
		}
	default:
		sig.Err = enterText(sig.Err)
	}
}
