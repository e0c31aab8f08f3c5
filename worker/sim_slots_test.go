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
