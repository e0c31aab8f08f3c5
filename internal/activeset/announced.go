package activeset

import (
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// announceWithin is how long after a list a difference that it showed may still be announced.
	announceWithin = 10 * time.Second
	// orderWithin is how long what was published before may still arrive, once something newer has: a relay sends the
	// events of several tenants side by side.
	orderWithin = 250 * time.Millisecond
)

// differences are those between the list and the set that no event has announced yet, though none was known to be missed. An
// event may be on its way when a list shows what it says; one that never comes was published somewhere else. It is pure.
type differences struct {
	pending map[string]shown // by canonical id
	due     time.Time        // when the first of them is late
	version tenant.Version   // of the newest list that showed some
	passed  bool             // events have come to where that list was
}

type shown struct {
	kind tenant.Kind
	due  time.Time
}

// found notes what a list of the version showed.
func (u *differences) found(changes []tenant.Change, v tenant.Version, now time.Time) {
	if len(changes) == 0 {
		return
	}
	if u.pending == nil {
		u.pending, u.due = make(map[string]shown), now.Add(announceWithin)
	}
	for _, change := range changes {
		u.pending[tenant.CanonicalID(change.TenantID)] = shown{change.Kind, now.Add(announceWithin)}
	}
	u.version, u.passed = v, false
}

// announced notes an event, whichever way it came.
func (u *differences) announced(key string, what effect) {
	if d, there := u.pending[key]; there && announces(what, d.kind) {
		delete(u.pending, key)
	}
}

// reached notes that the feed has come to the version, by an event or a heartbeat: what was published before is to come at
// once, or does not come.
func (u *differences) reached(v tenant.Version, now time.Time) {
	if len(u.pending) == 0 || u.passed || v.Epoch == "" || v.Epoch != u.version.Epoch || v.Revision < u.version.Revision {
		return
	}
	u.passed = true
	late := now.Add(orderWithin)
	for key, d := range u.pending {
		if late.Before(d.due) {
			u.pending[key] = shown{d.kind, late}
		}
	}
	if late.Before(u.due) {
		u.due = late
	}
}

func announces(what effect, kind tenant.Kind) bool {
	return kind == tenant.Added && (what == effectAdd || what == effectRecheck) || kind == tenant.Removed && what == effectRemove
}

// late returns how many are late by now, and forgets them.
func (u *differences) late(now time.Time) (n int) {
	if u.pending == nil || now.Before(u.due) {
		return 0
	}
	u.due = time.Time{}
	for key, d := range u.pending {
		switch {
		case !now.Before(d.due):
			n++
			delete(u.pending, key)
		case u.due.IsZero() || d.due.Before(u.due):
			u.due = d.due
		}
	}
	if len(u.pending) == 0 {
		u.pending = nil
	}
	return n
}

// warnUnannounced counts what no event has announced, and says so.
func (c *Core) warnUnannounced(now time.Time) {
	n := c.differences.late(now)
	if n == 0 {
		return
	}
	c.status.Counters.Unannounced += uint64(n) //nolint:gosec // a count is never negative
	c.log(Warn, "the list had differences that no event has announced; is it the manager's Redis, and its environment, that is listened to?",
		"differences", n, "environment", c.environmentNow(), "feed", c.cfg.Place)
}
