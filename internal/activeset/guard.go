package activeset

import (
	"fmt"
	"time"
)

// Guard says which snapshots are held back: those that would remove more than Fraction of the set and at least Min tenants.
// The second look is Delay later at the latest.
type Guard struct {
	Fraction float64
	Min      int
	Delay    time.Duration
}

// holds reports whether so many removals of a snapshot are held: not when the snapshot before has had the same fate.
func (c *Core) holds(removals int) bool {
	guard := c.cfg.Guard
	return !c.held && removals >= guard.Min && float64(removals) > guard.Fraction*float64(c.set.size)
}

// holdBack leaves the gap open and asks for a second look.
func (c *Core) holdBack(now time.Time, held int) {
	c.gaps++
	c.lastGap = fmt.Sprintf("a snapshot would remove %d of %d tenants, which is held until the next one", held, c.set.size)
	c.plan.guard = now.Add(c.cfg.Guard.Delay)
	c.status.Counters.RemovalsHeld += uint64(held) //nolint:gosec // a count is never negative
	c.log(Warn, "a snapshot would remove most of the set; nothing is removed until a second one says so",
		"held", held, "again_in", c.cfg.Guard.Delay.String())
}
