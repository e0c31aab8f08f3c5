package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

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

// migrate works on a schema that a newer program has made, as long as that one says that this one may.
func (s *Store) migrate(ctx context.Context, migrations migrationSet) error {
	name, done, err := s.db.migrating(ctx, s.writer)
	if err != nil {
		return err
	}
	defer done()
	files, options, err := migrations(name)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(name, s.writer, files, append(options, goose.WithTableName(migrationTable))...)
	if err != nil {
		return err
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > known {
		return s.checkFloor(ctx, current, known)
	}
	_, err = provider.Up(ctx)
	return err
}

func (s *Store) checkFloor(ctx context.Context, current, known int64) error {
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
