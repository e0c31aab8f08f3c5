package activeset

import "iter"

// Set is which tenants are active: those of a base but for the hidden ones, and those that were added since. It is a value that
// never changes; with and without return another one, which shares almost everything with it. So a reader keeps a consistent view for
// nothing, and a change costs the same in a set of a hundred tenants and in one of a million. The zero Set is empty. Two that are
// equal by == hold the same.
type Set struct {
	base    *base
	hidden  *places
	added   *node
	size    int
	changed int // tenants that are hidden or added, at most
}

// Len is the number of tenants.
func (s Set) Len() int { return s.size }

// Has reports whether the tenant is in the set, whichever way its id is spelled. It allocates nothing.
func (s Set) Has(id string) bool {
	q := identOf(id)
	return s.place(&q) >= 0 || s.added != nil && s.added.find(&q) != nil
}

// place is where the tenant is in the base, or -1 where it is not there, or hidden.
func (s Set) place(q *ident) int {
	place := s.base.find(q)
	if place >= 0 && s.hidden.has(place) {
		return -1
	}
	return place
}

// Lookup returns the id of the tenant as it is handed out, and whether it is in the set.
func (s Set) Lookup(id string) (spelled string, there bool) {
	spelled, _, there = s.find(id)
	return spelled, there
}

// find is Lookup with the tenant's origin.
func (s Set) find(id string) (spelled string, by *origin, there bool) {
	q := identOf(id)
	if e := s.added.find(&q); e != nil {
		return e.id, e.origin, true
	}
	if place := s.place(&q); place >= 0 {
		return s.base.ids[place], s.base.origin(place), true
	}
	return "", nil, false
}

// with returns the set with the tenant, which must not be in it.
func (s Set) with(id string, by *origin) Set { return s.withIn(nil, id, by) }

// withIn is with for a set of the draft, or of none: what was made for the draft is changed in place.
func (s Set) withIn(d *draft, id string, by *origin) Set {
	s.added = s.added.with(entry{hash: identOf(id).hash, id: id, origin: by}, d)
	s.size++
	s.changed++
	return s
}

// without returns the set without the tenant, which must be in it.
func (s Set) without(id string) Set { return s.withoutIn(nil, id) }

// withoutIn is without as withIn is with.
func (s Set) withoutIn(d *draft, id string) Set {
	q := identOf(id)
	s.size--
	if s.added.find(&q) != nil {
		s.added = s.added.without(&q, d)
		s.changed--
		return s
	}
	s.hidden = s.hidden.with(s.base.find(&q), d)
	s.changed++
	return s
}

// All yields the id of every tenant, in no particular order. It allocates nothing.
func (s Set) All() iter.Seq[string] {
	return func(yield func(string) bool) { s.each(yield) }
}

func (s Set) each(yield func(string) bool) {
	for at := 0; at < s.base.len(); at += blockPlaces {
		ids := s.base.ids[at:min(at+blockPlaces, len(s.base.ids))]
		if !visible(ids, s.hidden.block(at/blockPlaces), yield) {
			return
		}
	}
	if s.added != nil {
		s.added.walk(func(e *entry) bool { return yield(e.id) })
	}
}

// visible yields the ids of one block of places that are not hidden.
func visible(ids []string, hidden *[blockWords]uint64, yield func(string) bool) bool {
	for i, id := range ids {
		if hidden != nil && hidden[i/wordPlaces]>>(i%wordPlaces)&1 == 1 {
			continue
		}
		if !yield(id) {
			return false
		}
	}
	return true
}

// IDs returns the id of every tenant, in no particular order, in a new slice that is never nil.
func (s Set) IDs() []string {
	ids := make([]string, 0, s.size)
	if s.hidden == nil && s.base != nil {
		ids = append(ids, s.base.ids...)
	} else {
		for at := 0; at < s.base.len(); at += blockPlaces {
			ids = appendVisible(ids, s.base.ids[at:min(at+blockPlaces, len(s.base.ids))], s.hidden.block(at/blockPlaces))
		}
	}
	s.added.walk(func(e *entry) bool { ids = append(ids, e.id); return true })
	return ids
}

// appendVisible copies what lies between two hidden places at once.
func appendVisible(to, ids []string, hidden *[blockWords]uint64) []string {
	if hidden == nil {
		return append(to, ids...)
	}
	from := 0
	for i := range ids {
		if hidden[i/wordPlaces]>>(i%wordPlaces)&1 == 1 {
			to = append(to, ids[from:i]...)
			from = i + 1
		}
	}
	return append(to, ids[from:]...)
}

// slack is how many tenants may be hidden or added before a new base is worth its while.
func (s Set) slack(least int) int { return max(least, s.size/slackShare) }

// slackShare is the part of a set that may have changed since its base was built.
const slackShare = 16

// Rebuilt is the same set with all of its tenants in a base. It takes about a tenth of a second for a million.
func (s Set) Rebuilt() Set {
	var b builder
	s.walk(b.addFrom)
	return b.set()
}

// walk yields every tenant with its origin.
func (s Set) walk(yield func(id string, by *origin)) {
	for place, id := range s.base.all() {
		if !s.hidden.has(place) {
			yield(id, s.base.origin(place))
		}
	}
	s.added.walk(func(e *entry) bool { yield(e.id, e.origin); return true })
}

// set is what was built, as a set.
func (b *builder) set() Set {
	made, _ := b.finish()
	return Set{base: made, size: made.len()}
}

// since yields the tenants in which the set may differ from an earlier one with the same base.
func (s Set) since(earlier Set, yield func(id string)) {
	s.hidden.differing(earlier.hidden, func(place int) { yield(s.base.ids[place]) })
	differing(earlier.added, s.added, yield)
}
