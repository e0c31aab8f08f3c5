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

// Disconnect breaks the link: every subscribed Run tells [tenant.SignalLost] after what it has queued already, and each
// later attempt fails with err until [Feed.Connect]. Events that are delayed or gathered are lost with the link. A nil
// err is [ErrDisconnected].
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

// Connect makes attempts to subscribe succeed again, and lets the Runs that wait for their next one try at once.
func (f *Feed) Connect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downErr = nil
	for r := range f.runs {
		r.retryAt = time.Time{}
		r.nudge()
	}
}

// Refuse makes attempts to subscribe fail with err until [Feed.Connect], and leaves the present subscriptions alone. A
// nil err is [ErrRefused].
func (f *Feed) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downErr = orDefault(err, ErrRefused)
}

// Silence makes the link silent, or ends that. A silent link is up and carries nothing: no event, no heartbeat, no
// confirmation, and no signal says so. What is published meanwhile is lost.
func (f *Feed) Silence(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = on
	for r := range f.runs {
		r.nudge() // those that wait for a confirmation
	}
}

// EndRuns makes every Run that runs now return err, after what it has queued. A nil err is [ErrRunEnded].
func (f *Feed) EndRuns(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.runs {
		r.push(step{ended: orDefault(err, ErrRunEnded)})
	}
}

// Drop loses the next n events.
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

// Delay lets all that is published from now on arrive d later, in order. Zero ends it for what is published afterwards.
func (f *Feed) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.latency = d
}

// Reorder gathers the next k events and delivers them in an order that the seed decides. [Feed.Flush] lets fewer go.
func (f *Feed) Reorder(k int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseGathered()
	f.faults.gather = k
}

// ClearFaults ends Silence, Drop, Duplicate, Delay and Reorder; gathered events are let go. The link stays as it is.
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
	r.retryAt, r.backoff = now.Add(f.firstBackoff), f.doubled(f.firstBackoff)
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
