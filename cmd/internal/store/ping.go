package store

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
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

// Ping writes to the database, and so tells whether changes can be made. It is a few bytes as a rule; as much as a change when that
// was not tried for half a minute, when little room is left, or after something could not be written.
func (s *Store) Ping(ctx context.Context) error {
	now := time.Now()
	free, known := s.db.free()
	if !s.reserve.inDoubt() && (!known || free >= reserveMargin) {
		return s.write(ctx, "ping the database", func(ctx context.Context, t tx) error {
			_, err := t.exec(ctx, `UPDATE relays SET pinged = ?2 WHERE env = ?1`, s.env, micros(now))
			return err
		})
	}
	err := s.write(ctx, "ping the database", func(ctx context.Context, t tx) error {
		filler := make([]byte, reserveBytes)
		_, _ = rand.Read(filler) // it never fails; nothing may compress it
		_, err := t.exec(ctx, `INSERT INTO probes (env, at, filler) VALUES (?1, ?2, ?3)
			ON CONFLICT (env) DO UPDATE SET at = excluded.at, filler = excluded.filler`, s.env, micros(now), filler)
		return err
	})
	if err == nil {
		s.reserve.there(now)
	}
	return err
}
