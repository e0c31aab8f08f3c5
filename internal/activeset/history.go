package activeset

import (
	"container/list"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	recentLength  = 50   // changes that are remembered of all tenants together
	historyLength = 8    // changes that are remembered of one tenant
	historyAbsent = 1024 // tenants that are remembered after they left, or as many as are in the set if that is more
)

// history remembers the last changes of each tenant, so that one can ask why it is there or not. A tenant that has only
// been bootstrapped costs nothing.
type history struct {
	bootstrapped time.Time
	changes      map[string][]tenant.Change // by canonical id, oldest first
	left         list.List                  // canonical ids of those that left, oldest first
	places       map[string]*list.Element   // of each in it
	recent       []tenant.Change            // of all tenants, oldest first
}

// record notes a change. tenants is the size of the set, which bounds what is remembered of those that left.
func (h *history) record(key string, change tenant.Change, tenants int) {
	if len(h.recent) >= recentLength {
		h.recent = slices.Delete(h.recent, 0, 1)
	}
	h.recent = append(h.recent, change)
	if h.changes == nil {
		h.changes = make(map[string][]tenant.Change)
	}
	before := trim(h.of(key, change.Kind != tenant.Added))
	if len(before) > 0 && before[0].TenantID == "" {
		before[0].TenantID = change.TenantID
	}
	h.changes[key] = append(before, change)
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

// of returns what is known of a tenant, oldest first; there says whether it is in the set. The slice is not to be changed.
func (h *history) of(key string, there bool) []tenant.Change {
	known := h.changes[key]
	if len(known) == 0 && there {
		return []tenant.Change{{Kind: tenant.Added, Cause: tenant.CauseBootstrap, At: h.bootstrapped}}
	}
	return known
}

// added returns how the tenant, which is in the set under the id, came to be there.
func (h *history) added(e Entry) tenant.Change {
	for _, change := range slices.Backward(h.of(e.Key, true)) {
		if change.Kind == tenant.Added {
			change.TenantID = e.ID
			return change
		}
	}
	return tenant.Change{Kind: tenant.Added, TenantID: e.ID, Cause: tenant.CauseBootstrap, At: h.bootstrapped}
}

// trim makes room for one more, and keeps the last Added, which says since when the tenant is there.
func trim(changes []tenant.Change) []tenant.Change {
	if len(changes) < historyLength {
		return slices.Clone(changes)
	}
	oldest := 0
	if !slices.ContainsFunc(changes[1:], func(c tenant.Change) bool { return c.Kind == tenant.Added }) {
		oldest = 1
	}
	return slices.Delete(slices.Clone(changes), oldest, oldest+1)
}
