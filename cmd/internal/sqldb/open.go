package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Options are what a database is opened with.
type Options struct {
	// Logger is for what happens beside the calls. Required.
	Logger *slog.Logger
	// Answer reports whether an error that a function of the caller's returned in a transaction is an answer like any other, and not
	// a failure: it is handed back as it is. Nil: none is.
	Answer func(error) bool
}

// Open opens a database. dsn is "sqlite:FILE", whose directory has to be there, or "postgres://…".
//
// It returns ErrInUse when another process has the SQLite file open, ErrNoSessions, and ErrUnavailable when nobody can reach
// the database. No error shows the dsn, which may hold a password.
func Open(ctx context.Context, dsn string, o Options) (*DB, error) {
	kind, err := dialectOf(dsn)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: kind, answer: o.Answer, log: o.Logger}
	ctx, cancel := Within(ctx, CallLimit)
	defer cancel()
	db.pools, err = kind.open(ctx, db.log)
	if err != nil {
		return nil, db.Explain(ctx, "connect", err)
	}
	return db, nil
}

func dialectOf(dsn string) (dialect, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch scheme {
	case "sqlite":
		return newSQLite(rest)
	case "postgres", "postgresql":
		return newPostgres(dsn)
	}
	return nil, errors.New("the database is neither sqlite:FILE nor postgres://…")
}

// Backup is [DB.Backup] for a database that this process has not open, and that a manager may have.
func Backup(ctx context.Context, dsn, path string, isOurs func(context.Context, Tx) (bool, error)) error {
	db, err := dialectOf(dsn)
	if err != nil {
		return err
	}
	if err = db.isThere(); err == nil {
		err = db.backup(ctx, path, isOurs)
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// Restore puts the backup at path in the place of dsn's SQLite file, which must not be there. renew opens a copy before that, makes
// of it what it shall be, and closes it. On PostgreSQL it is an error that says what to use. Without a path renew gets the
// database, which must be there.
func Restore(ctx context.Context, dsn, path string, renew func(ctx context.Context, dsn string) error) error {
	db, err := dialectOf(dsn)
	if err != nil {
		return err
	}
	if path != "" {
		err = db.restore(ctx, path, renew)
	} else if err = db.isThere(); err == nil {
		return renew(ctx, dsn)
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}
