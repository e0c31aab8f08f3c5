package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// settle lets everything happen that happens without time passing, and looks at it.
func (s *sim) settle() {
	synctest.Wait()
	now := time.Now()
	s.mu.Lock()
	log := s.log
	s.log, s.starts = nil, 0
	s.mu.Unlock()
	m := s.model
	m.take(now, log)
	status := s.group.Status()
	if m.storm >= 0 {
		m.adopt(&m.tenants[m.storm], status)
		m.storm = -1
	}
	m.compare(now, status)
	m.line(now, status, log)
	m.contexts()
	tenants, line, deadlines := s.group.Entries()
	m.counts(now, tenants, line, deadlines)
	s.checkReturn(now)
	if m.hasError != nil {
		s.failf("%w", m.hasError)
	}
}

// pass lets time pass, and looks whenever something happens, and when something has to that nobody is told of.
func (s *sim) pass(d time.Duration) {
	end := time.Now().Add(d)
	for now := time.Now(); now.Before(end) && s.failure() == nil; now = time.Now() {
		next := s.model.next(now, end)
		select {
		case <-time.After(next.Sub(now)):
		case <-s.nudge:
		}
		s.settle()
	}
}

// adopt takes from Status what cannot be known of t, whose changes came too fast: whether it ran in between.
func (m *model) adopt(t *simTenant, status worker.Status) {
	i := slices.IndexFunc(status.Tenants, func(st worker.TenantStatus) bool { return number(st.TenantID) == m.storm })
	if i < 0 {
		if t.active || t.run != nil {
			m.wrongf("%s is lost", t.id)
		}
		t.state = 0
		return
	}
	is := status.Tenants[i]
	t.restarts, t.vague, t.loose = is.Restarts, true, true
	t.last = outcome{what: obeys, err: is.LastError}
	r := t.run
	if r == nil {
		t.state, t.since, t.lined, t.turn, t.slot = is.State, is.Since, is.Since, 0, none
		if is.State == worker.Restarting || is.State == worker.Waiting {
			t.slot = perhaps
		}
		t.lo, t.hi = is.Since, is.Since.Add(max(m.max, 500*time.Millisecond)) // or the news is waited for
		return
	}
	r.due = false
	r.stopping, r.cause, r.back = is.Since, context.Cause(r.ctx), is.Active
	switch is.State {
	case worker.Running:
		r.stopping, r.cause, r.back = time.Time{}, nil, false
	case worker.Overstaying:
		r.stopping = is.Since.Add(-m.grace)
	default:
	}
}

// compare looks whether Status says what is.
func (m *model) compare(now time.Time, status worker.Status) {
	if !slices.IsSortedFunc(status.Tenants, func(a, b worker.TenantStatus) int { return strings.Compare(a.TenantID, b.TenantID) }) {
		m.wrongf("Status is not sorted: %v", status.Tenants)
	}
	m.reserved = nil
	var counts, seen worker.Status
	var is [simTenants]*worker.TenantStatus
	for i := range status.Tenants {
		st := &status.Tenants[i]
		*count(&counts, st.State)++
		if is[number(st.TenantID)] != nil {
			m.wrongf("Status has %s twice", st.TenantID)
		}
		is[number(st.TenantID)] = st
	}
	if seen = status; status.Limit != m.limit {
		m.wrongf("Status says that the limit is %d", status.Limit)
	}
	seen.Tenants = nil
	if !sameCounts(seen, counts) {
		m.wrongf("Status counts %+v, and has %+v", seen, counts)
	}
	for n := range m.tenants {
		t := &m.tenants[n]
		if (is[n] != nil) != (t.state != 0 || t.run != nil) {
			m.wrongf("%s: is it in Status: %v; it should be %v, it runs: %v", t.id, is[n] != nil, t.state, t.run != nil)
		}
		if is[n] != nil {
			m.compareTenant(now, t, *is[n])
		}
	}
}

func (m *model) compareTenant(now time.Time, t *simTenant, st worker.TenantStatus) {
	var want worker.State
	var since time.Time
	switch r := t.run; {
	case r == nil:
		m.backedOff(now, t, st)
		m.reserves(now, t, st)
		want, since = t.state, t.since
	case r.stopping.IsZero():
		want, since = worker.Running, r.began
	case r.overstays(now, m.grace):
		want, since = worker.Overstaying, r.stopping.Add(m.grace)
	default:
		want, since = worker.Stopping, r.stopping
	}
	if st.State != want || !st.Since.Equal(since) {
		m.wrongf("%s is %v since %v, it should be %v since %v", st.TenantID, st.State, st.Since.Sub(now), want, since.Sub(now))
	}
	restarting := st.State == worker.Restarting
	if restarting && (st.Next.Before(t.lo) || st.Next.After(t.hi)) || !restarting && !st.Next.IsZero() {
		m.wrongf("%s is %v, and its next run after %v, which is not in %v to %v", st.TenantID, st.State, st.Next.Sub(now), t.lo.Sub(now), t.hi.Sub(now))
	}
	if hooking := t.run != nil && t.run.hooking; hooking == st.Reconfiguring.IsZero() || hooking && !st.Reconfiguring.Equal(t.run.hooked) {
		m.wrongf("%s: its hook is called since %v, and it is so that it is called: %v", st.TenantID, st.Reconfiguring, hooking)
	}
	if t.either && st.Restarts == t.restarts+1 {
		t.restarts++
	}
	t.either = false
	if st.Active != t.active || st.Restarts != t.restarts || !t.last.is(st.LastError) || st.TenantID != t.id {
		m.wrongf("%+v should be %s, active %v, with %d restarts, the last of them after %v", st, t.id, t.active, t.restarts, t.last.err)
	}
}

// backedOff sees the end of a back-off.
func (m *model) backedOff(now time.Time, t *simTenant, st worker.TenantStatus) {
	if t.state != worker.Restarting {
		return
	}
	if st.State == worker.Restarting && !now.Before(t.hi) {
		m.wrongf("%s backs off for longer than %v", t.id, t.hi.Sub(t.since))
	}
	if st.State == worker.Waiting {
		if st.Since.Before(t.lo) || st.Since.After(t.hi) {
			m.wrongf("%s backed off for %v, which is not in %v to %v", t.id, st.Since.Sub(t.since), t.lo.Sub(t.since), t.hi.Sub(t.since))
		}
		t.line(st.Since, 0)
	}
}

// line looks whether nobody waits in vain, and nobody is overtaken.
func (m *model) line(now time.Time, status worker.Status, log []entry) {
	var waiting []worker.TenantStatus
	for _, st := range status.Tenants {
		if st.State == worker.Waiting {
			waiting = append(waiting, st)
		} else if st.Place != 0 {
			m.wrongf("%s is %v, and has place %d in line", st.TenantID, st.State, st.Place)
		}
	}
	slices.SortFunc(waiting, func(a, b worker.TenantStatus) int { return a.Place - b.Place })
	for i, st := range waiting {
		if st.Place != i+1 {
			m.wrongf("the place of %s in line is %d, and not %d", st.TenantID, st.Place, i+1)
		}
		if i > 0 && m.before(st, waiting[i-1]) {
			m.wrongf("%s is in line before %s, and came after it", waiting[i-1].TenantID, st.TenantID)
		}
	}
	if len(waiting) == 0 {
		return
	}
	_, taken := m.counted(now)
	if m.limit == 0 || taken < m.limit || m.tenants[number(waiting[0].TenantID)].slot == kept {
		if m.interval == 0 || !now.Before(m.ramp) {
			m.wrongf("%s waits, and %d slots are taken", waiting[0].TenantID, taken)
		}
	}
	m.passed(&m.tenants[number(waiting[0].TenantID)])
	for _, e := range log {
		first := &m.tenants[number(waiting[0].TenantID)]
		if e.kind != began || e.n == m.storm {
			continue
		}
		if t := &m.tenants[e.n]; t.run == e.run && t.lined.After(first.lined) && !t.freed && !first.loose {
			m.wrongf("%s was started before %s, and came after it", t.id, first.id)
		}
	}
}

// before reports whether a was in line before b, as far as that is known.
func (m *model) before(a, b worker.TenantStatus) bool {
	x, y := &m.tenants[number(a.TenantID)], &m.tenants[number(b.TenantID)]
	if x.loose || y.loose {
		return false
	}
	if x.lined.Equal(y.lined) {
		return x.turn > 0 && y.turn > 0 && x.turn < y.turn
	}
	return x.lined.Before(y.lined)
}

// contexts looks whether who was cancelled knows, and why; nobody else is; and every hook was called that has to be.
func (m *model) contexts() {
	for i := range m.tenants {
		r := m.tenants[i].run
		if r == nil {
			continue
		}
		if cause := context.Cause(r.ctx); !errors.Is(cause, r.cause) || (cause == nil) != (r.cause == nil) {
			m.wrongf("the ctx of %s has ended by %v, it should have by %v", r.id, cause, r.cause)
		}
		if r.due {
			m.wrongf("the hook of %s was not called", r.id)
		}
	}
}

// counts looks whether nothing is kept of one that is gone.
func (m *model) counts(now time.Time, tenants, line, deadlines int) {
	var want [3]int
	for i := range m.tenants {
		t := &m.tenants[i]
		cools := m.cools(now, t)
		if t.state == 0 && t.run == nil && !cools {
			continue
		}
		want[0]++
		switch {
		case cools:
			want[2]++
		case t.run == nil && t.state == worker.Waiting:
			want[1]++
		case t.run == nil && t.state == worker.Restarting:
			want[2]++
		case t.run != nil && !t.run.stopping.IsZero() && !t.run.overstays(now, m.grace):
			want[2]++
		}
	}
	if got := [3]int{tenants, line, deadlines}; got != want {
		m.wrongf("there are %v tenants, places in line and deadlines, it should be %v", got, want)
	}
}

// checkReturn looks whether Run has returned when it has to, and not before, and what.
func (s *sim) checkReturn(now time.Time) {
	m := s.model
	if m.returned {
		return
	}
	var running []string
	for i := range m.tenants {
		if t := &m.tenants[i]; t.run != nil {
			running = append(running, t.id)
		}
	}
	slices.Sort(running)
	reading := s.world.Has("heedless") && !m.dry
	due := !m.stopped.IsZero() && !now.Before(m.stopped.Add(m.grace))
	select {
	case err := <-s.ended:
		m.returned = true
		still, is := errors.AsType[*worker.StillRunningError](err)
		switch {
		case m.stopped.IsZero() || !due && (len(running) > 0 || reading):
			m.wrongf("Run has returned %v, and %q run", err, running)
		case len(running) == 0 && !reading:
			if err != nil {
				m.wrongf("Run has returned %v, and nothing runs", err)
			}
		case !is || !slices.Equal(still.TenantIDs, running) || still.Changes != reading:
			m.wrongf("Run has returned %v, and %q run, the changes go on: %v", err, running, reading)
		}
	default:
		if due || !m.stopped.IsZero() && len(running) == 0 && !reading {
			m.wrongf("Run has not returned %v after the end, and %q run", now.Sub(m.stopped), running)
		}
	}
}

func count(s *worker.Status, state worker.State) *int {
	switch state {
	case worker.Waiting:
		return &s.Waiting
	case worker.Running:
		return &s.Running
	case worker.Stopping:
		return &s.Stopping
	case worker.Overstaying:
		return &s.Overstaying
	case worker.Restarting:
		return &s.Restarting
	case worker.Done:
		return &s.Done
	default:
		return &s.GivenUp
	}
}

func sameCounts(a, b worker.Status) bool {
	return a.Waiting == b.Waiting && a.Running == b.Running && a.Stopping == b.Stopping && a.Overstaying == b.Overstaying &&
		a.Restarting == b.Restarting && a.Done == b.Done && a.GivenUp == b.GivenUp
}
