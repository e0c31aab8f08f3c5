package worker

import (
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// order is something that a plan wants done.
type order struct {
	what   action
	id     string // of the tenant, as it is spelled
	run    string // the key of its run, the canonical id
	cause  error
	stack  []byte // of the panic that it is, or wraps
	reason tenant.EventType
	wait   time.Duration
	count  int
}

type action uint8

const (
	startRun action = iota
	cancelRun
	callHook
	forgetRun       // it has ended, and so has its hook
	noteFailed      // cause, wait and count: it is tried again
	noteGivenUp     // cause
	noteOverstaying // wait: the grace that is over
	noteHookFailed  // cause
	noteLateError   // cause: what a cancelled run, or its hook, returned
)
