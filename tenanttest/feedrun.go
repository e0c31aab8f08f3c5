package tenanttest

import (
	"bytes"
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// run is what one [Feed.Run] still has to do. All but wake is guarded by the feed's lock.
type run struct {
	subscribed bool
	queue      []step
	retryAt    time.Time // not subscribed: when the next attempt is due
	backoff    time.Duration
	wake       chan struct{} // of size one: "look again"
}

// step is one thing for Run to do: end, answer a flush, give a signal, or else wait.
type step struct {
	due     time.Time // zero: at once
	ended   error
	flushed chan struct{}
	signal  tenant.Signal
	wait    time.Duration // zero: until woken
}

func (f *Feed) enter() *run {
	r := &run{backoff: f.backoff.First, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs[r] = struct{}{}
	return r
}

// leave forgets r; whoever waits in Flush for it need not any longer.
func (f *Feed) leave(r *run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.runs, r)
	for _, s := range r.queue {
		if s.flushed != nil {
			close(s.flushed)
		}
	}
}

// next takes what r has to do now off its queue. With nothing queued and no subscription it is the attempt to get one.
func (f *Feed) next(r *run) step {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(r.queue) > 0 {
		if wait := time.Until(r.queue[0].due); wait > 0 {
			return step{wait: wait}
		}
		return r.pop()
	}
	if r.subscribed {
		return step{}
	}
	return f.attempt(r)
}

// attempt is called with the lock held.
func (f *Feed) attempt(r *run) step {
	if wait := time.Until(r.retryAt); wait > 0 {
		return step{wait: wait}
	}
	if f.downErr != nil {
		r.retryAt = time.Now().Add(r.backoff)
		r.backoff = f.backoff.Next(r.backoff)
		return step{signal: tenant.Signal{Kind: tenant.SignalLost, Err: f.downErr}}
	}
	if f.silent {
		return step{} // accepted and never answered
	}
	r.subscribed, r.backoff = true, f.backoff.First
	return step{signal: tenant.Signal{Kind: tenant.SignalSubscribed, Heartbeats: f.heartbeats}}
}

// enqueue is called with the lock held. Each Run gets a payload of its own.
func (f *Feed) enqueue(sig tenant.Signal) {
	if f.silent {
		return
	}
	s := step{signal: sig}
	if f.faults.latency > 0 {
		s.due = time.Now().Add(f.faults.latency)
	}
	for r := range f.runs {
		if r.subscribed {
			s.signal.Event.Payload = bytes.Clone(sig.Event.Payload)
			r.push(s)
		}
	}
}

func (r *run) push(s step) {
	r.queue = append(r.queue, s)
	r.nudge()
}

func (r *run) pop() step {
	s := r.queue[0]
	r.queue[0] = step{}
	r.queue = r.queue[1:]
	return s
}

// nudge never blocks, so it may be called with the lock held.
func (r *run) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// sleep returns when wait is over (zero: never), when r was nudged, or when ctx ends.
func (r *run) sleep(ctx context.Context, wait time.Duration) {
	var over <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-over:
	}
}
