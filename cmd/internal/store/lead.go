package store

import (
	"context"
	"errors"
	"sync"
)

// lease is the right to relay.
type lease struct {
	once  sync.Once
	end   func()
	check func(context.Context) error
}

// Lead blocks until this process may relay the events of the environment, or ctx ends. Of all that share a PostgreSQL
// database one may; a SQLite file has only one. release ends it, and so does the loss of the connection, or that the address
// leads to another server, which Leading tells. What is sent has to be sent within two seconds of a call of Leading: where the
// last one to lead did so on another server, Lead waits until that time is over for it too.
func (s *Store) Lead(ctx context.Context) (release func(), err error) {
	l, err := s.db.lead(ctx, s.writer, s.env)
	if err != nil {
		return nil, s.explain(ctx, "wait to be the relay", err)
	}
	s.mu.Lock()
	s.leader = l
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		if s.leader == l {
			s.leader = nil
		}
		s.mu.Unlock()
		l.release()
	}, nil
}

// Leading returns nil while this process may relay.
func (s *Store) Leading(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s.mu.Lock()
	l := s.leader
	s.mu.Unlock()
	if l == nil {
		return errors.New("another process may be the relay: Lead was not called, or released")
	}
	return s.explain(ctx, "check to be the relay", l.check(ctx))
}

func (l *lease) release() { l.once.Do(l.end) }
