package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/internal/testserver"
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

// TestM12AMigrationBehindALongReaderKeepsNobodyWaiting: it wants the table for itself, and whoever comes after it would wait
// for the reader too.
func TestM12AMigrationBehindALongReaderKeepsNobodyWaiting(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	serving := database{dsn: dsn}.open(t)
	makeEvents(t, serving, 1)
	end := longReader(t, dsn, "tenants")
	var log lines
	migrated := make(chan error, 1)
	go func() {
		s, err := open(context.Background(), dsn, Options{Environment: testEnvironment, Key: testKey, Logger: textLogger(&log)},
			withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER); ALTER TABLE tenants ADD COLUMN added TEXT;"))
		if err == nil {
			err = s.Close()
		}
		migrated <- err
	}()
	eventually(t, "the migration waits", func() bool { return strings.Contains(log.String(), "application=\"a dump\"") })
	for began := time.Now(); time.Since(began) < 2*migrationPauses; { // in which it tries again
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := serving.Tenants(ctx, TenantFilter{})
		do(t, err)
		_, _, err = serving.CreateTenant(ctx, named("while"))
		if _, ok := errors.AsType[*Conflict](err); !ok {
			do(t, err)
		}
		cancel()
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
	dsn := testserver.SharedPostgres(t).Database(t)
	db := database{dsn: dsn}
	db.open(t)
	end := longReader(t, dsn, "tenants")
	set := withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER); ALTER TABLE tenants ADD COLUMN added TEXT;")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := open(ctx, dsn, Options{Environment: testEnvironment, Key: testKey}, set); !errors.Is(err, ErrUnavailable) {
		t.Errorf("it says %v", err)
	}
	end()
	_, err := openWith(t, dsn, set)
	do(t, err)
}
