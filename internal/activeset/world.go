package activeset

import (
	"maps"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// world is what was heard of one epoch, or without a version, since a snapshot has covered the rest.
type world struct {
	revisions

	epoch string          // empty for what has no version
	tick  uint64          // of the memory, when a revision of it was heard of last
	marks map[string]mark // by canonical id
	lost  bool            // what one of the revisions said was forgotten, or never understood
}

// mark is what was said of a tenant last. It goes when a snapshot has covered it.
type mark struct {
	id     string
	active bool      // what the newest add or remove said
	said   word      // when that was
	asked  word      // when tenant.activated was: the tenant may be active again, and only the snapshot can say so
	at     time.Time // the newest timestamp of either; zero when none had one
}

// word is the place of something that was said. It is zero where nothing was.
type word struct {
	revision uint64 // zero without a version
	tick     uint64 // of the memory
}

// newer reports whether what was said of a world is newer than a snapshot of the version, whose request began at the tick.
// Where they cannot be compared by revision, what was heard while the request was under way is.
func (w word) newer(epoch string, v tenant.Version, began uint64) bool {
	if epoch == "" || v.Epoch == "" {
		return w.tick > began
	}
	return epoch == v.Epoch && w.revision > v.Revision
}

// newer reports whether anything that was said of the tenant is.
func (k mark) newer(epoch string, v tenant.Version, began uint64) bool {
	return k.said.newer(epoch, v, began) || k.asked.newer(epoch, v, began)
}

// tick is when the tenant was spoken of last.
func (k mark) tick() uint64 { return max(k.said.tick, k.asked.tick) }

// put keeps the mark.
func (w *world) put(key string, k mark) {
	if w.marks == nil {
		w.marks = make(map[string]mark)
	}
	w.marks[key] = k
}

// cover raises the prefix to the revision of a snapshot. It returns false when something above that was lost.
func (w *world) cover(revision uint64) (whole bool) {
	whole, w.lost = !w.lost || w.newest() <= revision, false
	w.raise(revision)
	return whole
}

// forget drops the marks that a snapshot, of this world or of another one, has covered.
func (w *world) forget(v tenant.Version, began uint64) {
	of := v
	if w.epoch != v.Epoch {
		of = tenant.Version{} // it says nothing of these revisions
	}
	before := len(w.marks)
	maps.DeleteFunc(w.marks, func(_ string, k mark) bool { return !k.newer(w.epoch, of, began) })
	w.lost = w.lost || w.epoch != v.Epoch && len(w.marks) < before
}

// believe forgets what was heard before the tick and is newer than the revision.
func (w *world) believe(revision, began uint64) {
	maps.DeleteFunc(w.marks, func(_ string, k mark) bool {
		return max(k.said.revision, k.asked.revision) > revision && k.tick() <= began
	})
	w.revisions.believe(revision)
}

// adopt takes over what was said of the tenants of another world, where it is newer, and not by which revision.
func (w *world) adopt(other *world) {
	for key, k := range other.marks {
		if k.tick() > w.marks[key].tick() {
			k.said.revision, k.asked.revision = 0, 0
			w.put(key, k)
		}
	}
}

// shrink forgets the revisions that would tell nothing more, because what some of them said is lost.
func (w *world) shrink() {
	if w.lost {
		w.revisions.shrink()
	}
}
