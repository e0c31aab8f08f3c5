package tenanttest

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Answer is an HTTP answer that a test chooses.
type Answer struct {
	// Status is the HTTP status. Zero is 200.
	Status int
	// Header is added to the answer's. A Content-Type in it replaces application/json.
	Header http.Header
	// Body is sent as it is.
	Body []byte
}

// faults is what goes wrong with the next requests.
type faults struct {
	any, failure fault[failure]
	delay        fault[time.Duration]
	answer       fault[Answer]
	stale        fault[uint64]
	environment  fault[string]
	keep         fault[float64]
	empty        fault[struct{}]
	cut          fault[struct{}]
	drop         fault[struct{}]
	hold         *hold
}

// fault is set for the next left requests; a negative left is for all.
type fault[T any] struct {
	left  int
	value T
}

// failure is an error status. With an empty retryAfter there is no header.
type failure struct {
	status     int
	retryAfter string
}

// hold stops one answer.
type hold struct {
	beforeRead       bool
	reached, release chan struct{}
}

// plan is what goes wrong with one request for a list. Nil and false are nothing.
type plan struct {
	delay            time.Duration
	hold             *hold
	failure          *failure
	answer           *Answer
	stale            *uint64
	environment      *string
	keep             *float64
	empty, cut, drop bool
}

// The faults below are set for the next n requests, as the package's doc says.

// Fail answers the next n requests of any kind with an error status, before it checks the key; see [Manager.FailList].
func (m *Manager) Fail(n, status int, retryAfter string) {
	m.setFaults(func(f *faults) { f.any = fault[failure]{n, failure{status, retryAfter}} })
}

// FailList answers the next n requests for a list with an error status, and with the header Retry-After unless
// retryAfter is empty. See the package's doc for n.
func (m *Manager) FailList(n, status int, retryAfter string) {
	m.setFaults(func(f *faults) { f.failure = fault[failure]{n, failure{status, retryAfter}} })
}

// AnswerList answers the next n requests for a list with the given answer.
func (m *Manager) AnswerList(n int, answer Answer) {
	m.setFaults(func(f *faults) { f.answer = fault[Answer]{n, answer} })
}

// DelayList delays the next n lists by d, after the set has been read.
func (m *Manager) DelayList(n int, d time.Duration) {
	m.setFaults(func(f *faults) { f.delay = fault[time.Duration]{n, d} })
}

// StaleList answers the next n requests for a list with the set of an earlier revision, like a replica that lags
// behind. If the log of events does not reach back to the revision, the oldest one that it reaches is used.
func (m *Manager) StaleList(n int, revision uint64) {
	m.setFaults(func(f *faults) { f.stale = fault[uint64]{n, revision} })
}

// ListEnvironment sets the environment of the next n lists, in the header Tenant-Set-Environment. An empty name leaves
// the header out.
func (m *Manager) ListEnvironment(n int, name string) {
	m.setFaults(func(f *faults) { f.environment = fault[string]{n, name} })
}

// PartialList answers the next n requests for a list with only the oldest tenants: a share of them from 0 to 1, rounded
// down.
func (m *Manager) PartialList(n int, share float64) {
	m.setFaults(func(f *faults) { f.keep = fault[float64]{n, min(max(share, 0), 1)} })
}

// EmptyList answers the next n requests for a list with an empty list.
func (m *Manager) EmptyList(n int) {
	m.setFaults(func(f *faults) { f.empty = fault[struct{}]{left: n} })
}

// CutList breaks the connection of the next n requests for a list after half of the body.
func (m *Manager) CutList(n int) {
	m.setFaults(func(f *faults) { f.cut = fault[struct{}]{left: n} })
}

// DropList breaks the connection of the next n requests for a list instead of answering.
func (m *Manager) DropList(n int) {
	m.setFaults(func(f *faults) { f.drop = fault[struct{}]{left: n} })
}

// HoldList stops the next request for a list after its set has been read, and closes reached. The answer, which may be
// old by then, is sent when release is called. The request also ends when its ctx ends. Always call release, because
// closing an HTTP server waits for it. Calling release again does nothing.
func (m *Manager) HoldList() (reached <-chan struct{}, release func()) { return m.holdList(false) }

// HoldListBeforeRead is like [Manager.HoldList], but stops the request before the set is read.
func (m *Manager) HoldListBeforeRead() (reached <-chan struct{}, release func()) {
	return m.holdList(true)
}

// ClearFaults ends all faults. It does not release requests that are held or delayed already.
func (m *Manager) ClearFaults() {
	m.setFaults(func(f *faults) { *f = faults{} })
}

func (m *Manager) setFaults(set func(*faults)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	set(&m.faults)
}

func (m *Manager) holdList(beforeRead bool) (<-chan struct{}, func()) {
	h := &hold{beforeRead: beforeRead, reached: make(chan struct{}), release: make(chan struct{})}
	m.setFaults(func(f *faults) { f.hold = h })
	return h.reached, sync.OnceFunc(func() { close(h.release) })
}

// takePlan uses up one of each fault that is set for lists.
func (m *Manager) takePlan() plan {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.faults
	p := plan{
		hold:        f.hold,
		failure:     f.failure.take(),
		answer:      f.answer.take(),
		stale:       f.stale.take(),
		environment: f.environment.take(),
		keep:        f.keep.take(),
		empty:       f.empty.take() != nil,
		cut:         f.cut.take() != nil,
		drop:        f.drop.take() != nil,
	}
	if delay := f.delay.take(); delay != nil {
		p.delay = *delay
	}
	f.hold = nil
	return p
}

func (m *Manager) takeFailure() *failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.faults.any.take()
}

// take returns nil when the fault is not set.
func (f *fault[T]) take() *T {
	if f.left == 0 {
		return nil
	}
	if f.left > 0 {
		f.left--
	}
	value := f.value
	return &value
}

// stop waits for the release if h is of this kind. The first request to come by says that it was reached.
func (h *hold) stop(ctx context.Context, beforeRead bool) error {
	if h == nil || h.beforeRead != beforeRead {
		return nil
	}
	close(h.reached)
	select {
	case <-h.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
