package store

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// withMigration adds one to those that there are, with a number that none of them will have.
func withMigration(t *testing.T, name, up string) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	do(t, fs.WalkDir(migrations, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(migrations, path)
		all[path], all[filepath.Dir(path)+"/"+name] = &fstest.MapFile{Data: data}, &fstest.MapFile{Data: []byte("-- +goose Up\n" + up)}
		return err
	}))
	return all
}

func openWith(t *testing.T, dsn string, migrations fs.FS) (*Store, error) {
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
		newer, err := openWith(t, db.dsn, withMigration(t, "90002_add.sql", "CREATE TABLE added (n INTEGER);"))
		do(t, err)
		create(t, newer, acme())
		do(t, newer.Close())
		old := db.open(t)
		wantEvents(t, old, "1 tenant.created")
		do(t, old.Close())

		newest, err := openWith(t, db.dsn, withMigration(t, "90003_drop.sql", "DROP TABLE added; UPDATE schema_floor SET oldest = 90003;"))
		do(t, err)
		do(t, newest.Close())
		_, err = openWith(t, db.dsn, migrations)
		if !errors.Is(err, ErrSchemaTooNew) || !strings.Contains(err.Error(), "version 90003") || !strings.Contains(err.Error(), "knows up to ") {
			t.Errorf("the old program: %v", err)
		}
	})
}

// TestM12AMigrationThatFailsHalfWayLeavesNothing, and the next try does all of it.
func TestM12AMigrationThatFailsHalfWayLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		const half = "CREATE TABLE added (n INTEGER); "
		if _, err := openWith(t, db.dsn, withMigration(t, "90002_add.sql", half+"INSERT INTO nowhere VALUES (1);")); err == nil {
			t.Fatal("the broken migration passed")
		}
		s, err := openWith(t, db.dsn, withMigration(t, "90002_add.sql", half+"INSERT INTO added VALUES (1);"))
		do(t, err)
		create(t, s, acme())
	})
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

// TestX45MigratingIsSaid when something is migrated, and not of a database that is as it has to be.
func TestX45MigratingIsSaid(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		for i, want := range []int{1, 0} {
			told := 0
			s, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: testKey, Migrating: func() { told++ }})
			if err != nil {
				t.Fatal(err)
			}
			do(t, s.Close())
			if told != want {
				t.Errorf("opening %d: told %d times, want %d", i, told, want)
			}
		}
	})
}
