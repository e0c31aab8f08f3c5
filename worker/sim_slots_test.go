package worker_test

import (
	"errors"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// slot says whether a tenant keeps one until its next run begins.
type slot int

const (
	none slot = iota
	perhaps
	kept
)

// counted is how many slots are taken, at least and at most: by runs, and by tenants that were reconfigured.
func (m *model) counted(now time.Time) (least, most int) {
	for i := range m.tenants {
		t := &m.tenants[i]
		switch runs := t.run != nil && !t.run.overstays(now, m.grace); {
		case runs || t.slot == kept:
			least++
			most++
		case t.slot == perhaps:
			most++
		}
	}
	return least, most
}

// kept says whether a tenant keeps the slot of its run r that was cancelled: one that was reconfigured, and did not overstay.
// Of one that has come back since then it is not known when nobody could follow.
func (m *model) kept(now time.Time, t *simTenant, r *simRun) slot {
	switch {
	case !errors.Is(r.cause, worker.ErrReconfigured) || r.overstays(now, m.grace):
		return none
	case !r.back:
		return kept
	case t.loose:
		return perhaps
	default:
		return none
	}
}

// reserves sees that the turn of a tenant has come before all the news of its change has: it has its slot, and waits for that.
func (m *model) reserves(now time.Time, t *simTenant, st worker.TenantStatus) {
	if t.state != worker.Waiting || st.State != worker.Restarting {
		return
	}
	if !st.Since.Before(t.quiet) {
		m.wrongf("%s left the line %v after the news of its change had ended", t.id, st.Since.Sub(t.quiet))
	}
	was := *t
	t.state, t.since, t.lo, t.hi, t.slot = worker.Restarting, st.Since, t.quiet, t.quiet, kept
	t.toTheFront()
	if !st.Since.Equal(now) {
		return // nobody can say what was so then
	}
	m.reserved = append(m.reserved, was)
	if least, _ := m.counted(now); m.limit > 0 && least > m.limit {
		m.wrongf("%s has got a slot, and %d are taken of %d", t.id, least, m.limit)
	}
}

// passed looks whether nobody has got a slot before the first in line that came after it.
func (m *model) passed(first *simTenant) {
	for _, t := range m.reserved {
		if t.lined.After(first.lined) && !t.loose && !first.loose {
			m.wrongf("%s has got a slot before %s, and came after it", t.id, first.id)
		}
	}
}

// next is the first moment after now, and before end, in which somebody may get a slot without a call: a back-off ends, the ramp
// lets one start, or a run overstays.
func (m *model) next(now, end time.Time) time.Time {
	next := end
	sooner := func(at time.Time) {
		if at.After(now) && at.Before(next) {
			next = at
		}
	}
	sooner(m.ramp)
	for i := range m.tenants {
		t := &m.tenants[i]
		if t.state == worker.Restarting {
			sooner(t.hi)
		}
		if t.run != nil && !t.run.stopping.IsZero() {
			sooner(t.run.stopping.Add(m.grace))
		}
	}
	return next
}
