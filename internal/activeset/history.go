package activeset

import (
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
	tenants map[string]*past // by canonical id
	gone    past             // stands between the newest and the oldest of those that left
	left    int              // how many those are
	last    *Wave            // that removed tenants
	recent  []tenant.Change  // of all tenants: a ring, once it is full
	oldest  int              // in it
}

// past is what is remembered of one tenant.
type past struct {
	key           string
	changes       []tenant.Change  // oldest first
	first         [2]tenant.Change // room for them, as most that come go some time
	before, after *past            // it left before and after these; both nil while it is there
}

// record notes a change of a tenant that came by the origin. tenants is the size of the set, which bounds what is remembered of those
// that left.
func (h *history) record(key string, change tenant.Change, by *origin, tenants int) {
	h.note(change)
	p := h.tenants[key]
	if p == nil {
		p = h.begin(key)
	}
	if by != nil {
		p.came(by, change.TenantID)
	}
	p.add(change)
	h.place(p, change.Kind == tenant.Removed, tenants)
}

// begin remembers a tenant from now on, and that a list has removed it.
func (h *history) begin(key string) *past {
	if h.tenants == nil {
		h.tenants = make(map[string]*past)
	}
	p := &past{key: key}
	p.changes = p.first[:0]
	if change, removed := h.removed(key); removed {
		p.add(change)
	}
	h.tenants[key] = p
	return p
}

// came adds that the tenant came by the origin, unless something that is as new is known.
func (p *past) came(by *origin, id string) {
	if n := len(p.changes); n == 0 || p.changes[n-1].At.Before(by.at) {
		p.add(by.change(tenant.Added, id))
	}
}

// add makes room, and keeps the last Added, which says since when the tenant is there.
func (p *past) add(change tenant.Change) {
	if len(p.changes) >= historyLength {
		oldest := 0
		if !slices.ContainsFunc(p.changes[1:], func(c tenant.Change) bool { return c.Kind == tenant.Added }) {
			oldest = 1
		}
		p.changes = slices.Delete(p.changes, oldest, oldest+1)
	}
	p.changes = append(p.changes, change)
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
	if w.Len() < len(h.tenants) {
		for place := range w.Len() {
			if change, ok := w.At(place); ok {
				h.follow(h.tenants[tenant.CanonicalID(change.TenantID)], change, tenants)
			}
		}
		return
	}
	for key, p := range h.tenants {
		if place := w.Find(key); place >= 0 {
			change, _ := w.At(place)
			h.follow(p, change, tenants)
		}
	}
}

// follow adds a change to what is known of a tenant, where something is.
func (h *history) follow(p *past, change tenant.Change, tenants int) {
	if p != nil {
		p.add(change)
		h.place(p, change.Kind == tenant.Removed, tenants)
	}
}

// place keeps the order in which tenants left, and forgets the oldest of them.
func (h *history) place(p *past, left bool, tenants int) {
	if p.after != nil {
		h.unlink(p)
	}
	if !left {
		return
	}
	if h.gone.after == nil {
		h.gone.before, h.gone.after = &h.gone, &h.gone
	}
	p.before, p.after = h.gone.before, &h.gone
	p.before.after, p.after.before = p, p
	for h.left++; h.left > max(historyAbsent, tenants); {
		oldest := h.gone.after
		h.unlink(oldest)
		delete(h.tenants, oldest.key)
	}
}

// unlink takes a tenant out of those that left.
func (h *history) unlink(p *past) {
	p.before.after, p.after.before = p.after, p.before
	p.before, p.after = nil, nil
	h.left--
}

// removed is the removal of the tenant by the last list that has removed many, if it did that.
func (h *history) removed(key string) (change tenant.Change, ok bool) {
	if h.last == nil {
		return change, false
	}
	if place := h.last.Find(key); place >= 0 {
		return h.last.At(place)
	}
	return change, false
}

// of returns what is known of a tenant, oldest first: id and by are those of the set, and empty where it is not there.
func (h *history) of(key, id string, by *origin) []tenant.Change {
	var known past
	if p := h.tenants[key]; p != nil {
		known.changes = slices.Clone(p.changes)
	} else if change, removed := h.removed(key); removed && id == "" {
		known.add(change)
	}
	if by != nil {
		known.came(by, id)
	}
	return known.changes
}

// added completes how the tenant came to be there, of which the set does not know the origin.
func (h *history) added(key string, change tenant.Change) tenant.Change {
	p := h.tenants[key]
	if p == nil {
		return change
	}
	for _, known := range slices.Backward(p.changes) {
		if known.Kind == tenant.Added {
			return known
		}
	}
	return change
}
