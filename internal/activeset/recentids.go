package activeset

import (
	"hash/maphash"
)

// idsRemembered is how many events are known again when they come twice.
const idsRemembered = 1 << 13

var idSeed = maphash.MakeSeed()

// recentIDs knows the last events again. It keeps a hash of each, over all that makes two events the same, so that ids of
// any length cost the same, and a manager that gives every event the same id loses none.
type recentIDs struct {
	known map[uint64]struct{}
	ring  []uint64
	at    int
}

// seen reports whether the event was seen before, and remembers it. An event without an id is never the same as another.
func (r *recentIDs) seen(v *verdict) bool {
	if v.eventID == "" {
		return false
	}
	sum := sumOf(v)
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

// mixing is odd, so that nothing is lost by multiplying with it: 2^64 divided by the golden ratio.
const mixing = 0x9e3779b97f4a7c15

// sumOf is a hash of all that makes two events the same. Each text is hashed by itself, so that none runs into the next.
func sumOf(v *verdict) uint64 {
	sum := v.version.Revision*mixing ^ uint64(v.at.UnixNano())
	for _, text := range [...]string{v.eventID, string(v.eventType), v.key, v.version.Epoch} {
		sum = (sum ^ maphash.String(idSeed, text)) * mixing
		sum ^= sum >> 32
	}
	return sum
}
