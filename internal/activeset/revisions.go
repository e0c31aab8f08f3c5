package activeset

import (
	"maps"
	"time"
)

// revisions are those of one epoch that were heard of. They are dense, so that one that is missing below another shows. The zero
// revisions know of none.
type revisions struct {
	prefix uint64 // all up to it are known
	// ahead are those above the prefix that were heard of, at most memorySlack, and when that was.
	ahead map[uint64]time.Time
	told  uint64    // up to it, what is missing has been told
	waits time.Time // no hole above that is older; zero when there is none
}

// newest is the highest that was heard of.
func (r *revisions) newest() uint64 {
	newest := r.prefix
	for revision := range r.ahead {
		newest = max(newest, revision)
	}
	return newest
}

// see takes note of one. It returns false when it cannot remember one more.
func (r *revisions) see(revision uint64, now time.Time) bool {
	if revision == r.prefix+1 && len(r.ahead) == 0 { // as nearly all are
		r.prefix++
		return true
	}
	_, twice := r.ahead[revision]
	switch {
	case revision <= r.prefix || twice:
		return true
	case len(r.ahead) >= memorySlack:
		return false
	case r.ahead == nil:
		r.ahead = make(map[uint64]time.Time)
	}
	r.ahead[revision] = now
	if r.waits.IsZero() {
		r.waits = now
	}
	r.join()
	return true
}

// join lengthens the prefix as far as there is no hole.
func (r *revisions) join() {
	for r.heardOf(r.prefix + 1) {
		r.prefix++
		delete(r.ahead, r.prefix)
	}
	if len(r.ahead) == 0 {
		r.waits = time.Time{}
	}
}

func (r *revisions) heardOf(revision uint64) bool {
	_, heard := r.ahead[revision]
	return heard
}

// hole returns a revision that has been missing since the moment, by a higher one that was heard by then, and was not told.
// It is zero when there is none. oldest says how long the oldest hole may have been there, and is zero when there is none.
func (r *revisions) hole(moment time.Time) (missing uint64, oldest time.Time) {
	if r.waits.IsZero() || r.waits.After(moment) {
		return 0, r.waits
	}
	missing, r.waits = max(r.prefix, r.told)+1, time.Time{}
	for r.heardOf(missing) {
		missing++
	}
	for revision, at := range r.ahead {
		if revision > missing && (r.waits.IsZero() || at.Before(r.waits)) {
			r.waits = at
		}
	}
	if r.waits.IsZero() || r.waits.After(moment) {
		return 0, r.waits
	}
	return missing, r.waits
}

// tell notes that a snapshot is asked for because of what is missing.
func (r *revisions) tell() { r.told, r.waits = r.newest(), time.Time{} }

// raise makes the revision of a snapshot the prefix, unless that is higher.
func (r *revisions) raise(revision uint64) {
	r.prefix = max(r.prefix, revision)
	maps.DeleteFunc(r.ahead, func(heard uint64, _ time.Time) bool { return heard <= r.prefix })
	r.join()
}

// believe forgets all that is newer than the revision.
func (r *revisions) believe(revision uint64) {
	r.ahead, r.prefix, r.told, r.waits = nil, min(r.prefix, revision), min(r.told, revision), time.Time{}
}

// shrink keeps the newest alone, beside the prefix.
func (r *revisions) shrink() {
	if newest := r.newest(); newest > r.prefix {
		r.ahead = map[uint64]time.Time{newest: r.ahead[newest]}
	}
}
