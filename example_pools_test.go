package tenantwatch_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// server stands for the driver of yours and the database that it leads to. It takes every connection.
type server struct{}

func (server) Connect(context.Context) (driver.Conn, error) { return connection{}, nil }
func (server) Driver() driver.Driver                        { return nil }

type connection struct{}

func (connection) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (connection) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }
func (connection) Close() error                        { return nil }

// databases lends the database pool of each tenant. It is kept by a Group whose Work is keep, and by nobody else.
type databases struct {
	open    func(ctx context.Context, tenantID string) (*sql.DB, error)
	refused func(err error) bool // whether the server did not take the credentials

	mu     sync.Mutex
	lent   map[string]*lent // by canonical id
	change chan struct{}    // closed when lent changes, and another one then
}

// lent is a pool that is open.
type lent struct {
	db    *sql.DB
	ctx   context.Context //nolint:containedctx // ends when the pool is to be closed
	stale chan error      // why the pool is of no use, if somebody has seen that
	users sync.WaitGroup
}

func newDatabases(open func(ctx context.Context, tenantID string) (*sql.DB, error), refused func(error) bool) *databases {
	return &databases{open: open, refused: refused, lent: map[string]*lent{}, change: make(chan struct{})}
}

// Use calls fn with the pool of the tenant, which is not closed before fn has returned; fn must not keep it. Its ctx ends
// when the tenant goes or is reconfigured. While there is no pool Use waits for one, until ctx ends.
func (d *databases) Use(ctx context.Context, tenantID string, fn func(ctx context.Context, db *sql.DB) error) error {
	l, err := d.borrow(ctx, tenant.CanonicalID(tenantID))
	if err != nil {
		return fmt.Errorf("no database of tenant %s: %w", tenantID, err)
	}
	defer l.users.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()
	err = fn(ctx, l.db)
	if err != nil && d.refused(err) { // a rotation of which nothing was heard
		select {
		case l.stale <- err:
		default: // somebody has said so
		}
	}
	return err
}

func (d *databases) borrow(ctx context.Context, key string) (*lent, error) {
	for {
		d.mu.Lock()
		l, change := d.lent[key], d.change
		there := l != nil && l.ctx.Err() == nil // else it is about to be closed
		if there {
			l.users.Add(1)
		}
		d.mu.Unlock()
		if there {
			return l, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// keep has the pool of one tenant open until ctx ends, which it does when the tenant goes or is reconfigured. In the
// second case, and when it returns an error, the Group calls it again.
func (d *databases) keep(ctx context.Context, tenantID string) error {
	db, err := d.open(ctx, tenantID)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	l := &lent{db: db, ctx: ctx, stale: make(chan error, 1)}
	d.set(tenant.CanonicalID(tenantID), l)
	select {
	case <-ctx.Done():
	case err = <-l.stale:
	}
	d.set(tenant.CanonicalID(tenantID), nil) // nobody borrows it from now on
	l.users.Wait()
	return errors.Join(err, db.Close())
}

func (d *databases) set(key string, l *lent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l != nil {
		d.lent[key] = l
	} else {
		delete(d.lent, key)
	}
	close(d.change)
	d.change = make(chan struct{})
}

// A database pool for each tenant: opened when the tenant comes, closed when it goes, opened again when its credentials or
// connections change, and never closed while somebody uses it.
func Example_databaseForEachTenant() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	_ = manager.Add(ctx, "ledger", "acme")
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	if err != nil {
		panic(err)
	}
	if err := d.Start(ctx); err != nil {
		panic(err)
	}
	defer func() { _ = d.Close() }()

	pools := newDatabases(func(ctx context.Context, tenantID string) (*sql.DB, error) {
		fmt.Println("open", tenantID) // yours asks the manager's Connections each time, and caches none of them
		db := sql.OpenDB(server{})    // sql.Open with the driver and the address of yours
		if err := db.PingContext(ctx); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		return db, nil
	}, func(err error) bool { return false }) // for PostgreSQL: whether its code is 28P01
	g, err := worker.NewGroup(worker.Config{Work: pools.keep})
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- g.Run(ctx, d.Changes(ctx)) }()

	_ = pools.Use(ctx, "acme", func(ctx context.Context, db *sql.DB) error {
		_ = manager.RotateCredentials(context.WithoutCancel(ctx), "acme", "ledger")
		<-ctx.Done()
		fmt.Printf("%v; what was lent is still open: %t\n", context.Cause(ctx), db.PingContext(context.WithoutCancel(ctx)) == nil)
		return nil
	})
	_ = pools.Use(ctx, "acme", func(ctx context.Context, db *sql.DB) error {
		_ = manager.Suspend(context.WithoutCancel(ctx), "acme")
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
		return nil
	})
	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// open acme
	// the tenant was reconfigured; what was lent is still open: true
	// open acme
	// the tenant was removed
	// ended: <nil>
}
