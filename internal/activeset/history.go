package activeset

import (
	"container/list"
	"slices"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	recentLength  = 50   // changes that are remembered of all tenants together
	historyLength = 8    // changes that are remembered of one tenant
	historyAbsent = 1024 // tenants that are remembered after they left, or as many as are in the set if that is more
)

// history remembers the last changes of each tenant, so that one can ask why it is there or not. A tenant that has only
// come with a list costs nothing: the set knows its origin.
type history struct {
	changes map[string][]tenant.Change // by canonical id, oldest first
	left    list.List                  // canonical ids of those that left, oldest first
	places  map[string]*list.Element   // of each in it
	last    *Wave                      // that removed tenants
	recent  []tenant.Change            // of all tenants: a ring, once it is full
	oldest  int                        // in it
}

// record notes a change of a tenant that came by the origin. tenants is the size of the set, which bounds what is remembered of those
// that left.
func (h *history) record(key string, change tenant.Change, by *origin, tenants int) {
	h.note(change)
	if h.changes == nil {
		h.changes = make(map[string][]tenant.Change)
	}
	in := change.TenantID
	if change.Kind == tenant.Added {
		in = "" // it was not in the set, and a list may have removed it
	}
	before := h.of(key, in, by)
	if before == nil {
		before = make([]tenant.Change, 0, 2) // most that come go some time
	}
	h.changes[key] = append(trim(before), change)
	h.place(key, change.Kind == tenant.Removed, tenants)
}

// note keeps the change among the last of all.
func (h *history) note(change tenant.Change) {
	if len(h.recent) < recentLength {
		h.recent = append(h.recent, change)
		return
	}
	h.recent[h.oldest] = change
	h.oldest = (h.oldest + 1) % recentLength
}

// newest are the last changes of all tenants, newest first.
func (h *history) newest() []tenant.Change {
	changes := append(slices.Clone(h.recent[h.oldest:]), h.recent[:h.oldest]...)
	slices.Reverse(changes)
	return changes
}

// wave notes what a list has done to many. Of those of whom nothing else is known it keeps who left last.
func (h *history) wave(w *Wave, tenants int) {
	w.last(recentLength, h.note)
	if w.removed.len() > 0 {
		h.last = &Wave{removed: w.removed, notRemoved: w.notRemoved, by: w.by}
	}
	if w.by.first() {
		return
	}
	if w.Len() < len(h.changes) {
		for place := range w.Len() {
			if change, ok := w.At(place); ok {
				h.follow(tenant.CanonicalID(change.TenantID), change, tenants)
			}
		}
		return
	}
	for key := range h.changes {
		if place := w.Find(key); place >= 0 {
			change, _ := w.At(place)
			h.follow(key, change, tenants)
		}
	}
}

// follow adds a change to what is known of a tenant, where something is.
func (h *history) follow(key string, change tenant.Change, tenants int) {
	before, known := h.changes[key]
	if !known {
		return
	}
	h.changes[key] = append(trim(before), change)
	h.place(key, change.Kind == tenant.Removed, tenants)
}

// place keeps the order in which tenants left, and forgets the oldest of them.
func (h *history) place(key string, left bool, tenants int) {
	if el, known := h.places[key]; known {
		h.left.Remove(el)
		delete(h.places, key)
	}
	if !left {
		return
	}
	if h.places == nil {
		h.places = make(map[string]*list.Element)
	}
	h.places[key] = h.left.PushBack(key)
	for h.left.Len() > max(historyAbsent, tenants) {
		oldest, _ := h.left.Remove(h.left.Front()).(string)
		delete(h.places, oldest)
		delete(h.changes, oldest)
	}
}

// of returns what is known of a tenant, oldest first: id and by are those of the set, and empty where it is not there.
func (h *history) of(key, id string, by *origin) []tenant.Change {
	known := h.changes[key]
	if by != nil {
		if len(known) == 0 || known[len(known)-1].At.Before(by.at) {
			known = append(slices.Clip(known), by.change(tenant.Added, id))
		}
		return known
	}
	if id == "" && len(known) == 0 && h.last != nil {
		if place := h.last.Find(key); place >= 0 {
			change, _ := h.last.At(place)
			return []tenant.Change{change}
		}
	}
	return known
}

// added completes how the tenant came to be there, of which the set does not know the origin.
func (h *history) added(key string, change tenant.Change) tenant.Change {
	for _, known := range slices.Backward(h.changes[key]) {
		if known.Kind == tenant.Added {
			return known
		}
	}
	return change
}

// trim makes room for one more, and keeps the last Added, which says since when the tenant is there.
func trim(changes []tenant.Change) []tenant.Change {
	if len(changes) < historyLength {
		return changes
	}
	oldest := 0
	if !slices.ContainsFunc(changes[1:], func(c tenant.Change) bool { return c.Kind == tenant.Added }) {
		oldest = 1
	}
	return slices.Delete(changes, oldest, oldest+1)
}
