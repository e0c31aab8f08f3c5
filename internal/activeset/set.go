package activeset

import (
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// apply returns the set after an event of the tenant, and the change that it made, if it made one. It is pure, as
// reconcile is: no lock, no clock, no I/O.
func apply(set Tree, v verdict, at time.Time) (Tree, []tenant.Change) {
	change := tenant.Change{TenantID: v.id, Cause: tenant.CauseEvent, EventType: v.eventType, At: at}
	known, there := set.Lookup(v.key)
	if there {
		change.TenantID = known.ID
	}
	switch {
	case v.effect == effectAdd && !there:
		change.Kind = tenant.Added
		return set.with(Entry{Key: v.key, ID: v.id}), []tenant.Change{change}
	case v.effect == effectRemove && there:
		change.Kind = tenant.Removed
		return set.without(v.key), []tenant.Change{change}
	case v.effect == effectReconfigure && there:
		change.Kind = tenant.Reconfigured
		return set, []tenant.Change{change}
	}
	return set, nil
}

// Rows is a snapshot as it comes in: the spelling of each tenant by its canonical id. The zero Rows has none.
type Rows struct {
	ids      map[string]string
	given    int    // rows of the answer
	unusable int    // those of them that nobody can read
	skipped  uint64 // those that are not taken, the unusable ones included
}

// Add takes one row of the manager's answer. A row without a valid id, one whose status is neither empty nor active, and
// a second one of the same tenant are skipped and counted. That a tenant is suspended, or is listed already, can be
// understood; a row without a valid id is of no use.
func (r *Rows) Add(row tenant.Row) {
	id := string(row.ID)
	r.given++
	if !tenant.ValidID(id) {
		r.unusable++
	}
	if !tenant.ValidID(id) || len(row.Status) > 0 && !strings.EqualFold(string(row.Status), "active") {
		r.skipped++
		return
	}
	key := tenant.CanonicalID(id)
	if _, twice := r.ids[key]; twice {
		r.skipped++
		return
	}
	if r.ids == nil {
		r.ids = make(map[string]string)
	}
	r.ids[key] = id
}

// fewRows is how many rows a list has at most that is believed although most of its rows are of no use.
const fewRows = 19

// Readable reports whether the answer is a list in our form. It is not where no row can be used, or less than half of
// twenty or more.
func (r *Rows) Readable() bool {
	return r.unusable == 0 || r.unusable < r.given && (r.given <= fewRows || 2*r.unusable <= r.given)
}

// Counts returns how many rows the answer has, and how many of them nobody can read.
func (r *Rows) Counts() (given, unusable int) { return r.given, r.unusable }

// Len is the number of tenants.
func (r *Rows) Len() int { return len(r.ids) }

// reconcile returns the set that the snapshot describes and the changes from the one to the other, in the order of
// their canonical ids. With hold set it leaves in place what it would remove, and held says how many those are.
func reconcile(set Tree, snapshot Rows, hold func(removals int) bool, cause tenant.Cause, at time.Time) (next Tree, changes []tenant.Change, held int) {
	added, removed := difference(set, snapshot)
	if hold(len(removed)) {
		removed, held = nil, len(removed)
	}
	for _, e := range removed {
		set = set.without(e.Key)
		changes = append(changes, tenant.Change{Kind: tenant.Removed, TenantID: e.ID, Cause: cause, At: at})
	}
	for _, e := range added {
		set = set.with(e)
		changes = append(changes, tenant.Change{Kind: tenant.Added, TenantID: e.ID, Cause: cause, At: at})
	}
	return set, changes, held
}

func difference(set Tree, snapshot Rows) (added, removed []Entry) {
	for key, id := range snapshot.ids {
		if _, there := set.Lookup(key); !there {
			added = append(added, Entry{Key: key, ID: id})
		}
	}
	if set.size+len(added) == len(snapshot.ids) { // then nothing can be missing from the snapshot
		return sortEntries(added), nil
	}
	for e := range set.All() {
		if _, listed := snapshot.ids[e.Key]; !listed {
			removed = append(removed, e)
		}
	}
	return sortEntries(added), sortEntries(removed)
}

func sortEntries(entries []Entry) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries
}
