package discovery

import (
	"fmt"
	"log/slog"
	"time"
)

// guard says whether the removals of a snapshot are held: not when the snapshot before has had the same fate.
func (d *TenantDiscovery) guard() func(removals int) bool {
	guard, tenants, held := d.cfg.RemovalGuard, d.core.set.size, d.core.held
	return func(removals int) bool {
		return !held && removals >= guard.Min && float64(removals) > guard.Fraction*float64(tenants)
	}
}

// holdBack leaves the gap open and asks for a second look.
func (d *TenantDiscovery) holdBack(now time.Time, held int) {
	c := &d.core
	c.gaps++
	c.lastGap = fmt.Sprintf("a snapshot would remove %d of %d tenants, which is held until the next one", held, c.set.size)
	c.plan.guard = now.Add(d.cfg.RemovalGuard.Delay)
	c.status.Counters.RemovalsHeld += uint64(held) //nolint:gosec // a count is never negative
	c.note(slog.LevelWarn, "a snapshot would remove most of the set; nothing is removed until a second one says so",
		slog.Int("held", held), slog.String("again_in", d.cfg.RemovalGuard.Delay.String()))
}
