package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
)

// TestM12AMigrationThatIsKilledHalfWayIsTakenUp kills a process in the middle of its second migration.
func TestM12AMigrationThatIsKilledHalfWayIsTakenUp(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		killChild(t, db.dsn)
		s, err := openWith(t.Context(), db.dsn, withMigration("90002_add.sql", "CREATE TABLE added (n INTEGER); INSERT INTO added VALUES (1);"), io.Discard)
		do(t, err)
		defer func() { do(t, s.Close()) }()
		do(t, keep(t.Context(), s))
		do(t, s.Read(t.Context(), "look", func(ctx context.Context, t Tx) error {
			var n int
			return t.Row(ctx, `SELECT n FROM added`).Scan(&n)
		}))
	})
}

// childMigrates stops, for the test to kill it, when a table is made and not filled.
func childMigrates(dsn string) {
	half := goose.NewGoMigration(90_002, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `CREATE TABLE added (n INTEGER)`); err != nil {
			return err
		}
		_, _ = os.Stdout.WriteString(childReady + "\n")
		select {} // until it is killed
	}}, nil)
	_, err := openWith(context.Background(), dsn, migrations, io.Discard, goose.WithGoMigrations(half))
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
		var out strings.Builder
		if _, err := openWith(t.Context(), db.dsn, migrations, &out, goose.WithGoMigrations(slow)); err == nil || left < time.Hour {
			t.Errorf("it had %s, %v", left, err)
		}
		if n := strings.Count(out.String(), "is being brought up to date"); n != 1 || !strings.Contains(out.String(), "to=90002") {
			t.Errorf("the log says %s", &out)
		}
		hurried, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := openWith(hurried, db.dsn, migrations, &out, goose.WithGoMigrations(slow)); err == nil || left > 20*time.Second {
			t.Errorf("in a hurry it had %s, %v", left, err)
		}
		out.Reset()
		s, err := openWith(t.Context(), db.dsn, migrations, &out)
		do(t, err)
		do(t, s.Close())
		if out.Len() > 0 {
			t.Errorf("the log says %s, and there was nothing to do", &out)
		}
	})
}

// TestWhoWaitsForTheMigrationOfAnotherSaysSo, and heeds its ctx.
func TestWhoWaitsForTheMigrationOfAnotherSaysSo(t *testing.T) {
	db := onServer(t)
	s := db.open(t)
	m, err := s.dialect.migrating(t.Context(), s.writer, func() {})
	do(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := &impatient{cancel: cancel}
	_, err = openWith(ctx, db.dsn, migrations, out)
	if !errors.Is(err, context.Canceled) || strings.Count(out.String(), "another process brings") != 1 {
		t.Errorf("%v; the log says %s", err, out)
	}
	m.done()
	db.open(t)
}

// TestX45AShortLookAtTheSchemaIsNotAMigration: each start has the lock for a moment.
func TestX45AShortLookAtTheSchemaIsNotAMigration(t *testing.T) {
	db := onServer(t)
	s := db.open(t)
	m, err := s.dialect.migrating(t.Context(), s.writer, func() {})
	do(t, err)
	admin, err := pgx.Connect(t.Context(), db.dsn)
	do(t, err)
	defer func() { do(t, admin.Close(context.Background())) }()
	conn, err := s.writer.Conn(t.Context())
	do(t, err)
	defer func() { do(t, hangUp(conn)) }()
	missed := 0
	do(t, waitForLock(t.Context(), conn, lockMigrate, 0, func() { t.Error("another one migrates, it says") }, func() error {
		missed++
		m.done()
		waitFor(t, "the lock is free", func() bool { return migrationLocks(t, admin) == 0 })
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
