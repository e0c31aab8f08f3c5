package activeset

import (
	"github.com/tenantwatch/tenantwatch/tenant"
)

// News is a change of the set on its way to those who watch it, or those of a whole list.
type News struct {
	Key     string // canonical id
	Initial bool   // it is what the set began with
	Change  tenant.Change
	Wave    *Wave // with it there is no Key and no Change
}

// Wave is what one list has changed for many tenants, in no particular order of them: first those that it removed, then those that it
// added. It is immutable, so that the history and every watcher share one, and telling it takes as long for a million
// tenants as for one.
type Wave struct {
	removed, added *base
	// These have other news, which is told beside the wave.
	notRemoved, notAdded *places
	by                   *origin // nil where that of each tenant counts
}

// Len is how many places the wave has.
func (w *Wave) Len() int { return w.removed.len() + w.added.len() }

// changes is how many of them have a change.
func (w *Wave) changes() int { return w.Len() - w.notRemoved.len() - w.notAdded.len() }

// At returns the change at a place, and false where there is none. Its Cause is empty for a tenant that is there by an event of its own: then
// the history knows.
func (w *Wave) At(place int) (change tenant.Change, ok bool) {
	if removed := w.removed.len(); place >= removed {
		return w.addedAt(place - removed)
	}
	if w.notRemoved.has(place) {
		return change, false
	}
	return w.by.change(tenant.Removed, w.removed.ids[place]), true
}

func (w *Wave) addedAt(place int) (change tenant.Change, ok bool) {
	if w.notAdded.has(place) {
		return change, false
	}
	by := w.by
	if by == nil {
		by = w.added.origin(place)
	}
	return by.change(tenant.Added, w.added.ids[place]), true
}

// Find returns the place of the tenant's change, or -1 where there is none.
func (w *Wave) Find(id string) int {
	q := identOf(id)
	if place := w.removed.find(&q); place >= 0 && !w.notRemoved.has(place) {
		return place
	}
	if place := w.added.find(&q); place >= 0 && !w.notAdded.has(place) {
		return w.removed.len() + place
	}
	return -1
}

// last yields at most n of its changes, the last ones.
func (w *Wave) last(n int, yield func(tenant.Change)) {
	for place := max(0, w.Len()-n); place < w.Len(); place++ {
		if change, ok := w.At(place); ok {
			yield(change)
		}
	}
}
