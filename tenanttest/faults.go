package tenanttest

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Answer is an answer as a test wants it on the wire.
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

// The faults below are set for the next n requests, a negative n is for all until [Manager.ClearFaults]; setting one again
// replaces it, and n 0 clears it. Those with List in their name are for the list of active tenants, over HTTP and through a
// [Fetcher]. Different ones add up: a request for a list uses up one of each. Of those that make the answer, a
// dropped connection goes before a failure, a failure before an answer of the test's own, and that before the rest.

// Fail answers any request, list or not, with an error status; see [Manager.FailList]. It goes before authorization.
func (m *Manager) Fail(n, status int, retryAfter string) {
	m.setFaults(func(f *faults) { f.any = fault[failure]{n, failure{status, retryAfter}} })
}

// FailList answers with an error status, and a Retry-After with that text unless it is empty.
func (m *Manager) FailList(n, status int, retryAfter string) {
	m.setFaults(func(f *faults) { f.failure = fault[failure]{n, failure{status, retryAfter}} })
}

// AnswerList answers with bytes of the test's own.
func (m *Manager) AnswerList(n int, answer Answer) {
	m.setFaults(func(f *faults) { f.answer = fault[Answer]{n, answer} })
}

// DelayList holds the answer back for d, after the set has been read.
func (m *Manager) DelayList(n int, d time.Duration) {
	m.setFaults(func(f *faults) { f.delay = fault[time.Duration]{n, d} })
}

// StaleList answers with the set of an earlier revision, as a replica that lags behind. A revision that the log does not
// reach back to is the oldest that it does.
func (m *Manager) StaleList(n int, revision uint64) {
	m.setFaults(func(f *faults) { f.stale = fault[uint64]{n, revision} })
}

// ListEnvironment says that the list is of that environment, in its Tenant-Set-Environment. An empty name leaves it out.
func (m *Manager) ListEnvironment(n int, name string) {
	m.setFaults(func(f *faults) { f.environment = fault[string]{n, name} })
}

// PartialList answers with the oldest tenants only, a share of 0 to 1 of them, rounded down.
func (m *Manager) PartialList(n int, share float64) {
	m.setFaults(func(f *faults) { f.keep = fault[float64]{n, min(max(share, 0), 1)} })
}

// EmptyList answers with no tenant at all.
func (m *Manager) EmptyList(n int) {
	m.setFaults(func(f *faults) { f.empty = fault[struct{}]{left: n} })
}

// CutList breaks the connection after half of the body.
func (m *Manager) CutList(n int) {
	m.setFaults(func(f *faults) { f.cut = fault[struct{}]{left: n} })
}

// DropList breaks the connection instead of answering.
func (m *Manager) DropList(n int) {
	m.setFaults(func(f *faults) { f.drop = fault[struct{}]{left: n} })
}

// HoldList stops the next request for a list when its set has been read: reached is closed then, and the answer, which
// is an old one by now, goes out when release is called. The request also ends with its ctx. Call release in any case,
// a server that is closed waits for it; calling it again does nothing.
func (m *Manager) HoldList() (reached <-chan struct{}, release func()) { return m.holdList(false) }

// HoldListBeforeRead is [Manager.HoldList], but stops the request before the set is read.
func (m *Manager) HoldListBeforeRead() (reached <-chan struct{}, release func()) {
	return m.holdList(true)
}

// ClearFaults ends all faults. Requests that are held or delayed already stay so.
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
