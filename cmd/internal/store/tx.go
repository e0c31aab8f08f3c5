package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
)

// callLimit bounds a call whose ctx has no deadline.
const callLimit = 30 * time.Second

// dialect is what one kind of database does in its own way.
type dialect interface { //nolint:interfacebloat // each method is one thing that the databases do differently
	open(ctx context.Context, log *slog.Logger) (pools, error)
	// rebind turns the placeholders ?1, ?2 … into those of the database.
	rebind(query string) string
	// lockRow is the end of a SELECT that keeps others off its row until the transaction ends.
	lockRow() string
	// snapshot are the options of a transaction whose statements all see the same state.
	snapshot() *sql.TxOptions
	// intact begins a transaction. What it returns is asked before the end of one that reads and before the commit of a
	// change, and returns an error when what was opened is not there any more or, for a change, when that is not known.
	intact() func(ctx context.Context, change bool) error
	// unavailable reports whether err means that the database cannot be used now. Connections that the error says are of no use
	// are made again.
	unavailable(err error) bool
	// migrating keeps other processes from migrating until it is done. waits is called when another one does.
	migrating(ctx context.Context, writer *sql.DB, waits func()) (migration, error)
	// lead waits until this process is the one that relays for env.
	lead(ctx context.Context, writer *sql.DB, env int64) (*lease, error)
	backup(ctx context.Context, path string) error
	// free is how many bytes can still be written, where that can be told without asking a server.
	free() (bytes uint64, known bool)
	close() error
}

// pools are the connections to a database. Lists that are read slowly hold their own, and nothing else waits for them; keys
// are looked up by their own, so that whoever shows a wrong one waits for nobody, and nobody for them.
type pools struct {
	writer, reader, lists, keys *sql.DB

	log *sqliteLog // nil but for SQLite
}

// tx runs statements, written with the placeholders ?1, ?2 …: in one transaction, or each by itself.
type tx struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	db dialect
}

// write runs fn in a transaction that is committed unless fn returns an error.
func (s *Store) write(ctx context.Context, what string, fn func(context.Context, tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := s.transact(ctx, s.writer, nil, fn)
	if err == nil {
		s.log.note()
		return nil
	}
	err = s.explain(ctx, what, err)
	if errors.Is(err, ErrUnavailable) {
		s.reserve.there(time.Time{}) // perhaps there is no room
	}
	return err
}

// read runs fn in a transaction that sees one state.
func (s *Store) read(ctx context.Context, what string, fn func(context.Context, tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.explain(ctx, what, s.transact(ctx, s.reader, s.db.snapshot(), fn))
}

// look runs fn, which is one statement and so needs no transaction to see one state.
func (s *Store) look(ctx context.Context, what string, fn func(context.Context, tx) error) error {
	return s.lookIn(ctx, s.reader, what, fn)
}

func (s *Store) lookIn(ctx context.Context, pool *sql.DB, what string, fn func(context.Context, tx) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.explain(ctx, what, fn(ctx, tx{on: pool, db: s.db}))
}

func (s *Store) transact(ctx context.Context, pool *sql.DB, o *sql.TxOptions, fn func(context.Context, tx) error) error {
	intact := s.db.intact()
	t, err := pool.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	err = fn(ctx, tx{on: t, db: s.db})
	if err == nil || ours(err) { // what is there already, or is not, is an answer like any other
		if wrong := intact(ctx, o == nil || !o.ReadOnly); wrong != nil {
			err = wrong
		}
	}
	if err != nil {
		_ = t.Rollback() // what err says tells more; a connection that cannot roll back is thrown away
		return err
	}
	return t.Commit()
}

// explain says what was being done, and whether it is the database that is to blame. What a caller acts on stays as it is.
func (s *Store) explain(ctx context.Context, what string, err error) error {
	switch {
	case err == nil || ours(err):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: %w: %w", what, ErrUnavailable, ctx.Err(), err)
	case s.db.unavailable(err):
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// ours reports whether err is one of this package, or what a caller's own function returned.
func ours(err error) bool {
	for _, known := range []error{ErrNotFound, ErrUnavailable, ErrSchemaTooNew, ErrInUse, ErrWrongKey, ErrWeakKey, ErrNoSessions, ErrTwoSpellings, ErrGone} {
		if errors.Is(err, known) {
			return true
		}
	}
	if _, ok := errors.AsType[*Conflict](err); ok {
		return true
	}
	if _, ok := errors.AsType[*Invalid](err); ok {
		return true
	}
	_, ok := errors.AsType[*Inactive](err)
	return ok
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return within(ctx, callLimit)
}

// within bounds a ctx that has no deadline.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// exec returns how many rows it touched.
func (t tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.on.ExecContext(ctx, t.db.rebind(query), clean(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.on.QueryRowContext(ctx, t.db.rebind(query), clean(args)...)
}

// each calls fn for every row; fn scans it.
func (t tx) each(ctx context.Context, fn func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.on.QueryContext(ctx, t.db.rebind(query), clean(args)...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// clean replaces what PostgreSQL takes for no text. What is stored was checked before; what is looked for is not there.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok && !contract.IsText(text) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
		}
	}
	return args
}

// closeAll closes those that were opened.
func (p pools) closeAll() error {
	errs := []error{p.log.close()}
	for _, pool := range []*sql.DB{p.writer, p.reader, p.lists, p.keys} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}
