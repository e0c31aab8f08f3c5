package sqldb

import (
	"sync"
	"time"
)

// Room is how many calls of each kind a database works on at the same time; further ones wait.
type Room struct {
	Lists   int // calls of Stream
	Lookups int // calls of Lookup
	Reads   int // all other calls that only read
	Changes int // calls that change something
}

const (
	// spare is what is left of the connections for what no client asks for, as the relay does.
	spare = 4
	// enough readings for each processor, of which some wait for the disk, and some to be given one at all.
	enough = 8
)

const (
	// reserveBytes are more than what a change writes as a rule, so that a disk that is almost full is seen.
	reserveBytes = 64 << 10
	// reserveEvery is how often so much is written although nothing makes one doubt that there is room.
	reserveEvery = 30 * time.Second
	// reserveMargin is how much has to be free, where that can be told, for there to be no doubt.
	reserveMargin = 64 << 20
)

// reserve is whether there was room for a change when it was tried last. Zero is that nobody has.
type reserve struct {
	mu sync.Mutex // guards at
	at time.Time  // when there was
}

// inDoubt reports whether it has to be tried again.
func (r *reserve) inDoubt() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at.IsZero() || time.Since(r.at) >= reserveEvery
}

func (r *reserve) there(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = at
}
