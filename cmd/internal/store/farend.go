package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// An address may lead to another server from one moment to the next, and a connection to the one of before goes on working.
// So a new connection is made now and then, only to see where it leads.
const (
	watchEvery   = time.Second
	watchLeading = 700 * time.Millisecond // while this process relays
	watchLimit   = 3 * time.Second        // of one look

	// knownFor is how old the last look that succeeded may be for this process to go on relaying, counted from its beginning, and to
	// commit a change, counted from its end.
	knownFor = time.Second
	// failedFor is for how long a look that failed answers those that ask for one.
	failedFor = knownFor / 2
	// sentWithin is how long after a call of Leading something is sent, at most.
	sentWithin = 2 * time.Second
	// settleFor is how long the first relay on another server waits: whoever relayed on the one of before has seen by then
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
	// toRelay needs that it led here when that was asked, or a moment before: another that begins to relay relies on it.
	toRelay use = iota
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

// leadsHere looks, unless that was done a moment ago, and is an error unless the address is known to lead to the server of
// turn. All who ask at one time share one look, whose end does not depend on any of them.
func (p *postgres) leadsHere(ctx context.Context, turn int64, use use) error {
	asked := time.Now()
	for range 2 { // one that goes on already may have begun too early
		if ask, err := p.far.leads(turn, asked, use); !ask {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.far.look():
		}
	}
	_, err := p.far.leads(turn, asked, use)
	return err
}

// keepWatch looks where the address leads until p.end.
func (p *postgres) keepWatch() {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		var w witness
		defer func() { w.replace(nil) }()
		defer p.far.looked(true)
		for p.pause(ctx) {
			p.lookAgain(ctx, &w)
			p.far.looked(false)
		}
	})
	p.end = func() {
		cancel()
		watching.Wait()
	}
}

func (p *postgres) pause(ctx context.Context) bool {
	every := watchEvery
	if p.leading.Load() > 0 {
		every = watchLeading
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.far.wish:
	case <-timer.C:
	}
	return true
}

// lookAgain makes a connection, and keeps it as the witness for a time when there is room for none.
func (p *postgres) lookAgain(ctx context.Context, w *witness) {
	before, began := p.far.current(), time.Now()
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	config := p.config.Copy()
	config.ConnectTimeout = watchLimit / time.Duration(2+len(config.Fallbacks)) // one that is silent leaves time for the next
	p.expect(config, p.kind(false, nil))
	conn, err := pgx.ConnectConfig(ctx, config)
	switch {
	case err == nil:
		w.replace(conn)
	case errors.Is(ctx.Err(), context.Canceled):
		return
	case w.confirms(ctx, p, err):
		_, err = p.far.met(w.server(), began)
	}
	if err != nil {
		p.far.missed(err)
	}
	if p.far.current() != before {
		p.log.LogAttrs(ctx, slog.LevelWarn, "the database's address leads to another server now; all connections are made again")
	}
}
