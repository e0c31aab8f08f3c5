package store

import (
	"context"
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
	watchLimit   = time.Second            // of one look

	// knownFor is how old the last look may be for this process to go on relaying.
	knownFor = time.Second
	// sentWithin is how long after a call of Leading something is sent, at the most.
	sentWithin = 2 * time.Second
	// settleFor is how long the first relay on another server waits: whoever relayed on the one of before has seen by then
	// that the address leads elsewhere, and what it was sending is sent.
	settleFor = knownFor + sentWithin
)

// farEnd is the server that an address leads to, as far as it is known.
type farEnd struct {
	mu     sync.Mutex // guards what follows
	turn   int64      // another one for each server, and whenever all connections shall be made again
	server string
	began  time.Time // when the newest connection was begun that led there
	looked time.Time // when the last look was begun, whatever it has seen

	asking sync.Mutex // held during a look: one at a time is enough
}

var errElsewhere = fmt.Errorf("%w: its address leads to another server by now", ErrUnavailable)

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
	return f.turn, nil
}

// distrust has all connections made again.
func (f *farEnd) distrust() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
}

// lookedWithin reports whether a look that was begun so long ago, or later, is over.
func (f *farEnd) lookedWithin(d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.looked) < d
}

func (f *farEnd) note(looked time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if looked.After(f.looked) {
		f.looked = looked
	}
}

// keepWatch looks where the address leads until p.end.
func (p *postgres) keepWatch() {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for p.pause(ctx) {
			p.lookAgain(ctx)
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
	select {
	case <-ctx.Done():
		return false
	case <-time.After(every):
		return true
	}
}

// lookAgain makes a connection and ends it. One that cannot be made says nothing: what there is may go on working.
func (p *postgres) lookAgain(ctx context.Context) {
	p.far.asking.Lock()
	defer p.far.asking.Unlock()
	if p.far.lookedWithin(knownFor / 2) {
		return // somebody has looked meanwhile
	}
	before, began := p.far.current(), time.Now()
	defer p.far.note(began)
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	config := p.config.Copy()
	p.expect(config, p.kind(false, nil))
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return
	}
	_ = conn.Close(ctx)
	if p.far.current() != before {
		p.log.LogAttrs(ctx, slog.LevelWarn, "the database's address leads to another server now; all connections are made again")
	}
}

// leadsHere looks, unless that was done a moment ago, and is an error when the address does not lead to the server of turn.
func (p *postgres) leadsHere(ctx context.Context, turn int64) error {
	if !p.far.lookedWithin(knownFor) {
		p.lookAgain(ctx)
	}
	return p.far.still(turn)
}
