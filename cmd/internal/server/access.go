package server

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

const (
	// maxFaces is how many secrets are remembered, good ones and wrong ones each.
	maxFaces = 10_000
	// wrongFor is how long a secret that was wrong is taken for wrong without a look. One that is made in the meantime is
	// not among them: it is as random as all, and nobody has seen it.
	wrongFor = time.Second
)

// faces remembers whose a secret was when it was looked up last, as a digest. It decides who waits for whom, and that a secret
// which was just wrong is wrong; it lets nobody in.
type faces struct {
	mu    sync.Mutex // guards what is below
	good  map[[sha256.Size]byte]string
	wrong map[[sha256.Size]byte]time.Time
}

// kindOfSecret keeps a token that is shown as a key, and so is wrong, from being wrong as a token too.
type kindOfSecret string

const (
	aKey   kindOfSecret = "key"
	aToken kindOfSecret = "token"
)

func (k kindOfSecret) digest(secret string) [sha256.Size]byte {
	return sha256.Sum256([]byte(string(k) + " " + secret))
}

func newFaces() *faces {
	return &faces{good: map[[sha256.Size]byte]string{}, wrong: map[[sha256.Size]byte]time.Time{}}
}

// of returns the id of the key or the token that a secret was, or "".
func (f *faces) of(kind kindOfSecret, secret string) (id string, wrong bool) {
	digest := kind.digest(secret)
	f.mu.Lock()
	defer f.mu.Unlock()
	at, was := f.wrong[digest]
	return f.good[digest], was && time.Since(at) < wrongFor
}

// note remembers what a lookup has found; an empty id is nothing.
func (f *faces) note(kind kindOfSecret, secret, id string) {
	digest := kind.digest(secret)
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == "" {
		delete(f.good, digest)
		if len(f.wrong) >= maxFaces {
			clear(f.wrong)
		}
		f.wrong[digest] = time.Now()
		return
	}
	if len(f.good) >= maxFaces {
		clear(f.good)
	}
	f.good[digest] = id
}

// once asks a question once for all that want to know within a while.
type once struct {
	fresh  time.Duration
	asking chan struct{} // holds a token while it is asked, and guards what is below

	at  time.Time // when the answer came
	err error
}

// freshFor is how long an answer is everybody's.
const freshFor = time.Second

func newOnce() *once {
	return &once{fresh: freshFor, asking: make(chan struct{}, 1)}
}

// ask returns the answer of at most fresh ago, within limit, which is for the waiting and for the question together. Whoever asks
// does not end the question for the others by going away.
func (o *once) ask(ctx context.Context, limit time.Duration, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	select {
	case o.asking <- struct{}{}:
		defer func() { <-o.asking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !o.at.IsZero() && time.Since(o.at) < o.fresh {
		return o.err
	}
	o.err = question(ctx)
	o.at = time.Now()
	return o.err
}

const (
	// standingEvery is how often a stream looks whether what it has shown still holds. With the time that an answer counts
	// for, and the longest that a lookup may take, it is 5 s at most.
	standingEvery = 2 * time.Second
	standingLimit = 2 * time.Second
)

// standing is what the streams have shown, once for all that have shown the same.
type standing struct {
	mu  sync.Mutex // guards all
	all map[[sha256.Size]byte]*shown
}

// shown is a key, a token or both.
type shown struct {
	*once

	header http.Header
	users  int // guarded by standing
}

// join returns what others have shown too. leave has to be called once.
func (s *standing) join(h http.Header) (mine *shown, leave func()) {
	digest := sha256.Sum256([]byte(h.Get(managerapi.HeaderAPIKey) + "\n" + h.Get("Authorization")))
	s.mu.Lock()
	defer s.mu.Unlock()
	mine = s.all[digest]
	if mine == nil {
		mine = &shown{header: h, once: newOnce()}
		s.all[digest] = mine
	}
	mine.users++
	return mine, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(s.all, digest)
		}
	}
}

// holds is an error when what was shown does not hold any more, or nobody can tell.
func (s *Server) holds(ctx context.Context, what *shown) error {
	return what.ask(ctx, standingLimit, func(ctx context.Context) error {
		_, err := s.authorize(ctx, what.header, false)
		return err
	})
}
