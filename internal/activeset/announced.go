package activeset

import (
	"slices"
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
	waves   []shownWave
	due     time.Time      // when the first of them is late
	version tenant.Version // of the newest list that showed some
	passed  bool           // events have come to where that list was
}

type shown struct {
	kind tenant.Kind
	due  time.Time
}

// shownWave are the differences of many tenants.
type shownWave struct {
	wave      *Wave
	due       time.Time
	announced map[int]struct{} // places
}

// any reports whether there are some.
func (u *differences) any() bool { return len(u.pending) > 0 || len(u.waves) > 0 }

// found notes what a list of the version showed.
func (u *differences) found(news []News, v tenant.Version, now time.Time) {
	if len(news) == 0 {
		return
	}
	due := now.Add(announceWithin)
	if !u.any() {
		u.pending, u.due = make(map[string]shown), due
	}
	for _, n := range news {
		if n.Wave != nil {
			u.waves = append(u.waves, shownWave{wave: n.Wave, due: due, announced: make(map[int]struct{})})
		} else {
			u.pending[n.Key] = shown{n.Change.Kind, due}
		}
	}
	u.version, u.passed = v, false
}

// announced notes an event, whichever way it came.
func (u *differences) announced(key string, what effect) {
	if d, there := u.pending[key]; there && announces(what, d.kind) {
		delete(u.pending, key)
	}
	for _, w := range u.waves {
		place := w.wave.Find(key)
		if place < 0 {
			continue
		}
		if change, _ := w.wave.At(place); announces(what, change.Kind) {
			w.announced[place] = struct{}{}
		}
	}
}

// reached notes that the feed has come to the version, by an event or a heartbeat: what was published before is to come at
// once, or does not come.
func (u *differences) reached(v tenant.Version, now time.Time) {
	if !u.any() || u.passed || v.Epoch == "" || v.Epoch != u.version.Epoch || v.Revision < u.version.Revision {
		return
	}
	u.passed = true
	late := now.Add(orderWithin)
	for key, d := range u.pending {
		if late.Before(d.due) {
			u.pending[key] = shown{d.kind, late}
		}
	}
	for i := range u.waves {
		if late.Before(u.waves[i].due) {
			u.waves[i].due = late
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
	if !u.any() || now.Before(u.due) {
		return 0
	}
	u.due = time.Time{}
	waits := func(due time.Time) bool {
		if !now.Before(due) {
			return false
		}
		if u.due.IsZero() || due.Before(u.due) {
			u.due = due
		}
		return true
	}
	for key, d := range u.pending {
		if !waits(d.due) {
			n++
			delete(u.pending, key)
		}
	}
	u.waves = slices.DeleteFunc(u.waves, func(w shownWave) bool {
		if waits(w.due) {
			return false
		}
		n += w.wave.changes() - len(w.announced)
		return true
	})
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
