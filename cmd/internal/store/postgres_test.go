package store

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// eventually polls until ok, for a time that only a hanging test takes.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it was not to be that %s", what)
		}
	}
}

func TestM07PostgresIsKilledAndComesBack(t *testing.T) {
	server := testserver.StartPostgres(t)
	s := database{dsn: server.Database(t)}.open(t)
	makeEvents(t, s, 2)
	server.Kill()
	wantUnavailable(t, s, "killed")
	if _, err := s.Tenants(soon(t), TenantFilter{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read from a server that was killed: %v", err)
	}
	server.Start(t)
	eventually(t, "the store recovered", func() bool { return s.Ping(t.Context()) == nil })
	wantRecovered(t, s, 2)
}

// TestM07PostgresIsSilent has a connection that is open and carries nothing.
func TestM07PostgresIsSilent(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	s := database{dsn: server.Behind(t, proxy)}.open(t)
	makeEvents(t, s, 2)
	proxy.Set(testserver.Mute)
	wantUnavailable(t, s, "silent")
	proxy.Set(testserver.Close)
	wantUnavailable(t, s, "closed")
	proxy.Set(testserver.Pass)
	eventually(t, "the store recovered", func() bool { return s.Ping(t.Context()) == nil })
	wantRecovered(t, s, 2)
}

// TestM07PostgresDoesNotLetUsIn is trouble of the server's, whatever its reason is.
func TestM07PostgresDoesNotLetUsIn(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	s := database{dsn: dsn}.open(t)
	makeEvents(t, s, 1)
	_, err := Open(t.Context(), dsn+"_of_nobody", Options{Environment: testEnvironment, Key: testKey})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("a database that is not there: %v", err)
	}
}

// TestADatabaseMayHaveAnotherIsolationByDefault: changes wait for each other, and do not fail, all the same.
func TestADatabaseMayHaveAnotherIsolationByDefault(t *testing.T) {
	db := database{dsn: testserver.SharedPostgres(t).Database(t)}
	address, err := url.Parse(db.dsn)
	do(t, err)
	run(t, db.open(t), `ALTER DATABASE `+strings.TrimPrefix(address.Path, "/")+` SET default_transaction_isolation = 'serializable'`)
	s := db.open(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, _, err := s.CreateTenant(t.Context(), named(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestASlowReaderOfAListIsNotTakenForAFrozenManager: the server has sent all of a short list and is idle while a client takes
// its time. The bound of what may keep others waiting stays.
func TestASlowReaderOfAListIsNotTakenForAFrozenManager(t *testing.T) {
	s := database{dsn: testserver.SharedPostgres(t).Database(t)}.open(t)
	for name, tt := range map[string]struct {
		call func(context.Context, string, func(context.Context, sqldb.Tx) error) error
		want string
	}{"writer": {s.db.Write, "10s"}, "reader": {s.db.Read, "10s"}, "lists": {s.db.Stream, "10min"}} {
		if got := show(t, tt.call, `SHOW idle_in_transaction_session_timeout`); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestM07PostgresIsReadOnly(t *testing.T) {
	server := testserver.SharedPostgres(t)
	dsn := server.Database(t)
	s := database{dsn: dsn}.open(t)
	makeEvents(t, s, 2)
	name := dsn[strings.LastIndex(dsn, "/")+1:]
	setting := func(value string) {
		t.Helper()
		server.Run(t, "psql", "-c", `ALTER DATABASE `+name+` SET default_transaction_read_only = `+value, server.DSN("postgres"))
		server.Run(t, "psql", "-c", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`, server.DSN("postgres"))
	}
	setting("on")
	eventually(t, "the sessions are new", func() bool { _, err := s.Version(t.Context()); return err == nil })
	wantUnavailable(t, s, "read-only")
	setting("off")
	eventually(t, "the store recovered", func() bool { return s.Ping(t.Context()) == nil })
	wantRecovered(t, s, 2)
}

// TestM08TwoManagersOnOnePostgresBothServe, and one relays.
func TestM08TwoManagersOnOnePostgresBothServe(t *testing.T) {
	db := database{dsn: testserver.SharedPostgres(t).Database(t)}
	first, second := db.open(t), db.open(t)
	id := create(t, first, acme()).ID
	associate(t, second, id, "ledger")
	wantConflict(t, first.ReactivateTenant(t.Context(), id), "NOT_SUSPENDED")
	do(t, first.SuspendTenant(t.Context(), id))
	wantConflict(t, second.SuspendTenant(t.Context(), id), "ALREADY_SUSPENDED")

	release, err := first.Lead(t.Context())
	do(t, err)
	do(t, first.Leading(t.Context()))
	if _, err := second.Lead(soon(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second one leads too: %v", err)
	}
	if err := second.Leading(t.Context()); err == nil {
		t.Error("the second one takes itself for the relay")
	}
	elsewhere := db.openAs(t, "production")
	other, err := elsewhere.Lead(t.Context()) // of another environment
	do(t, err)
	other()

	release()
	release()
	if err := first.Leading(t.Context()); err == nil {
		t.Error("the first one takes itself for the relay after its release")
	}
	_, err = second.Lead(t.Context())
	do(t, err)
	do(t, second.Leading(t.Context()))
	do(t, second.Close()) // which releases too
	_, err = first.Lead(t.Context())
	do(t, err)
}

// TestM08AnotherTakesOverFromARelayWhoseConnectionBroke has the server end the session of the first.
func TestM08AnotherTakesOverFromARelayWhoseConnectionBroke(t *testing.T) {
	server := testserver.SharedPostgres(t)
	db := database{dsn: server.Database(t)}
	first, second := db.open(t), db.open(t)
	release, err := first.Lead(t.Context())
	do(t, err)
	defer release()
	server.Run(t, "psql", "-c", `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND
		database = (SELECT oid FROM pg_database WHERE datname = current_database())`, db.dsn)
	eventually(t, "the first one knows", func() bool { return first.Leading(t.Context()) != nil })
	if err := first.Leading(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the first one says %v", err)
	}
	_, err = second.Lead(t.Context())
	do(t, err)
	do(t, second.Leading(t.Context()))
}

// TestAFrozenManagerDoesNotKeepOthersWaiting: the server ends its session, and its change is not made.
func TestAFrozenManagerDoesNotKeepOthersWaiting(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	frozen := database{dsn: dsn + "?idle_in_transaction_session_timeout=200ms"}.open(t)
	other := database{dsn: dsn}.open(t)
	id := create(t, frozen, acme()).ID
	err := frozen.change(t.Context(), "freeze", func(ctx context.Context, c *change) error {
		r, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		create(t, other, named("meanwhile"))
		return c.announce(r.Remove())
	})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("the frozen one: %v", err)
	}
	wantEvents(t, other, "1 tenant.created", "2 tenant.created")
	do(t, frozen.SuspendTenant(t.Context(), id))
}

func TestAddressesThatAreRefused(t *testing.T) {
	const secret = "canary-of-the-password"
	for name, dsn := range map[string]string{
		"another kind": "mysql://u:" + secret + "@localhost/db", "nothing": "", "no URL": "postgres://u:" + secret + "@local host:x/db",
		"in the path": "postgres://127.0.0.1:1/db;password=" + secret + "?sslmode=sometimes", "in the host": "postgres://h,password=" + secret + "/db?sslmode=sometimes",
		"in an option": "postgres://127.0.0.1:1/db?connect_timeout=" + secret, "in an option of no use": "postgres://127.0.0.1:1/db?passwd=" + secret + "&port=x",
		"a strange option": "postgres://u:" + secret + "@127.0.0.1:1/db?sslmode=sometimes", "nobody there": "postgres://u:" + secret + "@127.0.0.1:1/db",
	} {
		_, err := Open(t.Context(), dsn, Options{Environment: testEnvironment, Key: testKey})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "nobody there" && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, environment := range []string{"", " ", "a b", "a\nb", "a\x00b"} {
		if _, err := Open(t.Context(), sqliteFile(t).dsn, Options{Environment: environment, Key: testKey}); err == nil {
			t.Errorf("the environment %q is taken", environment)
		}
	}
}
