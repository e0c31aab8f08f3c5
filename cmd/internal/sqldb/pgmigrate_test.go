package sqldb

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// longReader has a transaction open that has read a table, as a list that is read slowly, or a dump.
func longReader(t *testing.T, dsn, table string) (end func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	do(t, err)
	end = sync.OnceFunc(func() { _ = conn.Close(context.Background()) })
	t.Cleanup(end)
	_, err = conn.Exec(t.Context(), `SET application_name = 'a dump'; BEGIN; SELECT count(*) FROM `+table)
	do(t, err)
	return end
}

// longestWait is the second that a migration waits at a time, and what a loaded machine needs.
const longestWait = 4 * time.Second

// TestM12AMigrationBehindALongReaderKeepsNobodyWaiting: it wants the table for itself, and whoever comes after it would wait
// for the reader too.
func TestM12AMigrationBehindALongReaderKeepsNobodyWaiting(t *testing.T) {
	dsn := onServer(t).dsn
	serving := database{dsn: dsn}.open(t)
	do(t, keep(t.Context(), serving))
	end := longReader(t, dsn, "kept")
	admin, err := pgx.Connect(t.Context(), dsn)
	do(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	var log lines
	migrated := make(chan error, 1)
	go func() {
		s, err := openWith(context.Background(), dsn,
			withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER); ALTER TABLE kept ADD COLUMN added TEXT;"), &log)
		if err == nil {
			err = s.Close()
		}
		migrated <- err
	}()
	waitFor(t, "the migration waits", func() bool { return strings.Contains(log.String(), "application=\"a dump\"") })
	for began := time.Now(); time.Since(began) < 2*migrationPauses; { // in which it tries again
		ctx, cancel := context.WithTimeout(t.Context(), longestWait)
		_, err := kept(ctx, serving)
		do(t, err)
		do(t, keep(ctx, serving))
		cancel()
		if n := migrationLocks(t, admin); n != 1 {
			t.Fatalf("%d sessions have the lock of migrations", n)
		}
	}
	select {
	case err := <-migrated:
		t.Fatalf("it has not waited: %v", err)
	default:
	}
	end()
	do(t, <-migrated)
	if n := strings.Count(log.String(), "cannot be brought up to date while"); n != 1 || !strings.Contains(log.String(), "pid=") {
		t.Errorf("it said so %d times: %s", n, &log)
	}
}

// TestM12AMigrationBehindALongReaderEndsWithItsTime, and has left nothing.
func TestM12AMigrationBehindALongReaderEndsWithItsTime(t *testing.T) {
	db := onServer(t)
	db.open(t)
	end := longReader(t, db.dsn, "kept")
	set := withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER); ALTER TABLE kept ADD COLUMN added TEXT;")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := openWith(ctx, db.dsn, set, io.Discard); !errors.Is(err, ErrUnavailable) {
		t.Errorf("it says %v", err)
	}
	end()
	again, err := openWith(t.Context(), db.dsn, set, io.Discard)
	do(t, err)
	do(t, again.Close())
}

// migratingOf is the right to migrate, as a manager has it, and the number of the locks that there are for it.
func migratingOf(t *testing.T) (m migration, locks func() int, admin *pgx.Conn) {
	t.Helper()
	dsn := testserver.SharedPostgres(t).Database(t)
	s := database{dsn: dsn}.open(t)
	m, err := s.dialect.migrating(t.Context(), s.writer, func() {})
	do(t, err)
	t.Cleanup(m.done)
	admin, err = pgx.Connect(t.Context(), dsn)
	do(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	return m, func() int { return migrationLocks(t, admin) }, admin
}

func migrationLocks(t *testing.T, admin *pgx.Conn) (n int) {
	t.Helper()
	do(t, admin.QueryRow(t.Context(), `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint = $1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, lockMigrate).Scan(&n))
	return n
}

// TestM12AMigrationKeepsItsLock whenever a try ends, even while it is being looked what it waits for. It takes 3 s.
func TestM12AMigrationKeepsItsLock(t *testing.T) {
	m, locks, _ := migratingOf(t)
	for later := range 10 {
		seconds := (blockersEvery + time.Duration(later)*time.Millisecond).Seconds()
		do(t, m.run(t.Context(), func(ctx context.Context) error {
			_, err := m.pool.ExecContext(ctx, `SELECT pg_sleep($1)`, seconds)
			return err
		}))
		if n := locks(); n != 1 {
			t.Fatalf("after a try of %g s there are %d locks", seconds, n)
		}
	}
}

// TestM12AMigrationWithoutItsLockIsNotTriedAgain, because another process may be at it by then.
func TestM12AMigrationWithoutItsLockIsNotTriedAgain(t *testing.T) {
	m, locks, admin := migratingOf(t)
	tries := 0
	err := m.run(t.Context(), func(ctx context.Context) error {
		if tries++; tries > 1 {
			return errors.New("it is tried again")
		}
		_, err := admin.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, lockMigrate)
		do(t, err)
		waitFor(t, "the session is gone", func() bool { return locks() == 0 })
		return &pgconn.PgError{Code: lockNotGot}
	})
	if !errors.Is(err, ErrUnavailable) || tries != 1 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// TestM12ASessionThatHasTheLockMayBeIdle for as long as a migration takes. It takes 2 s.
func TestM12ASessionThatHasTheLockMayBeIdle(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	admin, err := pgx.Connect(t.Context(), dsn)
	do(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	do(t, database{dsn: dsn}.open(t).Close())
	_, err = admin.Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = 1000', current_database()); END $$`)
	do(t, err)
	s := database{dsn: dsn}.open(t)
	m, err := s.dialect.migrating(t.Context(), s.writer, func() {})
	do(t, err)
	t.Cleanup(m.done)
	do(t, m.run(t.Context(), func(ctx context.Context) error {
		_, err := admin.Exec(ctx, `SELECT pg_sleep(1.5)`)
		return err
	}))
	if n := migrationLocks(t, admin); n != 1 {
		t.Errorf("there are %d locks", n)
	}
}
