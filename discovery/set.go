package discovery

import (
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// apply returns the set after an event of the tenant, and the change that it made, if it made one. It is pure, as
// reconcile is: no lock, no clock, no I/O.
func apply(set tree, v verdict, at time.Time) (tree, []tenant.Change) {
	change := tenant.Change{TenantID: v.id, Cause: tenant.CauseEvent, EventType: v.eventType, At: at}
	known, there := set.lookup(v.key)
	if there {
		change.TenantID = known.id
	}
	switch {
	case v.effect == effectAdd && !there:
		change.Kind = tenant.Added
		return set.with(entry{key: v.key, id: v.id}), []tenant.Change{change}
	case v.effect == effectRemove && there:
		change.Kind = tenant.Removed
		return set.without(v.key), []tenant.Change{change}
	case v.effect == effectReconfigure && there:
		change.Kind = tenant.Reconfigured
		return set, []tenant.Change{change}
	}
	return set, nil
}

// rows is a snapshot as it comes in: the spelling of each tenant by its canonical id.
type rows struct {
	ids      map[string]string
	given    int    // rows of the answer
	unusable int    // those of them that nobody can read
	skipped  uint64 // those that are not taken, the unusable ones included
}

// add takes one row of the manager's answer. A row without a valid id, one whose status is neither empty nor active, and
// a second one of the same tenant are skipped and counted. That a tenant is suspended, or is listed already, can be
// understood; a row without a valid id is of no use.
func (r *rows) add(row tenant.Summary) {
	r.given++
	if !tenant.ValidID(row.ID) {
		r.unusable++
	}
	if !tenant.ValidID(row.ID) || row.Status != "" && !strings.EqualFold(row.Status, "active") {
		r.skipped++
		return
	}
	key := tenant.CanonicalID(row.ID)
	if _, twice := r.ids[key]; twice {
		r.skipped++
		return
	}
	if r.ids == nil {
		r.ids = make(map[string]string)
	}
	r.ids[key] = row.ID
}

// fewRows is how many rows a list has at most that is believed although most of its rows are of no use.
const fewRows = 19

// readable returns a [*UnusableListError] when the answer is a list in another form than ours.
func (r *rows) readable() error {
	if r.unusable > 0 && (r.unusable == r.given || r.given > fewRows && 2*r.unusable > r.given) {
		return &UnusableListError{Rows: r.given, Unusable: r.unusable}
	}
	return nil
}

// reconcile returns the set that the snapshot describes and the changes from the one to the other, in the order of
// their canonical ids. With hold set it leaves in place what it would remove, and held says how many those are.
func reconcile(set tree, snapshot rows, hold func(removals int) bool, cause tenant.Cause, at time.Time) (next tree, changes []tenant.Change, held int) {
	added, removed := difference(set, snapshot)
	if hold(len(removed)) {
		removed, held = nil, len(removed)
	}
	for _, e := range removed {
		set = set.without(e.key)
		changes = append(changes, tenant.Change{Kind: tenant.Removed, TenantID: e.id, Cause: cause, At: at})
	}
	for _, e := range added {
		set = set.with(e)
		changes = append(changes, tenant.Change{Kind: tenant.Added, TenantID: e.id, Cause: cause, At: at})
	}
	return set, changes, held
}

func difference(set tree, snapshot rows) (added, removed []entry) {
	for key, id := range snapshot.ids {
		if _, there := set.lookup(key); !there {
			added = append(added, entry{key: key, id: id})
		}
	}
	if set.size+len(added) == len(snapshot.ids) { // then nothing can be missing from the snapshot
		return sortEntries(added), nil
	}
	for e := range set.all() {
		if _, listed := snapshot.ids[e.key]; !listed {
			removed = append(removed, e)
		}
	}
	return sortEntries(added), sortEntries(removed)
}

func sortEntries(entries []entry) []entry {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries
}
