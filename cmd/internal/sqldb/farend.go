package sqldb

import (
	"fmt"
	"sync"
	"time"
)

// An address may lead to another server from one moment to the next, and a connection to the one of before goes on working.
// So a new connection is made now and then, only to see where it leads.
const (
	watchEvery   = time.Second
	watchLeading = 700 * time.Millisecond // while this process leads
	watchLimit   = 3 * time.Second        // of one look

	// knownFor is how old the last look that succeeded may be for this process to go on leading, counted from its beginning, and to
	// commit a change, counted from its end.
	knownFor = time.Second
	// failedFor is for how long a look that failed answers those that ask for one.
	failedFor = knownFor / 2
	// sentWithin is how long after a call of Lease.Check something is sent, at most.
	sentWithin = 2 * time.Second
	// settleFor is how long the first to lead on another server waits: whoever led on the one of before has seen by then
	// that the address leads elsewhere, and what it was sending is sent.
	settleFor = knownFor + sentWithin
)

// farEnd is the server that an address leads to, as far as it is known.
type farEnd struct {
	mu      sync.Mutex // guards what follows
	turn    int64      // another one for each server, and whenever all connections shall be made again
	server  string
	began   time.Time // when the newest connection was begun that led there, which is the last look that succeeded
	seen    time.Time // when the newest look that succeeded was over
	failed  time.Time // when the last look that failed was over
	failure error     // of that look

	wish   chan struct{} // has an element while somebody waits for a look
	ends   chan struct{} // closed at the end of the look that goes on, or is next; nil while nobody waits
	closed bool          // nobody looks any more
}

var (
	errElsewhere = fmt.Errorf("%w: its address leads to another server by now", ErrUnavailable)
	errUnseen    = fmt.Errorf("%w: nobody can tell whether its address still leads to the same server, because no new connection "+
		"to it has succeeded for a second", ErrUnavailable)
)

func (f *farEnd) current() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.turn
}

// still is an error when connections of that turn are not to be used any more.
func (f *farEnd) still(turn int64) error {
	if f.current() != turn {
		return errElsewhere
	}
	return nil
}

// met notes that a connection that was begun then has led to server, and returns its turn. It is an error when a later one
// led elsewhere.
func (f *farEnd) met(server string, began time.Time) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if server != f.server {
		if began.Before(f.began) {
			return 0, errElsewhere
		}
		f.server = server
		f.turn++
	}
	if began.After(f.began) {
		f.began = began
	}
	if now := time.Now(); now.Sub(began) <= watchLimit { // what took longer tells of too long ago
		f.seen = now
	}
	return f.turn, nil
}

// missed notes that a look has failed.
func (f *farEnd) missed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed, f.failure = time.Now(), err
}

// distrust has all connections made again.
func (f *farEnd) distrust() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
}

// use is what somebody wants to do who asks where the address leads.
type use int

const (
	// toLead needs that it led here when that was asked, or a moment before: another that begins to lead relies on it.
	toLead use = iota
	// toCommit needs that a look has succeeded a moment ago. A change has the row of the environment while it asks: if each needed
	// a look that began later, slow looks would let one change pass for each look.
	toCommit
)

// leads is an error unless the address is known to lead to the server of turn, for that use. ask reports whether another look may
// tell otherwise.
func (f *farEnd) leads(turn int64, asked time.Time, use use) (ask bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.turn != turn:
		return false, errElsewhere
	case !f.began.Before(asked) || time.Since(f.began) < knownFor:
		return false, nil
	case use == toCommit && time.Since(f.seen) < knownFor:
		return false, nil
	case f.failed.After(f.began) && f.failure != nil:
		// One that failed answers all who ask at about that time, or a server that is away would be asked for each change.
		return time.Since(f.failed) >= failedFor, fmt.Errorf("%w: %w", errUnseen, f.failure)
	}
	return true, errUnseen
}

// look returns a channel that is closed at the end of a look.
func (f *farEnd) look() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends == nil {
		f.ends = make(chan struct{})
		if f.closed {
			close(f.ends)
		}
	}
	select {
	case f.wish <- struct{}{}:
	default:
	}
	return f.ends
}

// looked tells those that wait for the end of a look. The last one is final.
func (f *farEnd) looked(final bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends != nil && !f.closed {
		close(f.ends)
		f.ends = nil
	}
	f.closed = f.closed || final
	select { // what was wished for during the look was answered by it
	case <-f.wish:
	default:
	}
}
