package activeset

import (
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// apply returns the set after an event of the tenant, and the change that it made: one without a Kind where it made none. by is the
// tenant's origin before it. What was made for the draft is changed in place.
func apply(set Set, d *draft, v *verdict, at time.Time) (next Set, change tenant.Change, by *origin) {
	change = tenant.Change{TenantID: v.id, Cause: tenant.CauseEvent, EventType: v.eventType, At: at}
	known, by, there := set.find(v.id)
	if there {
		change.TenantID = known
	}
	switch {
	case v.effect == effectAdd && !there:
		v.own("")
		change.Kind, change.TenantID = tenant.Added, v.id
		set = set.withIn(d, change.TenantID, nil)
	case v.effect == effectRemove && there:
		change.Kind = tenant.Removed
		set = set.withoutIn(d, v.id)
	case v.effect == effectReconfigure && there:
		change.Kind = tenant.Reconfigured
	}
	return set, change, by
}

// Difference is what leads from a set to a list. It is worked out before anybody has to wait for it, and holds for a set that differs
// in a few tenants just as well.
type Difference struct {
	before, listed Set
	added, removed *base
	next           Set // all of it in one base; only where much has changed
	much           bool
	by             *origin // of what is added; it is filled in when the list is taken
}

// compare works out what leads from the set to the list.
func compare(before, listed Set, slack int) *Difference {
	added := missing(listed, before)
	var removed []string
	if before.size+len(added) != listed.size { // else nothing can be missing from the list
		removed = missing(before, listed)
	}
	return newDifference(before, listed, added, removed, slack)
}

// newDifference rebuilds the set where more tenants than slack say have changed.
func newDifference(before, listed Set, added, removed []string, slack int) *Difference {
	d := &Difference{before: before, listed: listed, added: listed.these(added), removed: before.these(removed), by: &origin{}}
	d.much = before.size == 0 || len(added)+len(removed) > before.slack(slack)
	if d.much {
		d.next = d.build()
	}
	return d
}

// missing returns the tenants of the one set that are not in the other.
func missing(of, in Set) (ids []string) {
	if in.size == 0 {
		return of.IDs()
	}
	for id := range of.All() {
		if !in.Has(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// these returns a base of the ids, which are of the set: its own where it is all of them.
func (s Set) these(ids []string) *base {
	if len(ids) == s.size && s.changed == 0 {
		return s.base
	}
	var b builder
	for _, id := range ids {
		b.addFrom(id, nil)
	}
	made, _ := b.finish()
	return made
}

// build makes the next set: what stays, as it was spelled, then what is added.
func (d *Difference) build() Set {
	if d.removed.len() == d.before.size {
		return Set{base: d.added.from(d.by), size: d.added.len()}
	}
	var b builder
	d.before.walk(func(id string, by *origin) {
		if q := identOf(id); d.removed.find(&q) < 0 {
			b.addFrom(id, by)
		}
	})
	for _, id := range d.added.all() {
		b.addFrom(id, d.by)
	}
	return b.set()
}

// merging is a list on its way into a set.
type merging struct {
	set, listed Set // the list is overridden by newer events
	d           *Difference
	touched     []string // the tenants of which the difference does not tell
	by          *origin

	notAdded, notRemoved *places // those of them that are in the difference
	added, removed       []string
}

// reconcile prepares to make the set what is listed. ready is a difference between the two as they were, or nil; touched are the
// tenants in which the list is another one since.
func reconcile(set, listed Set, ready *Difference, touched []string, by origin) *merging {
	m := &merging{set: set, listed: listed, d: ready, touched: touched}
	set.since(ready.before, func(id string) { m.touched = append(m.touched, id) })
	*ready.by = by
	m.by = ready.by
	m.sortOut()
	return m
}

// sortOut looks at each of the touched tenants by itself.
func (m *merging) sortOut() {
	seen := make(map[string]struct{}, len(m.touched))
	for _, id := range m.touched {
		key := tenant.CanonicalID(id)
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		q := identOf(id)
		if place := m.d.added.find(&q); place >= 0 {
			m.notAdded = m.notAdded.with(place, nil)
		}
		if place := m.d.removed.find(&q); place >= 0 {
			m.notRemoved = m.notRemoved.with(place, nil)
		}
		was, there := m.set.Lookup(id)
		is, listed := m.listed.Lookup(id)
		switch {
		case listed && !there:
			m.added = append(m.added, is)
		case there && !listed:
			m.removed = append(m.removed, was)
		}
	}
}

// removals is how many tenants are to go.
func (m *merging) removals() int { return m.d.removed.len() - m.notRemoved.len() + len(m.removed) }

// additions is how many are to come.
func (m *merging) additions() int { return m.d.added.len() - m.notAdded.len() + len(m.added) }

// keepAll leaves in place what would be removed.
func (m *merging) keepAll() {
	d := *m.d
	d.removed, d.next, d.much = nil, Set{}, false
	m.d, m.notRemoved, m.removed = &d, nil, nil
}

// result is the set that comes of it.
func (m *merging) result() Set {
	mine := new(draft)
	if m.d.much {
		return m.mended(m.d.next, mine)
	}
	next := m.set
	m.each(tenant.Removed, func(id string) { next = next.withoutIn(mine, id) })
	m.each(tenant.Added, func(id string) { next = next.withIn(mine, id, m.by) })
	return next
}

// mended is the prepared set with the touched tenants as they are to be.
func (m *merging) mended(next Set, mine *draft) Set {
	for _, id := range m.touched {
		want, by, there := m.set.find(id)
		is, listed := m.listed.Lookup(id)
		if !there {
			want, by = is, m.by
		}
		known, from, had := next.find(id)
		if had == listed && (!listed || known == want && from == by) {
			continue // most are right, and some are here twice
		}
		if had {
			next = next.withoutIn(mine, id)
		}
		if listed {
			next = next.withIn(mine, want, by)
		}
	}
	return next
}

// each yields the tenants of one kind of change, in no particular order.
func (m *merging) each(kind tenant.Kind, yield func(id string)) {
	from, except, others := m.d.added, m.notAdded, m.added
	if kind == tenant.Removed {
		from, except, others = m.d.removed, m.notRemoved, m.removed
	}
	for place, id := range from.all() {
		if !except.has(place) {
			yield(id)
		}
	}
	for _, id := range others {
		yield(id)
	}
}

// few are all changes, one by one: the removals and then the additions, each in the order of their canonical ids.
func (m *merging) few() []News {
	news := make([]News, 0, m.removals()+m.additions())
	for _, kind := range []tenant.Kind{tenant.Removed, tenant.Added} {
		from := len(news)
		m.each(kind, func(id string) { news = append(news, m.news(kind, id)) })
		sortNews(news[from:])
	}
	return news
}

// many are the changes as a wave, and those beside it.
func (m *merging) many() (w *Wave, beside []News) {
	w = &Wave{removed: m.d.removed, added: m.d.added, notRemoved: m.notRemoved, notAdded: m.notAdded, by: m.by}
	for _, id := range m.removed {
		beside = append(beside, m.news(tenant.Removed, id))
	}
	for _, id := range m.added {
		beside = append(beside, m.news(tenant.Added, id))
	}
	sortNews(beside[:len(m.removed)])
	sortNews(beside[len(m.removed):])
	return w, beside
}

func (m *merging) news(kind tenant.Kind, id string) News {
	return News{Key: tenant.CanonicalID(id), Change: m.by.change(kind, id)}
}

func sortNews(news []News) {
	slices.SortFunc(news, func(a, b News) int { return strings.Compare(a.Key, b.Key) })
}
