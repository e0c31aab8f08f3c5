package tenantwatch_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

var errRefused = errors.New("password authentication failed")

// openedPools counts the pools that example_pools_test.go opens.
type openedPools struct {
	mu  sync.Mutex
	all []*sql.DB
}

func (o *openedPools) open(context.Context, string) (*sql.DB, error) {
	db := sql.OpenDB(server{})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, db)
	return db, nil
}

func (o *openedPools) list() []*sql.DB {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*sql.DB(nil), o.all...)
}

// TestPoolsAreNotClosedUnderTheirUsers: while tenants are reconfigured, and pools turn out to be of no use, whoever has
// borrowed one can use it, there is never more than one, and in the end all are closed.
func TestPoolsAreNotClosedUnderTheirUsers(t *testing.T) {
	const users, rotations = 8, 20
	d, manager := discoveryOf(t, "acme")
	var opened openedPools
	pools := newDatabases(opened.open, func(err error) bool { return errors.Is(err, errRefused) })
	g, err := worker.NewGroup(worker.Config{Work: pools.keep, MinBackoff: time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- g.Run(ctx, d.Changes(ctx)) }()

	var working sync.WaitGroup
	var used atomic.Int64
	using, enough := context.WithCancel(ctx)
	for range users {
		working.Go(func() {
			for using.Err() == nil {
				err := pools.Use(using, "acme", func(ctx context.Context, db *sql.DB) error {
					if used.Add(1)%100 == 0 {
						return errRefused
					}
					return db.PingContext(context.WithoutCancel(ctx))
				})
				if err != nil && !errors.Is(err, errRefused) && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range rotations {
		before := len(opened.list())
		if err := manager.RotateCredentials(ctx, "acme", "ledger"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another pool", func() bool { return len(opened.list()) > before })
	}
	eventually(t, "more uses", func() bool { return used.Load() > 500 })
	enough()
	working.Wait()

	if err := manager.Suspend(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all pools to be closed", func() bool {
		for _, db := range opened.list() {
			if db.PingContext(t.Context()) == nil {
				return false
			}
		}
		return true
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := pools.Use(ctx, "acme", func(context.Context, *sql.DB) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a pool of a tenant that has gone: %v", err)
	}
}

// TestAPoolWhoseCredentialsAreRefusedIsOpenedAnew, although nobody was told of a rotation.
func TestAPoolWhoseCredentialsAreRefusedIsOpenedAnew(t *testing.T) {
	d, _ := discoveryOf(t, "acme")
	var opened openedPools
	pools := newDatabases(opened.open, func(err error) bool { return errors.Is(err, errRefused) })
	g, err := worker.NewGroup(worker.Config{Work: pools.keep, MinBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- g.Run(ctx, d.Changes(ctx)) }()
	err = pools.Use(ctx, "acme", func(context.Context, *sql.DB) error { return errRefused })
	if !errors.Is(err, errRefused) {
		t.Errorf("the user got %v", err)
	}
	eventually(t, "another pool", func() bool { return len(opened.list()) == 2 })
	if err := pools.Use(ctx, "acme", func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
