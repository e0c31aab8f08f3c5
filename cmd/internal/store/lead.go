package store

import (
	"context"
	"errors"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

// Lead blocks until this process may relay the events of the environment, or ctx ends. Of all that share a PostgreSQL
// database one may; a SQLite file has only one. release ends it, and so does the loss of the connection, or that the address
// leads to another server, which Leading tells. What is sent has to be sent within two seconds of a call of Leading: where the
// last one to lead did so on another server, Lead waits until that time is over for it too.
func (s *Store) Lead(ctx context.Context) (release func(), err error) {
	l, err := s.db.Lead(ctx, leadershipOf(s.env))
	if err != nil {
		return nil, err
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
		l.Release()
	}, nil
}

// Leading returns nil while this process may relay.
func (s *Store) Leading(ctx context.Context) error {
	s.mu.Lock()
	l := s.leader
	s.mu.Unlock()
	if l == nil {
		return errors.New("another process may be the relay: Lead was not called, or released")
	}
	return l.Check(ctx)
}

func leadershipOf(env int64) sqldb.Leadership {
	return sqldb.Leadership{
		Number: env, LastServer: `SELECT server FROM relays WHERE env = ?1`, SetServer: `UPDATE relays SET server = ?2 WHERE env = ?1`,
	}
}

// Ping writes to the database, and so tells whether changes can be made. It is a few bytes as a rule; as much as a change when that
// was not tried for half a minute, when little room is left, or after something could not be written.
func (s *Store) Ping(ctx context.Context) error {
	now := micros(time.Now())
	return s.db.Probe(ctx, "ping the database", func(ctx context.Context, t sqldb.Tx, filler []byte) error {
		if filler == nil {
			_, err := t.Exec(ctx, `UPDATE relays SET pinged = ?2 WHERE env = ?1`, s.env, now)
			return err
		}
		_, err := t.Exec(ctx, `INSERT INTO probes (env, at, filler) VALUES (?1, ?2, ?3)
			ON CONFLICT (env) DO UPDATE SET at = excluded.at, filler = excluded.filler`, s.env, now, filler)
		return err
	})
}

// Room leaves something for what no client asks for. Changes wait in this process and share transactions.
func (s *Store) Room() Room {
	r := s.db.Room()
	r.Changes = together
	return r
}
