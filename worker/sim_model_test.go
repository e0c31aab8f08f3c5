package worker_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/worker"
)

// model is what a Group promises, told again: it follows what has happened, and says what is wrong about it. Only when a
// back-off ends is not known beforehand; it is taken from what is seen, and has to be within bounds.
type model struct {
	limit, delivered int
	grace, min, max  time.Duration
	interval         time.Duration // of the ramp, 0: none
	hook             bool

	tenants  [simTenants]simTenant
	reserved []simTenant // whose turn came in this moment, before all the news of its change has
	ramp     time.Time   // no start before it
	storm    int         // the tenant whose changes come too fast to follow, -1: none
	dry      bool        // the changes have ended
	stopped  time.Time   // the Group has to end since
	returned bool        // Run has
	hasError error
}

// rampSlack is how far starts may catch up.
const rampSlack = 10 * time.Millisecond

// simTenant is what is known of one.
type simTenant struct {
	active bool
	id     string
	left   time.Time // when it went last
	run    *simRun
	state  worker.State // when nothing runs; 0 when it is not there
	since  time.Time
	lo, hi time.Time // when its back-off ends
	turn   int       // by which change it came into the line, 0: not by one
	lined  time.Time // when it came into the line at the earliest; zero is before everybody
	first  bool      // it goes to the front
	slot   slot      // what it has without a run
	loose  bool      // its place in line is not known
	freed  bool      // nor was that of the run that it has

	begun time.Time // its last run
	news  time.Time // when the first of those came that the next run waits for the end of
	quiet time.Time // when that is

	failures, restarts int
	retry              bool // the next run is a restart
	last               outcome
	vague              bool // how many failures there were is not known, and neither is retry
	either             bool // restarts may be one more
}

// modelRun is what is known of a run.
type modelRun struct {
	began    time.Time
	stopping time.Time // since then
	cause    error     // of its ctx
	own      bool      // it ended by itself, and its hook goes on
	back     bool      // the tenant came back meanwhile
	over     bool
	result   outcome
	hooking  bool
	hooked   time.Time // since then
	due      bool      // the hook has to be called
	again    bool      // and again
	reason   tenant.EventType
}

func newModel(cfg worker.Config) *model {
	m := &model{
		limit: cfg.Limit, grace: cmp.Or(cfg.StopGrace, 10*time.Second), min: cmp.Or(cfg.MinBackoff, time.Second),
		max: cmp.Or(cfg.MaxBackoff, time.Minute), hook: cfg.Reconfigured != nil, storm: -1,
	}
	m.max = max(m.min, m.max)
	if cfg.RampPerSecond > 0 {
		m.interval = time.Duration(float64(time.Second) / cfg.RampPerSecond)
	}
	return m
}

func (m *model) wrongf(format string, args ...any) {
	if m.hasError == nil {
		m.hasError = fmt.Errorf(format, args...)
	}
}

// take follows what has happened in this moment, in order.
func (m *model) take(now time.Time, log []entry) {
	for _, e := range log {
		t := &m.tenants[e.n]
		switch e.kind {
		case told:
			m.change(now, t, e.change)
		case began:
			m.began(now, t, e.run)
		case over:
			m.over(now, t, e.run, e.outcome)
		case hookBegan:
			m.hookBegan(now, t, e)
		case hookOver:
			m.hookOver(now, t, e.run, e.outcome)
		case stopped:
			m.stop(now)
		}
	}
}

func (m *model) change(now time.Time, t *simTenant, c tenant.Change) {
	m.delivered++
	switch {
	case !m.stopped.IsZero():
	case c.Kind == tenant.Added && !t.active:
		t.active, t.id, t.failures, t.restarts, t.last, t.vague = true, c.TenantID, 0, 0, outcome{}, false
		t.first, t.quiet, t.slot = false, time.Time{}, none
		if t.run != nil {
			t.run.back = true
			return
		}
		t.retry = false
		m.again(now, t, m.delivered)
	case c.Kind == tenant.Removed && t.active:
		t.active, t.left, t.slot = false, now, none
		if t.run != nil {
			t.run.cancel(now, worker.ErrRemoved)
		} else {
			t.state = 0
		}
	case c.Kind == tenant.Reconfigured && t.active:
		m.reconfigured(now, t, c.EventType)
	}
}

func (m *model) reconfigured(now time.Time, t *simTenant, reason tenant.EventType) {
	r := t.run
	if !m.hook {
		t.hear(now)
	}
	switch {
	case r == nil && (t.state == worker.Restarting || t.state == worker.GivenUp):
		t.failures = 0
		m.again(now, t, m.delivered)
	case r == nil || !r.stopping.IsZero():
	case !m.hook:
		r.cancel(now, worker.ErrReconfigured)
	case r.hooking || r.due:
		r.again, r.reason = true, reason
	default:
		r.due, r.reason = true, reason
	}
}

func (m *model) began(now time.Time, t *simTenant, r *simRun) {
	r.began = now
	if t.run != nil {
		m.wrongf("%s has two runs", r.id)
	}
	if m.returned || !m.stopped.IsZero() && m.stopped.Before(now) {
		m.wrongf("%s was started after the end", r.id)
	}
	storm := m.storm == r.n
	switch {
	case storm:
	case !t.active && !t.left.Equal(now):
		m.wrongf("%s was started, and is not active", r.id)
	case t.active && t.state == worker.Restarting && (now.Before(t.lo) || now.After(t.hi)):
		m.wrongf("%s was started %v after its failure, which is not in %v to %v", r.id, now.Sub(t.since), t.lo.Sub(t.since), t.hi.Sub(t.since))
	case t.active && t.state != worker.Waiting && t.state != worker.Restarting:
		m.wrongf("%s was started, and was %v", r.id, t.state)
	case t.active && r.id != t.id:
		m.wrongf("%s was started as %s", t.id, r.id)
	}
	t.slot = none // it is a run that has it from now on
	if n, _ := m.counted(now); m.limit > 0 && n >= m.limit {
		m.wrongf("%s was started while %d slots were taken, and the limit is %d", r.id, n, m.limit)
	}
	if m.interval > 0 {
		if now.Before(m.ramp) {
			m.wrongf("%s was started %v before the ramp lets it", r.id, m.ramp.Sub(now))
		}
		m.ramp = later(m.ramp, now.Add(-rampSlack)).Add(m.interval)
	}
	if !storm && now.Before(t.quiet) {
		m.wrongf("%s was started %v before no more news of its change can come", r.id, t.quiet.Sub(now))
	}
	if !t.begun.IsZero() && now.Before(t.begun.Add(m.min/2)) {
		m.wrongf("%s was started again after %v", r.id, now.Sub(t.begun))
	}
	t.either = t.vague
	if t.retry && !t.vague {
		t.restarts++
	}
	t.run, t.state, t.begun, t.retry = r, 0, now, false
	t.first, t.loose, t.freed = false, false, t.loose || m.storm == r.n
	if !t.active {
		r.cancel(now, worker.ErrRemoved)
	}
	if !m.stopped.IsZero() {
		r.cancel(now, worker.ErrStopping)
	}
}

func (m *model) over(now time.Time, t *simTenant, r *simRun, out outcome) {
	r.over, r.result, r.due = true, out, false
	if !r.hooking {
		m.conclude(now, t, r)
	} else if r.stopping.IsZero() {
		r.cancel(now, context.Canceled)
		r.own = true
	}
}

func (m *model) hookBegan(now time.Time, t *simTenant, e entry) {
	r := e.run
	switch {
	case m.storm == e.n:
	case t.run != r:
		m.wrongf("the hook of %d is called, and nothing runs", e.n)
	case !r.due:
		m.wrongf("the hook of %s is called for no reason", r.id)
	case r.reason != e.reason:
		m.wrongf("the hook of %s is told of %q and not of %q", r.id, e.reason, r.reason)
	}
	if r.hooking {
		m.wrongf("the hook of %s is called twice at a time", r.id)
	}
	if e.ctx != r.ctx {
		m.wrongf("the hook of %s has another ctx than the run", r.id)
	}
	r.hooking, r.hooked, r.due = true, now, false
}

func (m *model) hookOver(now time.Time, t *simTenant, r *simRun, out outcome) {
	again := r.again
	r.hooking, r.again = false, false
	switch {
	case r.over:
		m.conclude(now, t, r)
		if t.state == worker.Restarting || t.state == worker.GivenUp {
			t.failures = 0
			m.again(now, t, 0)
		}
	case !r.stopping.IsZero():
	case out.what != quits && !(out.what == obeys && out.err == nil):
		r.cancel(now, worker.ErrReconfigured)
	case again:
		r.due = true
	}
}

// conclude says what follows a run.
func (m *model) conclude(now time.Time, t *simTenant, r *simRun) {
	t.run = nil
	if cause := context.Cause(r.ctx); r.cause != nil && m.storm != r.n && !errors.Is(cause, r.cause) {
		m.wrongf("the ctx of %s had ended by %v, it should have by %v", r.id, cause, r.cause)
	}
	switch out := r.result; {
	case !t.active || !m.stopped.IsZero():
		t.state = 0
	case !r.stopping.IsZero() && !r.own || r.back:
		t.failures, t.vague, t.retry = 0, false, false
		t.first, t.slot = errors.Is(r.cause, worker.ErrReconfigured) && !r.back, m.kept(now, t, r)
		m.again(now, t, 0)
	case out.err == nil && out.what != exits:
		t.state, t.since = worker.Done, now
	case out.what == givesUp:
		t.state, t.since, t.last = worker.GivenUp, now, out
	default:
		m.failed(now, t, r)
	}
}

func (m *model) failed(now time.Time, t *simTenant, r *simRun) {
	if now.Sub(r.began) >= m.max {
		t.failures, t.vague = 0, false
	}
	t.failures++
	bound := m.min
	for i := 1; i < t.failures; i++ {
		bound = min(2*bound, m.max)
	}
	t.state, t.since, t.retry, t.last = worker.Restarting, now, true, r.result
	t.lo, t.hi, t.lined, t.turn = now.Add(bound/2), now.Add(bound), now.Add(bound/2), 0
	if t.vague {
		t.lo, t.hi, t.lined = now.Add(m.min/2), now.Add(m.max), now.Add(m.min/2)
	}
}

// hear is for news that the next run has to wait for the end of: 100 ms after the last, half a second after the first.
func (t *simTenant) hear(now time.Time) {
	if !now.Before(t.quiet) {
		t.news = now
	}
	t.quiet = now.Add(100 * time.Millisecond)
	if most := t.news.Add(500 * time.Millisecond); most.Before(t.quiet) {
		t.quiet = most
	}
}

// again puts a tenant into the line, or lets it wait until half of min has passed since its last run began, and until no more
// news of the same change comes.
func (m *model) again(now time.Time, t *simTenant, turn int) {
	soonest := t.quiet
	if !t.begun.IsZero() {
		soonest = later(soonest, t.begun.Add(m.min/2))
	}
	if now.Before(soonest) {
		t.state, t.since, t.lo, t.hi, t.lined, t.turn = worker.Restarting, now, soonest, soonest, soonest, 0
	} else {
		t.line(now, turn)
	}
	t.toTheFront()
}

// cools reports whether a tenant that is gone is kept in memory, because it would have to wait if it came.
func (m *model) cools(now time.Time, t *simTenant) bool {
	return !t.active && t.run == nil && m.stopped.IsZero() && !t.begun.IsZero() && now.Before(t.begun.Add(m.min/2))
}

// stop is the end.
func (m *model) stop(now time.Time) {
	if !m.stopped.IsZero() {
		return
	}
	m.stopped = now
	for i := range m.tenants {
		if t := &m.tenants[i]; t.run != nil {
			t.run.cancel(now, worker.ErrStopping)
		} else {
			t.state = 0
		}
	}
}

func (t *simTenant) line(now time.Time, turn int) {
	t.state, t.since, t.lined, t.turn = worker.Waiting, now, now, turn
	t.toTheFront()
}

// toTheFront is for a tenant that was reconfigured: no other came before it. One that has kept its slot is before one that has
// overstayed.
func (t *simTenant) toTheFront() {
	if t.first || t.slot == kept {
		t.lined, t.turn = time.Time{}, 0
	}
	if t.first && t.slot == none {
		t.lined = time.Time{}.Add(1)
	}
}

func (r *modelRun) cancel(now time.Time, cause error) {
	r.due, r.again = false, false
	if r.stopping.IsZero() {
		r.stopping, r.cause = now, cause
	}
}

func (r *modelRun) overstays(now time.Time, grace time.Duration) bool {
	return !r.stopping.IsZero() && !now.Before(r.stopping.Add(grace))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
