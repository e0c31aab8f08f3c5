package sqldb

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

// migrationTable is where goose notes what was done.
const migrationTable = "tenantwatch_migrations"

// MigrateLimit is for a ctx without a deadline: a large table takes as long as it takes, and one that is broken off begins
// again.
const MigrateLimit = 12 * time.Hour

// Migrate brings the schema up to date. files has a directory for each kind of database, sqlite and postgres, of numbered files of
// goose. A migration is one transaction together with the note that it was done, so one that is broken off has not happened.
// told is called before something is migrated, which may take hours, and when another process is about that; perhaps more
// than once. next is called at the end, before another process may migrate.
//
// A schema that a newer program has made is worked on as long as that one says that this one may, in the table schema_floor: its
// column oldest is the oldest version that may; else it returns ErrSchemaTooNew.
func (db *DB) Migrate(ctx context.Context, files fs.FS, told func(), next func(context.Context) error) error {
	return db.migrate(ctx, files, told, next)
}

func (db *DB) migrate(
	ctx context.Context, files fs.FS, told func(), next func(context.Context) error, more ...goose.ProviderOption,
) error {
	ctx, cancel := Within(ctx, MigrateLimit)
	defer cancel()
	m, err := db.dialect.migrating(ctx, db.writer, told)
	if err != nil {
		return db.Explain(ctx, "migrate", err)
	}
	defer m.done()
	if err := db.bringUp(ctx, m, files, told, more); err != nil {
		return db.Explain(ctx, "migrate", err)
	}
	return next(ctx)
}

func (db *DB) bringUp(ctx context.Context, m migration, all fs.FS, told func(), more []goose.ProviderOption) error {
	files, err := fs.Sub(all, m.files)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(m.dialect, m.pool, files, append(more, goose.WithTableName(migrationTable))...)
	if err != nil {
		return err
	}
	current, known, err := db.versions(ctx, provider)
	if err != nil {
		return err
	}
	if current > known {
		return db.checkFloor(ctx, current, known)
	}
	if current < known {
		told()
		db.log.LogAttrs(ctx, slog.LevelInfo, "the database's schema is being brought up to date; a large database takes its time",
			slog.Int64("from", current), slog.Int64("to", known))
	}
	return m.run(ctx, func(ctx context.Context) error {
		_, err := provider.Up(ctx)
		return err
	})
}

// versions does not take as long as a migration may, or a database that hangs would not be noticed.
func (db *DB) versions(ctx context.Context, provider *goose.Provider) (current, known int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	current, known, err = provider.GetVersions(ctx)
	return current, known, db.Explain(ctx, "read the schema's version", err)
}

func (db *DB) checkFloor(ctx context.Context, current, known int64) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	return db.Write(ctx, "read the schema's floor", func(ctx context.Context, t Tx) error {
		var oldest int64
		if err := t.Row(ctx, `SELECT MAX(oldest) FROM schema_floor`).Scan(&oldest); err != nil {
			return err
		}
		if oldest > known {
			return fmt.Errorf("%w: the schema is version %d, and this program knows up to %d", ErrSchemaTooNew, current, known)
		}
		return nil
	})
}
