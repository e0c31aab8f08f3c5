package tenanttest

import (
	"math/rand/v2"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// feedFaults is what goes wrong with the next events.
type feedFaults struct {
	rand      *rand.Rand
	drop      int
	duplicate int
	latency   time.Duration
	gather    int // how many events are gathered before they go out shuffled; zero: none
	gathered  []tenant.Signal
}

// Disconnect breaks the link. Every subscribed Run first delivers what it has queued, and then gives
// [tenant.SignalLost]. Each later attempt to subscribe fails with err until [Feed.Connect] is called. Events that are
// delayed, or gathered by [Feed.Reorder], are lost. A nil err means [ErrDisconnected].
func (f *Feed) Disconnect(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downErr = orDefault(err, ErrDisconnected)
	f.faults.gathered = nil
	for r := range f.runs {
		if r.subscribed {
			f.cut(r)
		}
	}
}

// Connect makes attempts to subscribe succeed again. Runs that wait for their next attempt try at once.
func (f *Feed) Connect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downErr = nil
	for r := range f.runs {
		r.retryAt = time.Time{}
		r.nudge()
	}
}

// Refuse makes attempts to subscribe fail with err until [Feed.Connect] is called. Current subscriptions stay. A nil
// err means [ErrRefused].
func (f *Feed) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downErr = orDefault(err, ErrRefused)
}

// Silence makes the link silent, or ends the silence. A silent link is up and carries nothing: no event, no heartbeat
// and no confirmation. No signal tells a Run about it. Events that are published meanwhile are lost.
func (f *Feed) Silence(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = on
	for r := range f.runs {
		r.nudge() // those that wait for a confirmation
	}
}

// EndRuns makes every current Run deliver what it has queued and then return err. A nil err means [ErrRunEnded].
func (f *Feed) EndRuns(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.runs {
		r.push(step{ended: orDefault(err, ErrRunEnded)})
	}
}

// Drop makes the feed lose the next n events.
func (f *Feed) Drop(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.drop = n
}

// Duplicate delivers each of the next n events twice.
func (f *Feed) Duplicate(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.duplicate = n
}

// Delay delays all events that are published from now on by d, and keeps their order. Zero ends the delay for later
// events.
func (f *Feed) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.latency = d
}

// Reorder gathers the next k events and then delivers them in a shuffled order, which the seed decides. [Feed.Flush]
// delivers them earlier.
func (f *Feed) Reorder(k int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseGathered()
	f.faults.gather = k
}

// ClearFaults ends Silence, Drop, Duplicate, Delay and Reorder, and delivers the gathered events. The link stays as it
// is.
func (f *Feed) ClearFaults() {
	f.Silence(false)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseGathered()
	f.faults = feedFaults{rand: f.faults.rand}
}

// cut ends the subscription of r; it is called with the lock held. Only what is not on its way any more still arrives.
func (f *Feed) cut(r *run) {
	now := time.Now()
	kept := make([]step, 0, len(r.queue)+1)
	for _, s := range r.queue {
		switch {
		case s.flushed != nil || s.ended != nil:
			s.due = time.Time{}
		case s.due.After(now):
			continue
		}
		kept = append(kept, s)
	}
	r.queue = kept
	r.subscribed = false
	r.retryAt, r.backoff = now.Add(f.backoff.First), f.backoff.Next(f.backoff.First)
	r.push(step{signal: tenant.Signal{Kind: tenant.SignalLost, Err: f.downErr}})
}

// releaseGathered is called with the lock held.
func (f *Feed) releaseGathered() {
	for _, sig := range f.faults.release() {
		f.enqueue(sig)
	}
}

// pass returns what is left of one event: nothing, itself, twice itself, or what had been gathered.
func (ff *feedFaults) pass(sig tenant.Signal) []tenant.Signal {
	if ff.drop > 0 {
		ff.drop--
		return nil
	}
	out := []tenant.Signal{sig}
	if ff.duplicate > 0 {
		ff.duplicate--
		out = append(out, sig)
	}
	if ff.gather == 0 {
		return out
	}
	ff.gathered = append(ff.gathered, out...)
	if len(ff.gathered) < ff.gather {
		return nil
	}
	return ff.release()
}

// release ends the gathering and returns, shuffled, what was gathered.
func (ff *feedFaults) release() []tenant.Signal {
	out := ff.gathered
	ff.gather, ff.gathered = 0, nil
	ff.rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
