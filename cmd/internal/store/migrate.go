package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

// migrationTable is where goose notes what was done.
const migrationTable = "tenantwatch_migrations"

//go:embed migrations
var embedded embed.FS

// migrationSet returns the migrations for a database, numbered files of goose. A migration is one transaction together
// with the note that it was done, so one that is broken off has not happened.
type migrationSet func(goose.Dialect) (fs.FS, []goose.ProviderOption, error)

func migrationFiles(d goose.Dialect) (fs.FS, []goose.ProviderOption, error) {
	dir := "migrations/postgres"
	if d == goose.DialectSQLite3 {
		dir = "migrations/sqlite"
	}
	files, err := fs.Sub(embedded, dir)
	return files, nil, err
}

// migration is the right to migrate.
type migration struct {
	dialect goose.Dialect // how goose calls the database
	pool    *sql.DB       // by which it is done
	// run calls what migrates, and calls it again where it failed for a reason that passes.
	run  func(ctx context.Context, up func(context.Context) error) error
	done func()
}

// migrateLimit is for a ctx without a deadline: a large table takes as long as it takes, and one that is broken off begins
// again.
const migrateLimit = 12 * time.Hour

// migrate brings the schema up to date, and calls next before another process may migrate.
func (s *Store) migrate(ctx context.Context, migrations migrationSet, next func(context.Context) error) error {
	ctx, cancel := within(ctx, migrateLimit)
	defer cancel()
	m, err := s.db.migrating(ctx, s.writer, s.tellMigrating)
	if err != nil {
		return s.explain(ctx, "migrate", err)
	}
	defer m.done()
	if err := s.bringUp(ctx, m, migrations); err != nil {
		return s.explain(ctx, "migrate", err)
	}
	return next(ctx)
}

// bringUp works on a schema that a newer program has made, as long as that one says that this one may.
func (s *Store) bringUp(ctx context.Context, m migration, migrations migrationSet) error {
	files, options, err := migrations(m.dialect)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(m.dialect, m.pool, files, append(options, goose.WithTableName(migrationTable))...)
	if err != nil {
		return err
	}
	current, known, err := s.versions(ctx, provider)
	if err != nil {
		return err
	}
	if current > known {
		return s.checkFloor(ctx, current, known)
	}
	if current < known {
		s.tellMigrating()
		s.logger.LogAttrs(ctx, slog.LevelInfo, "the database's schema is being brought up to date; a large database takes its time",
			slog.Int64("from", current), slog.Int64("to", known))
	}
	return m.run(ctx, func(ctx context.Context) error {
		_, err := provider.Up(ctx)
		return err
	})
}

// versions does not take as long as a migration may, or a database that hangs would not be noticed.
func (s *Store) versions(ctx context.Context, provider *goose.Provider) (current, known int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	current, known, err = provider.GetVersions(ctx)
	return current, known, s.explain(ctx, "read the schema's version", err)
}

func (s *Store) checkFloor(ctx context.Context, current, known int64) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return s.write(ctx, "read the schema's floor", func(ctx context.Context, t tx) error {
		var oldest int64
		if err := t.row(ctx, `SELECT MAX(oldest) FROM schema_floor`).Scan(&oldest); err != nil {
			return err
		}
		if oldest > known {
			return fmt.Errorf("%w: the schema is version %d, and this program knows up to %d", ErrSchemaTooNew, current, known)
		}
		return nil
	})
}

func (s *Store) tellMigrating() {
	if s.migrating != nil {
		s.migrating()
	}
}
