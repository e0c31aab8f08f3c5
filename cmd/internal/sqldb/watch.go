package sqldb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

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
