package discovery

import (
	"maps"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// world is what was heard of one epoch, or without a version, since a snapshot has covered the rest.
type world struct {
	epoch  string // empty for what has no version
	tick   uint64 // of the memory, when a revision of it was heard of last
	prefix uint64 // all revisions up to it are known
	// ahead are the revisions above the prefix that were heard of, at most memorySlack, and when that was.
	ahead map[uint64]time.Time
	told  uint64    // up to it, what is missing has been told
	waits time.Time // no hole above that is older; zero when there is none
	marks map[string]mark
	lost  bool // what one of the revisions said was forgotten, or never understood
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

func (w *world) newest() uint64 {
	newest := w.prefix
	for revision := range w.ahead {
		newest = max(newest, revision)
	}
	return newest
}

// see takes note of a revision. It returns false when it cannot remember one more.
func (w *world) see(revision uint64, now time.Time) bool {
	_, twice := w.ahead[revision]
	switch {
	case revision <= w.prefix || twice:
		return true
	case len(w.ahead) >= memorySlack:
		return false
	case w.ahead == nil:
		w.ahead = make(map[uint64]time.Time)
	}
	w.ahead[revision] = now
	if w.waits.IsZero() {
		w.waits = now
	}
	w.join()
	return true
}

// join lengthens the prefix as far as there is no hole.
func (w *world) join() {
	for w.heardOf(w.prefix + 1) {
		w.prefix++
		delete(w.ahead, w.prefix)
	}
	if len(w.ahead) == 0 {
		w.waits = time.Time{}
	}
}

func (w *world) heardOf(revision uint64) bool {
	_, heard := w.ahead[revision]
	return heard
}

// hole returns a revision that has been missing since the moment, by a higher one that was heard by then, and was not told.
// It is zero when there is none. oldest says how long the oldest hole may have been there, and is zero when there is none.
func (w *world) hole(moment time.Time) (missing uint64, oldest time.Time) {
	if w.waits.IsZero() || w.waits.After(moment) {
		return 0, w.waits
	}
	missing, w.waits = max(w.prefix, w.told)+1, time.Time{}
	for w.heardOf(missing) {
		missing++
	}
	for revision, at := range w.ahead {
		if revision > missing && (w.waits.IsZero() || at.Before(w.waits)) {
			w.waits = at
		}
	}
	if w.waits.IsZero() || w.waits.After(moment) {
		return 0, w.waits
	}
	return missing, w.waits
}

// tell notes that a snapshot is asked for because of what is missing.
func (w *world) tell() { w.told, w.waits = w.newest(), time.Time{} }

// cover raises the prefix to the revision of a snapshot. It returns false when something above that was lost.
func (w *world) cover(revision uint64) (whole bool) {
	whole, w.lost = !w.lost || w.newest() <= revision, false
	w.prefix = max(w.prefix, revision)
	maps.DeleteFunc(w.ahead, func(heard uint64, _ time.Time) bool { return heard <= w.prefix })
	w.join()
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
	w.ahead, w.prefix, w.told, w.waits = nil, min(w.prefix, revision), min(w.told, revision), time.Time{}
}

// adopt takes over what was said of the tenants of another world, where it is newer, and not by which revision.
func (w *world) adopt(other *world) {
	if w.marks == nil {
		w.marks = make(map[string]mark)
	}
	for key, k := range other.marks {
		if k.tick() > w.marks[key].tick() {
			k.said.revision, k.asked.revision = 0, 0
			w.marks[key] = k
		}
	}
}

// shrink keeps of the revisions the newest alone, where more would tell nothing more: what some of them said is lost.
func (w *world) shrink() {
	if newest := w.newest(); w.lost && newest > w.prefix {
		w.ahead = map[uint64]time.Time{newest: w.ahead[newest]}
	}
}
