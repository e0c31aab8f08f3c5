package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// TestX36ThoseThatShowTheSameAreOneLookup, which begins after they have asked: what is revoked while one goes on is refused by
// the next.
func TestX36ThoseThatShowTheSameAreOneLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookups()
		looks, revoked := 0, false
		look := func(context.Context) (store.Key, error) {
			looks++
			if revoked {
				return store.Key{}, store.ErrNotFound
			}
			time.Sleep(time.Second)
			return store.Key{ID: "k"}, nil
		}
		var running sync.WaitGroup
		ask := func(want error) {
			running.Go(func() {
				if found, err := l.do(t.Context(), [sha256.Size]byte{1}, look); !errors.Is(err, want) || err == nil && found.ID != "k" {
					t.Errorf("%+v, %v; want %v", found, err, want)
				}
			})
		}
		ask(nil)
		synctest.Wait() // the first has begun
		revoked = true
		for range 1000 {
			ask(store.ErrNotFound)
		}
		running.Wait()
		if looks != 2 || len(l.all) != 0 {
			t.Errorf("%d lookups, %d are remembered; want 2 and none", looks, len(l.all))
		}
	})
}

// TestX36AClientThatIsGoneDoesNotEndTheLookupOfOthers that wait for it.
func TestX36AClientThatIsGoneDoesNotEndTheLookupOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookups()
		gone, leave := context.WithCancel(t.Context())
		look := func(ctx context.Context) (store.Key, error) {
			time.Sleep(time.Second)
			return store.Key{ID: "k"}, ctx.Err()
		}
		var running sync.WaitGroup
		for _, ctx := range []context.Context{t.Context(), gone, t.Context()} {
			running.Go(func() {
				if _, err := l.do(ctx, [sha256.Size]byte{1}, look); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		leave()
		running.Wait()
	})
}

// TestX37ALookupKeepsItsTime although the database is silent, and another that has more time is under way or was joined.
func TestX37ALookupKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookups()
		var answers atomic.Bool
		look := func(ctx context.Context) (store.Key, error) {
			if answers.Load() {
				return store.Key{ID: "k"}, nil
			}
			<-ctx.Done()
			return store.Key{}, store.ErrUnavailable
		}
		var running sync.WaitGroup
		ask := func(limit, want time.Duration, found bool) {
			began := time.Now()
			running.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				got, err := l.do(ctx, [sha256.Size]byte{1}, look)
				if took := time.Since(began); took != want || (err == nil) != found || found && got.ID != "k" {
					t.Errorf("with %s: %+v and %v after %s, want %s", limit, got, err, took, want)
				}
			})
			synctest.Wait()
		}
		ask(10*time.Second, 10*time.Second, false) // is under way
		ask(2*time.Second, 2*time.Second, false)   // waits for its turn
		ask(4*time.Second, 4*time.Second, false)   // has joined that one, and has more time
		ask(time.Second, time.Second, false)       // has joined it too
		running.Wait()
		ask(2*time.Second, 2*time.Second, false)
		ask(10*time.Second, 2*time.Second, true)
		answers.Store(true)
		running.Wait()
		if len(l.all) != 0 {
			t.Errorf("%d are remembered", len(l.all))
		}
	})
}
