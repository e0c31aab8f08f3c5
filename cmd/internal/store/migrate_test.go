package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// withMigration adds one to those that there are, with a number that none of them will have.
func withMigration(name, up string) migrationSet {
	return func(d goose.Dialect) (fs.FS, []goose.ProviderOption, error) {
		files, _, err := migrationFiles(d)
		if err != nil {
			return nil, nil, err
		}
		all := fstest.MapFS{name: {Data: []byte("-- +goose Up\n" + up)}}
		names, err := fs.Glob(files, "*.sql")
		for _, one := range names {
			data, readErr := fs.ReadFile(files, one)
			all[one], err = &fstest.MapFile{Data: data}, errors.Join(err, readErr)
		}
		return all, nil, err
	}
}

func openWith(t *testing.T, dsn string, migrations migrationSet) (*Store, error) {
	t.Helper()
	s, err := open(t.Context(), dsn, Options{Environment: testEnvironment, Key: testKey}, migrations)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// TestM12ASchemaThatIsTooNewIsRefused, and one that a newer program has only added to is not.
func TestM12ASchemaThatIsTooNewIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		newer, err := openWith(t, db.dsn, withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER);"))
		do(t, err)
		create(t, newer, acme())
		do(t, newer.Close())
		old := db.open(t)
		wantEvents(t, old, "1 tenant.created")
		do(t, old.Close())

		newest, err := openWith(t, db.dsn, withMigration("90003_drop.sql", "DROP TABLE added; UPDATE schema_floor SET oldest = 90003;"))
		do(t, err)
		do(t, newest.Close())
		_, err = openWith(t, db.dsn, migrationFiles)
		if !errors.Is(err, ErrSchemaTooNew) || !strings.Contains(err.Error(), "version 90003") || !strings.Contains(err.Error(), "knows up to ") {
			t.Errorf("the old program: %v", err)
		}
	})
}

// TestM12AMigrationThatFailsHalfWayLeavesNothing, and the next try does all of it.
func TestM12AMigrationThatFailsHalfWayLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		const half = "CREATE TABLE added (n INTEGER); "
		if _, err := openWith(t, db.dsn, withMigration("90002_add.sql", half+"INSERT INTO nowhere VALUES (1);")); err == nil {
			t.Fatal("the broken migration passed")
		}
		s, err := openWith(t, db.dsn, withMigration("90002_add.sql", half+"INSERT INTO added VALUES (1);"))
		do(t, err)
		create(t, s, acme())
	})
}

// TestM12AMigrationThatIsKilledHalfWayIsTakenUp kills a process in the middle of its second migration.
func TestM12AMigrationThatIsKilledHalfWayIsTakenUp(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		kill(startChild(t, "migrate", db.dsn))
		s, err := openWith(t, db.dsn, withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER); INSERT INTO added VALUES (1);"))
		do(t, err)
		create(t, s, acme())
		do(t, s.read(t.Context(), "look", func(ctx context.Context, t tx) error {
			var n int
			return t.row(ctx, `SELECT n FROM added`).Scan(&n)
		}))
	})
}

// childMigrates stops, for the test to kill it, when a table is made and not filled.
func childMigrates(dsn string) {
	half := goose.NewGoMigration(90_002, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `CREATE TABLE added (n INTEGER)`); err != nil {
			return err
		}
		childWaits()
		return nil
	}}, nil)
	_, err := open(context.Background(), dsn, Options{Environment: testEnvironment, Key: testKey},
		func(d goose.Dialect) (fs.FS, []goose.ProviderOption, error) {
			files, _, err := migrationFiles(d)
			return files, []goose.ProviderOption{goose.WithGoMigrations(half)}, err
		})
	panic(err)
}

// TestAMigrationHasTime: on a large table it takes longer than anything else that Open does. The caller may want less.
func TestAMigrationHasTime(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		var left time.Duration
		slow := goose.NewGoMigration(90_002, &goose.GoFunc{RunTx: func(ctx context.Context, _ *sql.Tx) error {
			if deadline, bounded := ctx.Deadline(); bounded {
				left = time.Until(deadline)
			}
			return errors.New("once more")
		}}, nil)
		set := func(d goose.Dialect) (fs.FS, []goose.ProviderOption, error) {
			files, _, err := migrationFiles(d)
			return files, []goose.ProviderOption{goose.WithGoMigrations(slow)}, err
		}
		var out strings.Builder
		o := Options{Environment: testEnvironment, Key: testKey, Logger: textLogger(&out)}
		if _, err := open(t.Context(), db.dsn, o, set); err == nil || left < time.Hour {
			t.Errorf("it had %s, %v", left, err)
		}
		if n := strings.Count(out.String(), "is being brought up to date"); n != 1 || !strings.Contains(out.String(), "to=90002") {
			t.Errorf("the log says %s", &out)
		}
		hurried, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := open(hurried, db.dsn, o, set); err == nil || left > 20*time.Second {
			t.Errorf("in a hurry it had %s, %v", left, err)
		}
		out.Reset()
		s, err := open(t.Context(), db.dsn, o, migrationFiles)
		do(t, err)
		do(t, s.Close())
		if out.Len() > 0 {
			t.Errorf("the log says %s, and there was nothing to do", &out)
		}
	})
}

// TestWhoWaitsForTheMigrationOfAnotherSaysSo, and heeds its ctx.
func TestWhoWaitsForTheMigrationOfAnotherSaysSo(t *testing.T) {
	db := database{dsn: testserver.SharedPostgres(t).Database(t)}
	s := db.open(t)
	m, err := s.db.migrating(t.Context(), s.writer, func() {})
	do(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := &impatient{cancel: cancel}
	_, err = Open(ctx, db.dsn, Options{Environment: testEnvironment, Key: testKey, Logger: textLogger(out)})
	if !errors.Is(err, context.Canceled) || strings.Count(out.String(), "another process brings") != 1 {
		t.Errorf("%v; the log says %s", err, out)
	}
	m.done()
	db.open(t)
}

// TestX45AShortLookAtTheSchemaIsNotAMigration: each start has the lock for a moment.
func TestX45AShortLookAtTheSchemaIsNotAMigration(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	s := database{dsn: dsn}.open(t)
	m, err := s.db.migrating(t.Context(), s.writer, func() {})
	do(t, err)
	admin, err := pgx.Connect(t.Context(), dsn)
	do(t, err)
	defer func() { do(t, admin.Close(context.Background())) }()
	conn, err := s.writer.Conn(t.Context())
	do(t, err)
	defer func() { do(t, hangUp(conn)) }()
	missed := 0
	do(t, waitForLock(t.Context(), conn, lockMigrate, 0, func() { t.Error("another one migrates, it says") }, func() error {
		missed++
		m.done()
		eventually(t, "the lock is free", func() bool { return migrationLocks(t, admin) == 0 })
		return nil
	}))
	if missed != 1 {
		t.Errorf("it has not got the lock %d times", missed)
	}
}

// impatient is a log whose first line is enough.
type impatient struct {
	strings.Builder

	cancel context.CancelFunc
}

func (i *impatient) Write(p []byte) (int, error) {
	i.cancel()
	return i.Builder.Write(p)
}

// TestTwoProgramsMigrateAtOnce is for PostgreSQL: one waits for the other.
func TestTwoProgramsMigrateAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		const programs = 4
		opened := make(chan error, programs)
		for range programs {
			go func() {
				s, err := Open(context.Background(), db.dsn, Options{Environment: testEnvironment, Key: testKey})
				if err == nil {
					err = s.Close()
				}
				opened <- err
			}()
		}
		for range programs {
			if err := <-opened; err != nil && !errors.Is(err, ErrInUse) {
				t.Error(err)
			}
		}
		makeEvents(t, db.open(t), 1)
	})
}
