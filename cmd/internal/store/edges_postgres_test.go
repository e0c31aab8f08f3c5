package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/test/edges"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// subject is what an operation is done to: a tenant of the service ledger, with its key, and an event.
type subject struct {
	id, key string
	event   EventRef
}

// asked is a column. A change is one that a server which takes none refuses.
type asked struct {
	change bool
	run    func(ctx context.Context, s *Store, on subject) error
}

func reading(run func(ctx context.Context, s *Store, on subject) error) asked {
	return asked{run: run}
}

func changing(run func(ctx context.Context, s *Store, on subject) error) asked {
	return asked{change: true, run: run}
}

// second is the error of a call that returns something else first.
func second[T any](_ T, err error) error { return err }

var operations = map[string]asked{
	"Store.Version":       reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Version(ctx)) }),
	"Store.ActiveVersion": reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.ActiveVersion(ctx, "ledger")) }),
	"Store.Active": reading(func(ctx context.Context, s *Store, _ subject) error {
		return s.Active(ctx, "ledger", func(ActiveVersion) error { return nil }, func(tenant.Summary) error { return nil })
	}),
	"Store.Changes": reading(func(ctx context.Context, s *Store, _ subject) error {
		v, err := s.Version(ctx)
		if err != nil {
			return err
		}
		return second(s.Changes(ctx, "ledger", v, everything))
	}),
	"Store.Tenant":       reading(func(ctx context.Context, s *Store, on subject) error { return second(s.Tenant(ctx, on.id)) }),
	"Store.Tenants":      reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Tenants(ctx, TenantFilter{})) }),
	"Store.Associations": reading(func(ctx context.Context, s *Store, on subject) error { return second(s.Associations(ctx, on.id)) }),
	"Store.Services":     reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Services(ctx, 10)) }),
	"Store.Connections": reading(func(ctx context.Context, s *Store, on subject) error {
		_, _, err := s.Connections(ctx, on.id, "ledger")
		return err
	}),
	"Store.Keys":     reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Keys(ctx, "ledger")) }),
	"Store.Tokens":   reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Tokens(ctx)) }),
	"Store.CheckKey": reading(func(ctx context.Context, s *Store, on subject) error { return second(s.CheckKey(ctx, on.key)) }),
	"Store.CheckToken": reading(func(ctx context.Context, s *Store, on subject) error {
		return unlessMissing(second(s.CheckToken(ctx, "twt_"+on.key[4:])))
	}),
	"Store.Outbox":       reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Outbox(ctx)) }),
	"Store.Pending":      reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Pending(ctx, 10)) }),
	"Store.PendingAfter": reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.PendingAfter(ctx, 0, 10)) }),
	"Store.EventsAfter": reading(func(ctx context.Context, s *Store, _ subject) error {
		_, _, err := s.EventsAfter(ctx, tenant.Version{}, 10)
		return err
	}),
	"Store.Audit":       reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Audit(ctx, 0, 10)) }),
	"Store.Quarantined": reading(func(ctx context.Context, s *Store, _ subject) error { return second(s.Quarantined(ctx, 0, 10)) }),

	"Store.CountActive": changing(func(ctx context.Context, s *Store, _ subject) error { return s.CountActive(ctx, "ledger") }),
	"Store.Ping":        changing(func(ctx context.Context, s *Store, _ subject) error { return s.Ping(ctx) }),
	"Store.CreateTenant": changing(func(ctx context.Context, s *Store, _ subject) error {
		_, _, err := s.CreateTenant(ctx, named("another"))
		return err
	}),
	"Store.Seed": changing(func(ctx context.Context, s *Store, _ subject) error {
		return s.Seed(ctx, "seeds", []NewTenant{named("seed")})
	}),
	"Store.UpdateTenant": changing(func(ctx context.Context, s *Store, on subject) error {
		return second(s.UpdateTenant(ctx, on.id, TenantPatch{Metadata: map[string]string{"a": "b"}}))
	}),
	"Store.SuspendTenant": changing(func(ctx context.Context, s *Store, on subject) error { return s.SuspendTenant(ctx, on.id) }),
	"Store.ReactivateTenant": changing(func(ctx context.Context, s *Store, on subject) error {
		return unlessConflict(s.ReactivateTenant(ctx, on.id))
	}),
	"Store.DeleteTenant": changing(func(ctx context.Context, s *Store, on subject) error { return s.DeleteTenant(ctx, on.id) }),
	"Store.Associate": changing(func(ctx context.Context, s *Store, on subject) error {
		return second(s.Associate(ctx, on.id, "onboarding", NewAssociation{IsolationMode: "isolated"}))
	}),
	"Store.SuspendAssociation": changing(func(ctx context.Context, s *Store, on subject) error {
		return s.SuspendAssociation(ctx, on.id, "ledger")
	}),
	"Store.ReactivateAssociation": changing(func(ctx context.Context, s *Store, on subject) error {
		return unlessConflict(s.ReactivateAssociation(ctx, on.id, "ledger"))
	}),
	"Store.Disassociate": changing(func(ctx context.Context, s *Store, on subject) error {
		return s.Disassociate(ctx, on.id, "ledger", true)
	}),
	"Store.RotateCredentials": changing(func(ctx context.Context, s *Store, on subject) error {
		return s.RotateCredentials(ctx, on.id, "ledger")
	}),
	"Store.InvalidateCache": changing(func(ctx context.Context, s *Store, on subject) error {
		return s.InvalidateCache(ctx, on.id, "ledger", "")
	}),
	"Store.UpdateConnections": changing(func(ctx context.Context, s *Store, on subject) error {
		_, _, err := s.UpdateConnections(ctx, on.id, "ledger", contract.Patch{})
		return err
	}),
	"Store.CreateKey": changing(func(ctx context.Context, s *Store, _ subject) error {
		_, _, err := s.CreateKey(ctx, "ledger-of-another", "x")
		return err
	}),
	"Store.CreateToken": changing(func(ctx context.Context, s *Store, _ subject) error {
		_, _, err := s.CreateToken(ctx, "x")
		return err
	}),
	"Store.RevokeKey": changing(func(ctx context.Context, s *Store, _ subject) error {
		return unlessMissing(s.RevokeKey(ctx, "of-nobody"))
	}),
	"Store.RevokeToken": changing(func(ctx context.Context, s *Store, _ subject) error {
		return unlessMissing(s.RevokeToken(ctx, "of-nobody", true))
	}),
	"Store.PruneAudit": changing(func(ctx context.Context, s *Store, _ subject) error {
		return second(s.PruneAudit(ctx, time.Unix(1, 0)))
	}),
	"Store.MarkSent":   changing(func(ctx context.Context, s *Store, on subject) error { return s.MarkSent(ctx, on.event) }),
	"Store.MarkFailed": changing(func(ctx context.Context, s *Store, on subject) error { return second(s.MarkFailed(ctx, on.event, "x")) }),
	"Store.Quarantine": changing(func(ctx context.Context, s *Store, on subject) error { return s.Quarantine(ctx, on.event, "x") }),
	"Store.Retry": changing(func(ctx context.Context, s *Store, on subject) error {
		return unlessMissing(s.Retry(ctx, on.event.Revision, true))
	}),
	"Store.Prune":    changing(func(ctx context.Context, s *Store, _ subject) error { return second(s.Prune(ctx, time.Unix(1, 0))) }),
	"Store.NewEpoch": changing(func(ctx context.Context, s *Store, _ subject) error { return s.NewEpoch(ctx) }),
	"Store.Lead": changing(func(ctx context.Context, s *Store, _ subject) error {
		release, err := s.Lead(ctx)
		if err == nil {
			release()
		}
		return err
	}),
}

func unlessMissing(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func unlessConflict(err error) error {
	if _, ok := errors.AsType[*Conflict](err); ok {
		return nil
	}
	return err
}

// edge is a row: a database behind a proxy, whose fault begins once the store is open.
type edge struct {
	fails    func(t testing.TB, e *edge) // begins the fault
	heals    func(t testing.TB, e *edge) // ends it
	works    bool                        // nothing is wrong
	reads    bool                        // what only reads succeeds all the same
	either   bool                        // the first call may succeed, and need not
	some     bool                        // what only reads may succeed, by a connection that there is
	anyError bool                        // what fails need not be ErrUnavailable
	patience time.Duration               // of a call; zero: as long as it takes
	long     string

	once   sync.Once
	ready  bool // what follows is made, and the fault has begun
	server *testserver.Postgres
	proxy  *testserver.Proxy
	direct string // the address without the proxy
	dsn    string
	free   func() // ends what fill has taken
	store  *Store
	on     subject
	before tenant.Version
}

func byMode(mode testserver.Mode) *edge {
	return &edge{
		fails: func(_ testing.TB, e *edge) {
			if mode == testserver.Refuse { // which lets those that there are pass
				e.proxy.Set(testserver.Reset)
			}
			e.proxy.Set(mode)
		},
		heals: func(_ testing.TB, e *edge) { e.proxy.Set(testserver.Pass) },
	}
}

func bySQL(fails, heals string) *edge {
	run := func(sql string) func(t testing.TB, e *edge) {
		return func(t testing.TB, e *edge) {
			name := e.direct[strings.LastIndex(e.direct, "/")+1:]
			for _, one := range []string{
				strings.ReplaceAll(sql, "{db}", name), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`,
			} {
				e.server.Run(t, "psql", "-qc", one, e.server.DSN("postgres"))
			}
		}
	}
	return &edge{fails: run(fails), heals: run(heals)}
}

// unseen has new connections end in a way, while those that there are go on, and waits until that is noticed.
func unseen(fails, heals func(t testing.TB, e *edge)) *edge {
	return &edge{some: true, heals: heals, fails: func(t testing.TB, e *edge) {
		fails(t, e)
		eventually(t, "it was noticed", func() bool { return e.store.Ping(context.Background()) != nil })
	}}
}

// leadsTo has the address lead to another server, which is made for it.
func leadsTo(other func(t testing.TB, e *edge) string) *edge {
	return &edge{
		long: "another server takes seconds to make",
		fails: func(t testing.TB, e *edge) {
			e.proxy.SetTarget(other(t, e))
			e.proxy.Set(testserver.Reset)
			e.proxy.Set(testserver.Pass)
		},
		heals: func(_ testing.TB, e *edge) {
			e.proxy.SetTarget(e.server.Addr())
			e.proxy.Set(testserver.Reset)
			e.proxy.Set(testserver.Pass)
		},
	}
}

func postgresEdges() map[string]*edge {
	silent, slow, cut := byMode(testserver.Mute), byMode(testserver.Trickle), byMode(testserver.CutAfter(40))
	silent.patience, slow.patience, slow.long = 150*time.Millisecond, 150*time.Millisecond, "a byte a second"
	cut.either = true
	readOnly := bySQL("ALTER DATABASE {db} SET default_transaction_read_only = on", "ALTER DATABASE {db} SET default_transaction_read_only = off")
	readOnly.reads = true
	ended := bySQL("SELECT 1", "SELECT 1")
	ended.either = true
	standby := leadsTo(func(t testing.TB, e *edge) string { return e.server.Standby(t).Addr() })
	stranger := leadsTo(func(t testing.TB, e *edge) string {
		other := testserver.StartPostgres(t)
		other.Run(t, "createdb", e.direct[strings.LastIndex(e.direct, "/")+1:])
		return other.Addr()
	})
	stranger.anyError = true
	passes := func(_ testing.TB, e *edge) { e.proxy.Set(testserver.Pass) }
	back := func(_ testing.TB, e *edge) { e.proxy.SetTarget(e.server.Addr()) }
	deaf := unseen(func(_ testing.TB, e *edge) { e.proxy.Set(testserver.Refuse) }, passes)
	full := unseen(func(t testing.TB, e *edge) { e.proxy.SetTarget(refuser(t, "53300")) }, back)
	taken := &edge{
		long: "a server of its own, all of whose connections are taken", either: true,
		fails: func(t testing.TB, e *edge) { e.free = fill(t, e.direct).free }, heals: func(_ testing.TB, e *edge) { e.free() },
	}
	return map[string]*edge{
		"answers":                               {works: true, either: true, fails: func(testing.TB, *edge) {}, heals: func(testing.TB, *edge) {}},
		"refuses connections":                   byMode(testserver.Refuse),
		"closes connections":                    byMode(testserver.Close),
		"resets connections":                    byMode(testserver.Reset),
		"is silent":                             silent,
		"is slow":                               slow,
		"goes away in the middle of an answer":  cut,
		"takes no changes":                      readOnly,
		"ends all sessions":                     ended,
		"lets nobody in":                        bySQL("ALTER DATABASE {db} ALLOW_CONNECTIONS false", "ALTER DATABASE {db} ALLOW_CONNECTIONS true"),
		"is a standby":                          standby,
		"is another server at the same address": stranger,
		"is a pooler that gives no sessions":    nil,

		"refuses new connections, and those that there are go on":           deaf,
		"is another server that has no room, and the one of before goes on": full,
		"has no room for another connection":                                taken,
	}
}

// open makes the row's database and store, and begins the fault. all is the test of the whole matrix.
func (e *edge) open(all testing.TB) {
	all.Helper()
	e.once.Do(func() {
		e.server = testserver.SharedPostgres(all)
		if e.long != "" {
			e.server = testserver.StartPostgres(all) // of which a standby is made
		}
		e.direct = e.server.Database(all)
		e.proxy = testserver.NewProxy(all, e.server.Addr())
		e.dsn = strings.Replace(e.direct, e.server.Addr(), e.proxy.Addr(), 1)
		e.store = database{dsn: e.dsn}.open(all)
		e.on = subjectIn(all, e.store)
		v, err := e.store.Version(context.Background())
		do(all, err)
		e.before = v
		e.fails(all, e)
		e.ready = true
	})
}

// heal wants the store to be right again by itself, and nothing to have been done that was refused.
func (e *edge) heal(all testing.TB) {
	all.Helper()
	e.heals(all, e)
	ctx := context.Background()
	var v tenant.Version
	eventually(all, "the store recovered", func() bool {
		var err error
		v, err = e.store.Version(ctx)
		return err == nil && e.store.Ping(ctx) == nil
	})
	if !e.either && v != e.before {
		all.Errorf("the version was %v, and is %v after calls that all failed", e.before, v)
	}
}

func subjectIn(t testing.TB, s *Store) subject {
	t.Helper()
	ctx := context.Background()
	made, _, err := s.CreateTenant(ctx, named(t.Name()))
	do(t, err)
	_, err = s.Associate(ctx, made.ID, "ledger", NewAssociation{IsolationMode: "isolated"})
	do(t, err)
	_, secret, err := s.CreateKey(ctx, made.Slug, "x") // a service has two at most
	do(t, err)
	return subject{id: made.ID, key: secret, event: ref(t, s, 1)}
}

// mostEnded is how many sessions a store has that has just been opened, at most.
const mostEnded = 8

// cell is what comes of one operation.
func (e *edge) cell(all testing.TB, name string) edges.Cell {
	all.Helper()
	op, of := operations[name]
	switch {
	case e == nil && of:
		return edges.Never("Open refuses such a pooler, so there is no store")
	case e == nil:
		return edges.Cell{Run: func(t *testing.T) { wantNoSessions(t, name) }}
	case e.anyError && !of:
		return edges.Never("a database that is empty is a new one, and there is nothing to tell it by")
	}
	return edges.Cell{Long: e.long, Run: func(t *testing.T) {
		t.Parallel()
		if e.open(all); !e.ready {
			t.Fatal("the row's database could not be made ready; another of its cells says why")
		}
		ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(e.patience, patience))
		defer cancel()
		if !of {
			e.judge(t, true, reopen(ctx, e.dsn, name))
			return
		}
		on := e.on
		if e.works {
			on = subjectIn(t, e.store)
		}
		err := op.run(ctx, e.store, on)
		for n := 0; n < mostEnded && e.reads && !op.change && errors.Is(err, ErrUnavailable); n++ {
			err = op.run(ctx, e.store, on) // a session that the fault has ended is met once
		}
		e.judge(t, op.change, err)
	}}
}

// reopen is Open or Restore of a database that has a store already.
func reopen(ctx context.Context, dsn, name string) error {
	o := Options{Environment: testEnvironment, Key: testKey}
	if name == "Restore" {
		return Restore(ctx, dsn, "", o)
	}
	s, err := Open(ctx, dsn, o)
	if err == nil {
		err = s.Close()
	}
	return err
}

func (e *edge) judge(t *testing.T, change bool, err error) {
	t.Helper()
	unavailable := errors.Is(err, ErrUnavailable)
	switch {
	case e.works:
		if unavailable || err != nil && !isAnswer(err) {
			t.Errorf("it failed: %v", err)
		}
	case e.either:
		if err != nil && !unavailable && !isAnswer(err) {
			t.Errorf("it failed with %v, want that it is unavailable, or nothing", err)
		}
	case e.some && !change:
		if err != nil && !unavailable {
			t.Errorf("it failed with %v, want that it is unavailable, or nothing", err)
		}
	case e.reads && !change:
		do(t, err)
	case err == nil || !unavailable && !e.anyError:
		t.Errorf("it says %v, want that the database is unavailable", err)
	case strings.Contains(err.Error(), testserver.PostgresPassword):
		t.Error("it shows the password")
	}
}

func wantNoSessions(t *testing.T, name string) {
	t.Helper()
	server := testserver.SharedPostgres(t)
	pooler := testserver.StartPgBouncer(t, server, "transaction")
	if err := reopen(t.Context(), pooler.DSN(t, server.Database(t)), name); !errors.Is(err, ErrNoSessions) {
		t.Errorf("it says %v", err)
	}
}

// byStore is of what the columns of the store reach the server by.
const byStore = "each column of the store calls it, or one of its like, for what it does"

// TestEdgesPostgreSQL is the matrix of what a server can do and what is asked of it.
func TestEdgesPostgreSQL(t *testing.T) {
	rows := postgresEdges()
	edges.Table{
		Face: "postgresql", Packages: []string{".", "../sqldb"}, Faults: slices.Sorted(maps.Keys(rows)),
		Operations: append(slices.Sorted(maps.Keys(operations)), "Open", "Restore"),
		Inside: map[string]string{
			"Backup": "it says that pg_dump is to be used, and reaches nothing", "Store.Backup": "the same",
			"Store.Close":   "it ends what is open, and waits for the server a second at most",
			"Store.Leading": "it is the check of Lead, whose cells are those of a failover: TestX08",
			"WithDeed":      "it makes a ctx",
			"DB.Write":      byStore, "DB.Change": byStore, "DB.Read": byStore, "DB.Query": byStore, "DB.Lookup": byStore, "DB.Stream": byStore, "DB.Probe": byStore,
			"DB.Lead": byStore, "DB.Migrate": byStore, "DB.Backup": "as Store.Backup", "DB.Close": "as Store.Close", "Lease.Check": "as Store.Leading",
			"DB.Explain": "it reads an error", "Tx.Failed": "it keeps one", "Within": "it makes a ctx", "Tx.Exec": byStore, "Tx.Row": byStore, "Tx.Each": byStore, "Tx.Flush": byStore, "Tx.Alone": byStore,
		},
		Cell: func(fault, name string) edges.Cell { return rows[fault].cell(t, name) },
	}.Run(t)
	for _, e := range rows {
		if e != nil && e.store != nil {
			e.heal(t)
		}
	}
}
