package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/store"
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
