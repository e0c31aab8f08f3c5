package discovery

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// memorySlack is how many tenants, beyond twice the set, the memory may hold, and how many revisions, so that what is
	// forged cannot fill it.
	memorySlack = 1 << 16
	// idsRemembered is how many events are known again when they come twice.
	idsRemembered = 1 << 13
	// epochsRemembered is how many epochs are known to be past.
	epochsRemembered = 8
)

// memory tells old news from new. It is pure: no lock, no clock, no I/O.
//
// With versions, every event takes the next revision of its epoch, without holes, and the list says at which revision it
// was read. The set then knows a prefix of the revisions: that of its last snapshot, and on as long as events come
// without a hole. What is at or below the prefix is old; above it revisions are compared for each tenant. Without
// versions, what was seen while a request was under way wins over its answer, and of two events of one tenant the one
// with the newer timestamp wins.
type memory struct {
	now  revisions // of the last snapshot's epoch, which is empty when it had none
	next revisions // of another epoch of which events were heard; a snapshot of it will say whether it is the new one
	// promised is the manager's version by a heartbeat that was ahead of the set. The snapshot that comes may be older.
	promised   tenant.Version
	promisedAt uint64   // the tick of the heartbeat
	left       []string // the epochs before this one, newest last
	marks      map[string]mark
	tick       uint64 // events that were marked, and promises
	ids        recentIDs
	// overflowed says that there were more tenants or revisions than can be remembered, since the last snapshot.
	overflowed bool
}

// mark is what the newest event said of a tenant. It goes when a snapshot has covered it.
type mark struct {
	id        string
	active    bool
	epoch     string // empty without versions
	revision  uint64
	at        time.Time // the event's timestamp; zero when it had none
	tick      uint64
	activated uint64 // the tick of the last tenant.activated since, where that is the only sign of a reactivation
	dateOnly  bool   // it was tenant.activated, which says nothing of the set, and yet that what is older is late
}

// freshness is what an event is compared with what is known.
type freshness uint8

const (
	fresh   freshness = iota
	old               // known already, to be ignored
	late              // older than what is known by its timestamp, which proves little: the snapshot has to tell
	foreign           // of another epoch: only a snapshot can say whether there is a new one
)

// weigh says whether the event is news. It is to be called once for each event.
func (m *memory) weigh(v verdict) freshness {
	if m.ids.seen(v) {
		return old
	}
	known, marked := m.marks[v.key]
	if m.isForeign(v) {
		if marked && known.epoch == v.version.Epoch && v.version.Revision <= known.revision {
			return old
		}
		return foreign
	}
	if v.effect == effectReconfigure {
		return fresh // a list says nothing of it, so that none can have covered it
	}
	if v.versioned() && m.now.epoch != "" && v.version.Revision <= m.now.prefix {
		return old
	}
	if !marked {
		return fresh
	}
	switch {
	case v.versioned() && known.epoch == v.version.Epoch:
		if v.version.Revision <= known.revision {
			return old
		}
	case v.membership() && !v.at.IsZero() && v.at.Before(known.at):
		return late
	}
	return fresh
}

// hear takes note of the event's revision, whatever the event is about, and reports whether one before it is missing.
func (m *memory) hear(v verdict) (jump bool) {
	switch {
	case !v.versioned():
		return false
	case v.version.Epoch == m.now.epoch:
		return m.now.see(v.version.Revision)
	case v.version.Epoch != m.next.epoch:
		m.next = revisions{epoch: v.version.Epoch}
	}
	m.next.keep(v.version.Revision)
	m.next.lost = m.next.lost || v.effect == effectUnknown
	return false // only a snapshot can tell
}

// record marks what an add or a remove said of its tenant, and, where the lists have no versions, when tenant.activated was said. tenants
// is the size of the set.
func (m *memory) record(v verdict, tenants int) {
	dateOnly := v.effect == effectRecheck && (!v.versioned() || m.now.epoch == "")
	if !v.membership() && !dateOnly {
		return
	}
	known, marked := m.marks[v.key]
	if marked && m.isForeign(v) && (known.epoch == "" || known.epoch == m.now.epoch) {
		m.next.lost = true
		return // what this epoch said is needed until a snapshot ends it
	}
	if !marked && len(m.marks) >= 2*tenants+memorySlack {
		m.overflowed = true
		return
	}
	if marked && dateOnly {
		m.tick++
		known.at, known.activated = later(known.at, v.at), m.tick
		m.marks[v.key] = known
		return
	}
	if m.marks == nil {
		m.marks = make(map[string]mark)
	}
	m.tick++
	next := mark{id: v.id, active: v.effect == effectAdd, at: later(known.at, v.at), tick: m.tick, dateOnly: dateOnly}
	if dateOnly {
		next.activated = m.tick
	} else {
		next.epoch, next.revision = v.version.Epoch, v.version.Revision
	}
	m.marks[v.key] = next
}

// isForeign reports whether the event is of another epoch than the set.
func (m *memory) isForeign(v verdict) bool {
	return v.versioned() && m.now.epoch != "" && v.version.Epoch != m.now.epoch
}

// check refuses a snapshot that is older than what had been heard of when it was asked for, as a replica gives that lags
// behind. One that only events have overtaken since is as good as any.
func check(v tenant.Version, epoch string, heard uint64) error {
	if v.Epoch != "" && v.Epoch == epoch && v.Revision < heard {
		return fmt.Errorf("%w: it is at revision %d, and %d had been heard of when it was asked for", ErrOldSnapshot, v.Revision, heard)
	}
	return nil
}

// heard is the newest revision that was heard of.
func (m *memory) heard() uint64 { return m.now.newest() }

// believe forgets what was heard before the tick and is newer than the revision: it cannot have been true.
func (m *memory) believe(revision, began uint64) {
	for key, known := range m.marks {
		if known.epoch == m.now.epoch && known.revision > revision && known.tick <= began {
			delete(m.marks, key)
		}
	}
	m.now.ahead, m.now.prefix = nil, min(m.now.prefix, revision)
}

// known is the version that the set has for certain.
func (m *memory) known() tenant.Version {
	return tenant.Version{Epoch: m.now.epoch, Revision: m.now.prefix}
}

// wins reports whether the mark is newer than a snapshot of the version, whose request began at the tick.
func (k mark) wins(v tenant.Version, began uint64) bool {
	if k.epoch == "" || v.Epoch == "" {
		return k.tick > began
	}
	return k.epoch == v.Epoch && k.revision > v.Revision
}

// override replaces what the snapshot's rows say by what newer events said. It reports whether a tenant is missing of
// which tenant.activated came since the request began: the list may be older than that.
func (m *memory) override(r *rows, v tenant.Version, began uint64) (doubtful bool) {
	for key, known := range m.marks {
		_, listed := r.ids[key]
		switch {
		case known.dateOnly || !known.wins(v, began):
			doubtful = doubtful || !listed && known.activated > began
		case !known.active:
			delete(r.ids, key)
			doubtful = doubtful || known.activated > began
		case !listed:
			r.add(tenant.Summary{ID: known.id})
		}
	}
	return doubtful
}

// taken forgets what the snapshot has covered. It reports whether everything up to the newest event is known now, and
// whether the epoch is a new one.
func (m *memory) taken(v tenant.Version, began uint64) (whole, newEpoch bool) {
	whole, m.overflowed = !m.overflowed, false
	for key, known := range m.marks {
		if !known.wins(v, began) {
			// Of another epoch than this snapshot, and heard since it was asked for: the next snapshot may be of it.
			whole = whole && (known.epoch == v.Epoch || known.tick <= began)
			m.next.lost = m.next.lost || known.epoch == m.next.epoch && known.epoch != v.Epoch
			delete(m.marks, key)
		}
	}
	newEpoch = m.now.epoch != "" && v.Epoch != "" && v.Epoch != m.now.epoch
	if newEpoch {
		m.leave(m.now.epoch, v.Epoch)
	}
	if v.Epoch != m.now.epoch {
		m.now = revisions{epoch: v.Epoch}
		switch {
		case v.Epoch == m.next.epoch:
			m.now = m.next
			whole = whole && (!m.now.lost || m.now.newest() <= v.Revision)
		case v.Epoch != "":
			m.now.keepOf(m.marks)
		}
		m.next = revisions{}
	}
	kept := m.promised.Epoch != v.Epoch || m.promised.Revision <= v.Revision
	if kept || m.promisedAt <= began {
		m.promised = tenant.Version{} // one that is forged asks for one snapshot more
	}
	return m.now.cover(v.Revision) && whole && kept, newEpoch
}

// leave remembers that the one epoch is past, and that the other is not.
func (m *memory) leave(before, now string) {
	m.left = append(slices.DeleteFunc(m.left, func(epoch string) bool { return epoch == now }), before)
	m.left = m.left[max(0, len(m.left)-epochsRemembered):]
}

// past reports whether the epoch was left for another one.
func (m *memory) past(epoch string) bool { return slices.Contains(m.left, epoch) }

// behind reports whether the manager, by its heartbeat, is further than the set. Where that has no version yet the
// snapshot that brings one will tell.
func (m *memory) behind(v tenant.Version) bool {
	ahead := v.Epoch != "" && (v.Epoch != m.now.epoch || v.Revision > m.now.prefix)
	if ahead && (m.now.epoch == "" || v.Epoch == m.now.epoch) {
		m.tick++
		m.promised, m.promisedAt = v, m.tick
	}
	return ahead && m.now.epoch != ""
}

// revisions are those of one epoch that have been heard of.
type revisions struct {
	epoch  string
	prefix uint64              // all up to it
	ahead  map[uint64]struct{} // and these above it, at most memorySlack
	lost   bool                // what one of them said was forgotten, or never understood
}

func (r *revisions) newest() uint64 {
	newest := r.prefix
	for revision := range r.ahead {
		newest = max(newest, revision)
	}
	return newest
}

// see takes note of a revision and reports whether the one before it has not been heard of.
func (r *revisions) see(revision uint64) (jump bool) {
	if revision <= r.prefix {
		return false
	}
	_, follows := r.ahead[revision-1]
	r.keep(revision)
	r.join()
	return revision > r.prefix && !follows
}

// keep takes note of a revision above the prefix.
func (r *revisions) keep(revision uint64) {
	if len(r.ahead) >= memorySlack {
		r.lost = true
		return // it stays missing, until a snapshot covers it
	}
	if r.ahead == nil {
		r.ahead = make(map[uint64]struct{})
	}
	r.ahead[revision] = struct{}{}
}

// keepOf takes note of the revisions of the epoch's marks, where they were forgotten for those of another epoch.
func (r *revisions) keepOf(marks map[string]mark) {
	for _, known := range marks {
		if known.epoch == r.epoch {
			r.keep(known.revision)
		}
	}
}

// join lengthens the prefix as far as there is no hole.
func (r *revisions) join() {
	for {
		if _, heard := r.ahead[r.prefix+1]; !heard {
			return
		}
		r.prefix++
		delete(r.ahead, r.prefix)
	}
}

// cover raises the prefix to that of a snapshot. It reports whether no hole is left above it.
func (r *revisions) cover(revision uint64) bool {
	r.prefix = max(r.prefix, revision)
	for heard := range r.ahead {
		if heard <= r.prefix {
			delete(r.ahead, heard)
		}
	}
	r.join()
	r.lost = r.lost && len(r.ahead) > 0
	return len(r.ahead) == 0
}

var idSeed = maphash.MakeSeed()

// recentIDs knows the last events again. It keeps a hash of each, over all that makes two events the same, so that ids of
// any length cost the same, and a manager that gives every event the same id loses none.
type recentIDs struct {
	known map[uint64]struct{}
	ring  []uint64
	at    int
}

// seen reports whether the event was seen before, and remembers it. An event without an id is never the same as another.
func (r *recentIDs) seen(v verdict) bool {
	if v.eventID == "" {
		return false
	}
	sum := maphash.Comparable(idSeed, [5]any{v.eventID, v.eventType, v.key, v.version, v.at.UnixNano()})
	if _, twice := r.known[sum]; twice {
		return true
	}
	if r.known == nil {
		r.known = make(map[uint64]struct{})
	}
	if len(r.ring) < idsRemembered {
		r.ring = append(r.ring, sum)
	} else {
		delete(r.known, r.ring[r.at])
		r.ring[r.at] = sum
		r.at = (r.at + 1) % idsRemembered
	}
	r.known[sum] = struct{}{}
	return false
}
