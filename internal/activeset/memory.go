package activeset

import (
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// memorySlack is how many tenants, beyond twice the set, the memory may hold, and how many revisions, so that what is
	// forged cannot fill it.
	memorySlack = 1 << 16
	// epochsRemembered is how many epochs are known to be past.
	epochsRemembered = 8
	// worldsRemembered is of how many epochs it is known what was heard, beside the list's and what has no version.
	worldsRemembered = 2
)

// memory tells old news from new. It is pure: no lock, no clock, no I/O.
//
// With versions, every event takes the next revision of its epoch, without holes, and the list says at which revision it
// was read. The set then knows a prefix of the revisions: that of its last snapshot, and on as long as events come
// without a hole. What is at or below the prefix is old; above it revisions are compared for each tenant. Without
// versions, what was seen while a request was under way wins over its answer, and of two events of one tenant the one
// with the newer timestamp wins.
//
// Each epoch is a world of its own, because a snapshot may turn out to be of any of them. Within a world revisions alone
// say what is older; timestamps compare what has no revision, or is of two worlds.
type memory struct {
	epoch  string   // of the last snapshot; empty when it had none
	worlds []*world // one for each epoch and one for what has no version, the one that was heard of last at the end
	// promised is the manager's version by a heartbeat that was ahead of the set. The snapshot that comes may be older.
	promised   tenant.Version
	promisedAt uint64   // the tick of the heartbeat
	left       []string // the epochs before this one, newest last
	tick       uint64   // counts what was heard
	ids        recentIDs
	// overflowed says that there was more than can be remembered, since the last snapshot.
	overflowed bool
}

// freshness is what an event is compared with what is known.
type freshness uint8

const (
	fresh   freshness = iota
	old               // known already, to be ignored
	late              // older than what is known, which proves little of what is true now: the snapshot has to tell
	foreign           // of another epoch: only a snapshot can say whether there is a new one
)

// judge says whether the event is news, and remembers what it said. It is to be called once for each event; tenants is the
// size of the set. The cases, the first that holds:
//
//	an id that was seen                                         old
//	a reconfiguration, of no other epoch                        fresh, as no list can have covered it
//	a revision that a list, or an event of its tenant, covers   old
//	a revision that tenant.activated of its tenant covers       late, as that does not say what it made of this
//	another epoch than the list's                               foreign
//	a timestamp before that of its tenant's newest word         late
//	all others                                                  fresh
//
// Of what is fresh or foreign the memory keeps what it said of its tenant; of everything but what has been left, its revision.
func (m *memory) judge(v *verdict, tenants int, now time.Time) freshness {
	what := m.weigh(v)
	if m.past(v.epoch()) { // what is kept of an epoch that was left would take the place of one that may come
		return what
	}
	if v.versioned() {
		m.hear(v, what, now)
	}
	if what == fresh || what == foreign { // a snapshot of the other epoch may be older than it
		m.record(v, tenants)
	}
	return what
}

func (m *memory) weigh(v *verdict) freshness {
	isForeign := m.isForeign(v)
	switch {
	case m.ids.seen(v):
		return old
	case v.effect == effectReconfigure && !isForeign:
		return fresh
	case v.versioned():
		if what := m.byRevision(v); what != fresh {
			return what
		}
	}
	switch {
	case isForeign:
		return foreign
	case v.membership() && v.at.Before(m.dated(v)) && !v.at.IsZero():
		return late
	default:
		return fresh
	}
}

// byRevision compares a revision with those of its epoch.
func (m *memory) byRevision(v *verdict) freshness {
	w := m.world(v.version.Epoch)
	known := w.marks[v.key]
	switch {
	case v.version.Revision <= known.said.revision || w.epoch == m.epoch && v.version.Revision <= w.prefix:
		return old
	case v.version.Revision > known.asked.revision:
		return fresh
	case v.effect == effectRecheck:
		return old
	default:
		return late
	}
}

// dated is the newest timestamp of what was said of the event's tenant where no revision tells which of the two is older.
func (m *memory) dated(v *verdict) (newest time.Time) {
	for _, w := range m.worlds {
		if !v.versioned() || w.epoch != v.version.Epoch {
			newest = later(newest, w.marks[v.key].at)
		}
	}
	return newest
}

// hear takes note of the event's revision, whatever the event is about.
func (m *memory) hear(v *verdict, what freshness, now time.Time) {
	w := m.hearOf(v.version.Epoch)
	m.tick++
	w.tick = m.tick
	m.overflowed = !w.see(v.version.Revision, now) || m.overflowed
	if w.epoch != m.epoch { // else a gap is opened, and closed by no snapshot that is older
		w.lost = w.lost || what == late || v.effect == effectUnknown
	}
}

// record marks what an add or a remove said of its tenant, and that tenant.activated was said.
func (m *memory) record(v *verdict, tenants int) {
	if !v.membership() && v.effect != effectRecheck {
		return
	}
	w := m.hearOf(v.epoch())
	known, marked := w.marks[v.key]
	if !marked && m.marked() >= 2*tenants+memorySlack {
		m.overflowed = true
		return
	}
	m.tick++
	v.own(known.id)
	known.at = later(known.at, v.at)
	spoken := word{revision: v.revision(), tick: m.tick}
	if v.membership() {
		known = mark{id: v.id, active: v.effect == effectAdd, said: spoken, at: known.at}
	} else {
		known.asked = spoken
	}
	w.put(v.key, known)
}

// asked is the tick of the last tenant.activated of the tenant, where nothing newer was said and no snapshot has covered
// it; zero otherwise. Where the lists have no version that cannot be told.
func (m *memory) asked(key string) uint64 {
	if m.epoch == "" {
		return 0
	}
	return m.world(m.epoch).marks[key].asked.tick
}

// world is what was heard of the epoch; it is not kept where there was nothing.
func (m *memory) world(epoch string) *world {
	for _, w := range m.worlds {
		if w.epoch == epoch {
			return w
		}
	}
	return &world{epoch: epoch}
}

// hearOf is the epoch's world, which is kept and is now the one that was heard of last.
func (m *memory) hearOf(epoch string) *world {
	last := len(m.worlds) - 1
	if last >= 0 && m.worlds[last].epoch == epoch {
		return m.worlds[last]
	}
	w := m.world(epoch)
	m.worlds = append(slices.DeleteFunc(m.worlds, func(other *world) bool { return other == w }), w)
	m.dropWorlds()
	return w
}

// dropWorlds forgets the epoch that was not heard of for the longest time, when there are too many.
func (m *memory) dropWorlds() {
	isOther := func(w *world) bool { return w.epoch != "" && w.epoch != m.epoch }
	others := 0
	for _, w := range m.worlds {
		if isOther(w) {
			others++
		}
	}
	if others <= worldsRemembered {
		return
	}
	at := slices.IndexFunc(m.worlds, isOther)
	dropped := m.worlds[at]
	m.worlds = slices.Delete(m.worlds, at, at+1)
	if m.epoch == "" {
		m.hearOf("").adopt(dropped)
		return
	}
	m.overflowed = true
}

// marked is how many tenants something is remembered of.
func (m *memory) marked() (n int) {
	for _, w := range m.worlds {
		n += len(w.marks)
	}
	return n
}

// isForeign reports whether the event is of another epoch than the set.
func (m *memory) isForeign(v *verdict) bool {
	return v.versioned() && m.epoch != "" && v.version.Epoch != m.epoch
}

// heard is the newest revision that was heard of.
func (m *memory) heard() uint64 { return m.world(m.epoch).newest() }

// believe forgets what was heard before the tick and is newer than the revision: it cannot have been true.
func (m *memory) believe(revision, began uint64) { m.world(m.epoch).believe(revision, began) }

// known is the version that the set has for certain.
func (m *memory) known() tenant.Version {
	return tenant.Version{Epoch: m.epoch, Revision: m.world(m.epoch).prefix}
}

// hole is that of the list's epoch: only there it is known which revisions there are to be.
func (m *memory) hole(moment time.Time) (missing uint64, oldest time.Time) {
	if m.epoch == "" {
		return 0, time.Time{}
	}
	return m.world(m.epoch).hole(moment)
}

// tell notes that a snapshot is asked for because of what is missing.
func (m *memory) tell() { m.world(m.epoch).tell() }

// override replaces what the list says by what newer events said, and returns the tenants of which it does. doubtful says that a
// tenant is missing of which tenant.activated is newer than the list.
func (m *memory) override(list *Set, v tenant.Version, began uint64) (overridden []string, doubtful bool) {
	for _, w := range m.worlds {
		for key := range w.marks {
			changed, doubt := m.overrideRow(list, key, v, began)
			doubtful = doubtful || doubt
			if changed {
				overridden = append(overridden, key)
			}
		}
	}
	return overridden, doubtful
}

func (m *memory) overrideRow(list *Set, key string, v tenant.Version, began uint64) (changed, doubtful bool) {
	said, asked := m.newest(key, v, began)
	listed := list.Has(key)
	switch {
	case said.said.tick == 0:
	case said.active && !listed:
		*list = list.with(said.id, nil)
		changed, listed = true, true
	case !said.active && listed:
		*list = list.without(key)
		changed, listed = true, false
	}
	return changed, asked && !listed
}

// newest is what was said of the tenant last that is newer than the snapshot, and whether tenant.activated is.
func (m *memory) newest(key string, v tenant.Version, began uint64) (said mark, asked bool) {
	for _, w := range m.worlds {
		known := w.marks[key]
		if known.said.tick > said.said.tick && known.said.newer(w.epoch, v, began) {
			said = known
		}
		asked = asked || known.asked.newer(w.epoch, v, began)
	}
	return said, asked
}

// taken forgets what the snapshot has covered. It reports whether everything up to the newest event is known now, but for
// holes, and whether the epoch is a new one.
func (m *memory) taken(v tenant.Version, began uint64) (whole, newEpoch bool) {
	whole = m.forget(v, began)
	newEpoch = m.epoch != "" && v.Epoch != "" && v.Epoch != m.epoch
	if newEpoch {
		m.leave(m.epoch, v.Epoch)
	}
	m.epoch = v.Epoch
	whole = m.hearOf(v.Epoch).cover(v.Revision) && whole
	for _, w := range m.worlds {
		w.shrink()
	}
	return m.keptPromise(v, began) && whole, newEpoch
}

// forget drops what the snapshot has covered. It returns false where something is missing that may be newer.
func (m *memory) forget(v tenant.Version, began uint64) (whole bool) {
	whole, m.overflowed = !m.overflowed, false
	for _, w := range m.worlds {
		w.forget(v, began)
		// Of another epoch than this snapshot, and heard since it was asked for: the next snapshot may be of it.
		whole = whole && (w.tick <= began || v.Epoch == "" || w.epoch == v.Epoch)
	}
	return whole
}

// keptPromise reports whether the snapshot is as new as the heartbeats have said. A promise that was made before it was asked
// for is forgotten all the same: one that is forged asks for one snapshot more, and not for one after the other.
func (m *memory) keptPromise(v tenant.Version, began uint64) bool {
	kept := m.promised.IsZero() || v.Epoch == "" || m.promised.Epoch == v.Epoch && m.promised.Revision <= v.Revision
	if kept || m.promisedAt <= began {
		m.promised = tenant.Version{}
	}
	return kept
}

// leave remembers that the one epoch is past, and that the other is not.
func (m *memory) leave(before, now string) {
	m.worlds = slices.DeleteFunc(m.worlds, func(w *world) bool { return w.epoch == before })
	m.left = append(slices.DeleteFunc(m.left, func(epoch string) bool { return epoch == now }), before)
	m.left = m.left[max(0, len(m.left)-epochsRemembered):]
}

// past reports whether the epoch was left for another one.
func (m *memory) past(epoch string) bool { return slices.Contains(m.left, epoch) }

// behind reports whether the manager, by its heartbeat, is further than the set. Where that has no version yet the
// snapshot that brings one will tell.
func (m *memory) behind(v tenant.Version) bool {
	ahead := v.Epoch != "" && (v.Epoch != m.epoch || v.Revision > m.known().Revision)
	if ours := m.promised.Epoch != "" && m.promised.Epoch == m.epoch; ahead && (v.Epoch == m.epoch || !ours && !m.past(v.Epoch)) {
		m.tick++
		m.promised, m.promisedAt = v, m.tick
	}
	return ahead && m.epoch != ""
}
