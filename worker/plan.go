package worker

import (
	"container/heap"
	"errors"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/backoff"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// rampSlack is how far starts may catch up with the ramp after the timer was late.
const rampSlack = 10 * time.Millisecond

// cooling is a tenant that is gone, and whose last run began less than half of minBackoff ago. Nobody is told of it.
const cooling = GivenUp + 1

// The news of one change comes one after the other, a few milliseconds apart: the next run begins once none has come for
// newsQuiet, and mostNews after the first at the latest.
const (
	newsQuiet = 100 * time.Millisecond
	mostNews  = 500 * time.Millisecond
)

// rules are what a plan goes by.
type rules struct {
	limit                  int           // 0: none
	grace                  time.Duration // until a cancelled run overstays
	minBackoff, maxBackoff time.Duration
	rampInterval           time.Duration  // between two starts; 0: none
	hook                   bool           // reconfigured tenants are told, not restarted
	dice                   func() float64 // from 0 up to 1
}

// plan decides what is run. Its methods are told what has happened, and append to orders what is to be done about it. There is
// no lock, no clock, no goroutine and no I/O in it.
type plan struct {
	rules

	tasks    map[string]*task // by canonical id
	line     line             // those that wait
	due      deadlines[*task] // of those that stop, back off and cool
	counted  int              // tasks that hold a slot of the limit
	byState  [cooling + 1]int
	restarts int64
	ramp     time.Time // no start before it
	stopping bool
	orders   []order
}

// task is one tenant that is active, or whose last run has not ended.
type task struct {
	id, canonical string // id as it was spelled last
	state         State
	since         time.Time
	active        bool
	holds         bool      // a slot: it has a run that does not overstay, or waits for the end of a reconfiguration
	place         place     // in line, zero elsewhere
	first         bool      // before those that just wait: its run was to be started again
	due           time.Time // of stopping and backing off
	index         int       // in the deadlines, -1 elsewhere

	news     time.Time // when the first of those came that the next run waits for the end of
	quiet    time.Time // when that run may begin
	began    time.Time // the last run
	retry    bool      // the next run follows one that failed
	failures int       // in a row
	restarts int
	lastErr  error

	cancelled bool // this run was
	hooking   bool // the hook is being called for this run
	hookSince time.Time
	again     bool // and has to be once more
	reason    tenant.EventType
	returned  bool // Work has, and the hook has not
	result    ending
}

func (t *task) earlier(than *task) bool { return t.due.Before(than.due) }

func (t *task) at(index int) { t.index = index }

func newPlan(r rules) *plan { return &plan{rules: r, tasks: map[string]*task{}} }

// take returns the orders that were not taken yet.
func (p *plan) take() []order {
	taken := p.orders
	p.orders = nil
	return taken
}

// change is told of a change of the set. One that changes nothing is ignored.
func (p *plan) change(now time.Time, c tenant.Change) {
	if p.stopping {
		return
	}
	t := p.tasks[tenant.CanonicalID(c.TenantID)]
	switch {
	case c.Kind == tenant.Added && (t == nil || !t.active):
		p.add(now, t, c.TenantID)
	case c.Kind == tenant.Removed && t != nil && t.active:
		p.remove(now, t)
	case c.Kind == tenant.Reconfigured && t != nil && t.active:
		p.reconfigure(now, t, c.EventType)
	}
	p.fill(now)
}

// add lets a tenant that comes again wait for the end of its old run.
func (p *plan) add(now time.Time, old *task, id string) {
	if old != nil {
		old.id, old.active, old.first = id, true, false
		old.failures, old.restarts, old.lastErr, old.retry, old.quiet = 0, 0, nil, false, time.Time{}
		if old.state == cooling {
			p.startAgain(now, old)
		} else {
			old.cancelled = true // whatever its run returns, another follows
		}
		return
	}
	t := &task{id: id, canonical: tenant.CanonicalID(id), active: true, index: -1}
	p.tasks[t.canonical] = t
	p.enqueue(now, t)
}

func (p *plan) remove(now time.Time, t *task) {
	t.active = false
	switch t.state {
	case Running:
		p.cancel(now, t, ErrRemoved)
	case Stopping, Overstaying: // its end is waited for
	default:
		p.part(now, t)
	}
}

func (p *plan) reconfigure(now time.Time, t *task, reason tenant.EventType) {
	if !p.hook { // which is told of each, and restarts nothing
		t.hear(now)
	}
	switch t.state {
	case Running:
		p.tell(now, t, reason)
	case Restarting, GivenUp:
		t.failures = 0
		p.startAgain(now, t)
	default: // a run that is to begin, or to follow, sees what is new; what is done is done
	}
}

// hear puts off the next run until no more news of the same change can be on its way.
func (t *task) hear(now time.Time) {
	if t.news.IsZero() || !now.Before(t.quiet) {
		t.news = now
	}
	t.quiet = earlierOf(now.Add(newsQuiet), t.news.Add(mostNews))
}

// tell calls the hook, one at a time for a tenant, or restarts the run where there is none.
func (p *plan) tell(now time.Time, t *task, reason tenant.EventType) {
	switch {
	case !p.hook:
		p.cancel(now, t, ErrReconfigured)
	case t.hooking:
		t.again, t.reason = true, reason
	default:
		t.hooking, t.hookSince = true, now
		p.order(order{what: callHook, id: t.id, run: t.canonical, reason: reason})
	}
}

// happened is told of the end of a run, or of a call of its hook.
func (p *plan) happened(now time.Time, h happening) {
	if h.hook {
		p.hooked(now, h.key, h.ending)
	} else {
		p.returned(now, h.key, h.ending)
	}
}

// hooked is told that the hook has returned.
func (p *plan) hooked(now time.Time, key string, e ending) {
	t := p.tasks[key]
	if t == nil {
		return
	}
	again := t.again
	t.hooking, t.again = false, false
	if e.err != nil {
		p.hookFailed(now, t, e)
	}
	switch {
	case t.returned:
		p.conclude(now, t, t.result)
		if t.active && !p.stopping { // the run has failed or given up without what its hook was told
			p.reconfigure(now, t, "")
		}
	case t.state == Running && again:
		p.tell(now, t, t.reason)
	}
	p.fill(now)
}

// hookFailed restarts the run, unless that is ending.
func (p *plan) hookFailed(now time.Time, t *task, e ending) {
	switch {
	case t.state == Running:
		p.order(order{what: noteHookFailed, id: t.id, cause: e.err, stack: e.stack})
		p.cancel(now, t, ErrReconfigured)
	case !e.cancelled:
		p.order(order{what: noteLateError, id: t.id, cause: e.err, stack: e.stack})
	}
}

// returned is told that Work has returned. While the hook has not, the run goes on.
func (p *plan) returned(now time.Time, key string, e ending) {
	t := p.tasks[key]
	if t == nil {
		return
	}
	if !t.hooking {
		p.conclude(now, t, e)
		p.fill(now)
		return
	}
	t.returned, t.result = true, e
	if t.state == Running {
		p.cancel(now, t, nil)
		t.cancelled = false // the end was its own
	}
}

// conclude decides what follows the end of a run.
func (p *plan) conclude(now time.Time, t *task, e ending) {
	if !t.first || !t.active { // who was reconfigured keeps its slot: whoever had it meanwhile might never end
		p.release(t)
	}
	p.order(order{what: forgetRun, run: t.canonical})
	cancelled := t.cancelled
	t.cancelled, t.returned, t.result = false, false, ending{}
	if cancelled && e.err != nil && !e.cancelled {
		p.order(order{what: noteLateError, id: t.id, cause: e.err, stack: e.stack})
	}
	switch {
	case !t.active || p.stopping:
		p.part(now, t)
	case cancelled:
		t.failures, t.retry = 0, false
		p.startAgain(now, t)
	case e.err == nil:
		p.move(now, t, Done)
	case e.gaveUp:
		t.lastErr = e.err
		p.order(order{what: noteGivenUp, id: t.id, cause: e.err})
		p.move(now, t, GivenUp)
	default:
		p.backOff(now, t, e)
	}
}

func (p *plan) backOff(now time.Time, t *task, e ending) {
	if now.Sub(t.began) >= p.maxBackoff {
		t.failures = 0
	}
	t.failures++
	t.lastErr, t.retry = e.err, true
	bound := backoff.Range{First: p.minBackoff, Most: p.maxBackoff}.After(t.failures)
	wait := bound/2 + time.Duration(p.dice()*float64(bound-bound/2))
	p.order(order{what: noteFailed, id: t.id, cause: e.err, stack: e.stack, wait: wait, count: t.failures})
	p.move(now, t, Restarting)
	p.schedule(t, now.Add(wait))
}

// tick is told that time has passed.
func (p *plan) tick(now time.Time) {
	for len(p.due) > 0 && !now.Before(p.due[0].due) {
		switch t := p.due[0]; t.state {
		case Restarting:
			p.enqueue(now, t)
		case cooling:
			p.drop(t)
		default:
			p.release(t)
			p.move(now, t, Overstaying)
			p.order(order{what: noteOverstaying, id: t.id, wait: p.grace})
		}
	}
	p.fill(now)
}

// next is when tick has something to do, unless something happens before. It is zero when there is nothing.
func (p *plan) next() time.Time {
	var at time.Time
	if len(p.due) > 0 {
		at = p.due[0].due
	}
	if t := p.line.front(); t != nil && p.hasRoom(t) && (at.IsZero() || p.ramp.Before(at)) {
		at = p.ramp // or it would have been started
	}
	return at
}

// stop cancels everything, and starts nothing more.
func (p *plan) stop(now time.Time) {
	p.stopping = true
	for _, t := range p.tasks {
		switch t.state {
		case Running:
			p.cancel(now, t, ErrStopping)
		case Stopping, Overstaying:
		default:
			p.drop(t)
		}
	}
}

func (p *plan) cancel(now time.Time, t *task, cause error) {
	t.cancelled, t.first = true, errors.Is(cause, ErrReconfigured)
	p.move(now, t, Stopping)
	p.schedule(t, now.Add(p.grace))
	p.order(order{what: cancelRun, id: t.id, run: t.canonical, cause: cause})
}

// move takes t out of wherever its old state had put it.
func (p *plan) move(now time.Time, t *task, to State) {
	p.leave(t)
	t.state, t.since = to, now
	p.byState[to]++
}

func (p *plan) leave(t *task) {
	if t.state != 0 {
		p.byState[t.state]--
	}
	p.line.leave(t)
	if t.index >= 0 {
		heap.Remove(&p.due, t.index)
	}
}

func (p *plan) drop(t *task) {
	p.leave(t)
	delete(p.tasks, t.canonical)
}

func (p *plan) schedule(t *task, at time.Time) {
	t.due = at
	heap.Push(&p.due, t)
}

func (p *plan) order(o order) { p.orders = append(p.orders, o) }

func earlierOf(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
