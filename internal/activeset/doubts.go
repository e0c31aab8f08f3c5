package activeset

import (
	"fmt"
	"slices"
	"time"
)

const (
	// holePatience is how long what is missing may be on its way: a relay sends several tenants side by side, so that
	// revisions arrive in another order, and the events of one change one after the other.
	holePatience = 250 * time.Millisecond
	// mostDoubts is how many tenants are waited for.
	mostDoubts = 1024
)

// doubt is a tenant that was activated and is not in the set: its association is not active, or will be announced next.
type doubt struct {
	key  string
	tick uint64 // of tenant.activated
	at   time.Time
}

// doubt waits for the event that says whether the tenant is active for this service. Where none is to be expected it is a
// gap at once.
func (c *Core) doubt(now time.Time, v *verdict) {
	tick := c.memory.asked(v.key)
	if tick == 0 || len(c.doubts) >= mostDoubts {
		c.openGap(now, "tenant.activated of a tenant that is not in the set")
		return
	}
	c.doubts = append(c.doubts, doubt{key: v.key, tick: tick, at: now})
}

// look opens a gap where something has been missing for too long, and plans the next look.
func (c *Core) look(now time.Time) {
	c.nextLook = time.Time{}
	if c.phase != phaseStarted {
		return
	}
	moment := now.Add(-holePatience)
	missing, oldest := c.memory.hole(moment)
	if missing > 0 {
		c.memory.tell()
		c.losses++
		c.openHole(now, fmt.Sprintf("revision %d is missing", missing))
		oldest = time.Time{}
	}
	c.lookAtDoubts(now, moment)
	if len(c.doubts) > 0 && (oldest.IsZero() || c.doubts[0].at.Before(oldest)) {
		oldest = c.doubts[0].at
	}
	if !oldest.IsZero() {
		c.nextLook = oldest.Add(holePatience)
	}
}

// lookAtDoubts opens a gap where a tenant has been in doubt since the moment.
func (c *Core) lookAtDoubts(now, moment time.Time) {
	for len(c.doubts) > 0 && !c.doubts[0].at.After(moment) {
		oldest := c.doubts[0]
		c.doubts = slices.Delete(c.doubts, 0, 1)
		if there := c.set.Has(oldest.key); !there && c.memory.asked(oldest.key) == oldest.tick {
			c.openGap(now, "tenant.activated of a tenant that is not in the set")
		}
	}
}
