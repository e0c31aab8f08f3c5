package discovery_test

import (
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// holePatience is how long a revision may be missing.
const holePatience = 250 * time.Millisecond

// simHoles is the model of what is missing: when each revision of each epoch was delivered first, and where the list that
// was taken last was read.
type simHoles struct {
	heard  map[string][]time.Time
	listed tenant.Version
	// promised is what the feed said last when it went on: nothing after it is missing, and so all before it has to be known.
	promised tenant.Version
}

func (h *simHoles) hear(v tenant.Version, now time.Time) {
	if v.Epoch == "" || v.Revision == 0 {
		return
	}
	if h.heard == nil {
		h.heard = make(map[string][]time.Time)
	}
	heard := h.heard[v.Epoch]
	for uint64(len(heard)) <= v.Revision {
		heard = append(heard, time.Time{})
	}
	if heard[v.Revision].IsZero() {
		heard[v.Revision] = now
	}
	h.heard[v.Epoch] = heard
}

// behind is an error when not all is known that came before the promise.
func (h *simHoles) behind() error {
	heard := h.heard[h.listed.Epoch]
	known := h.listed.Revision
	for known+1 < uint64(len(heard)) && !heard[known+1].IsZero() {
		known++
	}
	if p := h.promised; p.Epoch == h.listed.Epoch && p.Revision > known {
		return fmt.Errorf("live, and the feed has promised what comes after %v alone; the list is at %v, and all up to %d is known", p, h.listed, known)
	}
	return nil
}

// since is for how long the oldest hole has been there, false if there is none.
func (h *simHoles) since() (since time.Time, there bool) {
	heard := h.heard[h.listed.Epoch]
	at := h.listed.Revision + 1
	for at < uint64(len(heard)) && !heard[at].IsZero() {
		at++
	}
	for ; at < uint64(len(heard)); at++ {
		if was := heard[at]; !was.IsZero() && (!there || was.Before(since)) {
			since, there = was, true
		}
	}
	return since, there
}

// complete holds what is to hold of a set that is live: it is the truth at one revision, or it has not been for less than
// the patience.
func (h *simHoles) complete(t *truth, set tenantSet, now time.Time) error {
	since, there := h.since()
	switch missing := now.Sub(since); {
	case !there:
		return t.shows(set)
	case missing >= holePatience:
		return fmt.Errorf("live, and a revision has been missing for %v", missing)
	}
	return nil
}
