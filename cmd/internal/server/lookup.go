package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// lookups lets those that show the same secret at the same time be answered by one lookup. It begins after each of them has
// asked, so that what was revoked is refused at the next request.
type lookups struct {
	mu  sync.Mutex // guards what is below
	all map[[sha256.Size]byte]*asked
}

// asked is one secret that somebody asks for.
type asked struct {
	users int
	next  *lookup       // which has not begun yet; nil for none
	turn  chan struct{} // holds a token while one goes on
}

type lookup struct {
	done  chan struct{} // closed when the rest is there
	found store.Key
	err   error
	late  bool // the one that made it had no more time
}

func newLookups() *lookups { return &lookups{all: map[[sha256.Size]byte]*asked{}} }

// do returns what look finds, or what it finds for somebody else that came before it began, until ctx ends. look has as much time
// as the one that makes it; a caller that has more asks again.
func (l *lookups) do(ctx context.Context, digest [sha256.Size]byte, look func(context.Context) (store.Key, error)) (store.Key, error) {
	for {
		found, late, err := l.one(ctx, digest, look)
		if !late || ctx.Err() != nil {
			return found, err
		}
	}
}

func (l *lookups) one(ctx context.Context, digest [sha256.Size]byte, look func(context.Context) (store.Key, error)) (found store.Key, late bool, err error) {
	a, mine, first := l.join(digest)
	defer l.leave(digest, a)
	if first {
		l.make(ctx, a, mine, look)
		return mine.found, false, mine.err
	}
	select {
	case <-mine.done:
		return mine.found, mine.late, mine.err
	case <-ctx.Done():
		return store.Key{}, false, ctx.Err()
	}
}

// make is done by the one that came first, whether its client stays or not, for as long as it has time.
func (l *lookups) make(ctx context.Context, a *asked, mine *lookup, look func(context.Context) (store.Key, error)) {
	ctx, cancel := staying(ctx)
	defer cancel()
	defer close(mine.done)
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		l.begin(a)
		mine.late, mine.err = true, ctx.Err()
		return
	}
	l.begin(a)
	mine.found, mine.err = look(ctx)
	mine.late = mine.err != nil && ctx.Err() != nil
}

// staying is ctx without its cancellation, and with its deadline.
func staying(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !bounded {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end)
}

func (l *lookups) join(digest [sha256.Size]byte) (a *asked, mine *lookup, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a = l.all[digest]
	if a == nil {
		a = &asked{turn: make(chan struct{}, 1)}
		l.all[digest] = a
	}
	a.users++
	if first = a.next == nil; first {
		a.next = &lookup{done: make(chan struct{})}
	}
	return a, a.next, first
}

// begin lets those that come from now on have another one.
func (l *lookups) begin(a *asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.next = nil
}

func (l *lookups) leave(digest [sha256.Size]byte, a *asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.users--; a.users == 0 {
		delete(l.all, digest)
	}
}

// check finds whose a secret is. What is wrong, or nobody's, is store.ErrNotFound.
func (s *Server) check(ctx context.Context, kind kindOfSecret, secret string) (store.Key, error) {
	if secret == "" || len(secret) > maxSecretBytes {
		return store.Key{}, store.ErrNotFound
	}
	who, wrong := s.faces.of(kind, secret)
	if wrong {
		return store.Key{}, store.ErrNotFound
	}
	if who == "" {
		who = stranger(noteOf(ctx).address)
	}
	return s.lookups.do(ctx, kind.digest(secret), func(ctx context.Context) (store.Key, error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
		defer cancel()
		done, err := s.limits.lookups.take(ctx, who)
		if err != nil {
			return store.Key{}, err
		}
		defer done()
		return s.lookUp(ctx, kind, secret)
	})
}

func (s *Server) lookUp(ctx context.Context, kind kindOfSecret, secret string) (store.Key, error) {
	find := s.store.CheckKey
	if kind == aToken {
		find = s.store.CheckToken
	}
	found, err := find(ctx, secret)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		s.faces.note(kind, secret, found.ID)
	}
	return found, err
}
