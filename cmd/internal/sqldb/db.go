package sqldb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// DB is an open database. It may be used from any goroutine. Each call is bounded by its ctx, and by half a minute where that
// has no deadline, except as it says. The errors that all methods share are ErrUnavailable, and that of a ctx which was
// cancelled; what was being done stands before them.
type DB struct {
	pools

	dialect dialect
	answer  func(error) bool
	log     *slog.Logger
	reserve reserve

	closing sync.Once
	closed  error // of Close
}

// Close closes the database and lets go of the file. Changes under way are waited for by nobody: end them first. Once more
// returns the same again.
func (db *DB) Close() error {
	db.closing.Do(func() { db.closed = errors.Join(db.closeAll(), db.dialect.close()) })
	return db.closed
}

// Explain says what was being done, and whether it is the database that is to blame. What a caller acts on stays as it is.
func (db *DB) Explain(ctx context.Context, what string, err error) error {
	switch {
	case err == nil || db.isAnswer(err):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: %w: %w", what, ErrUnavailable, ctx.Err(), err)
	case db.dialect.unavailable(err):
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// IsForeign reports whether err means that a table, or a column of one, is not there.
func (db *DB) IsForeign(err error) bool { return db.dialect.foreign(err) }

// isAnswer reports whether err is one of this package, or what the caller takes for an answer.
func (db *DB) isAnswer(err error) bool {
	for _, known := range []error{ErrUnavailable, ErrSchemaTooNew, ErrInUse, ErrNoSessions} {
		if errors.Is(err, known) {
			return true
		}
	}
	return db.answer != nil && db.answer(err)
}

// Write runs fn in a transaction that is committed unless fn returns an error.
func (db *DB) Write(ctx context.Context, what string, fn func(context.Context, Tx) error) error {
	ctx, cancel := Within(ctx, CallLimit)
	defer cancel()
	_, err := db.Change(ctx, fn)
	return db.Explain(ctx, what, err)
}

// Change is Write for one that explains the error. undone reports of an error that it is known to have changed nothing.
func (db *DB) Change(ctx context.Context, fn func(context.Context, Tx) error) (undone bool, err error) {
	intact := db.dialect.intact()
	undone, err = db.dialect.change(ctx, db.writer, func(on runner) error {
		t := newTx(on, db.dialect)
		err := fn(ctx, t)
		if err == nil {
			err = t.Flush(ctx)
		}
		return db.firstWrong(ctx, intact, true, err)
	})
	if err != nil && !undone {
		err = fmt.Errorf("%w: whether the change was committed is not known: %w", ErrUnavailable, err)
	}
	switch {
	case err == nil:
		db.wal.note()
	case errors.Is(err, ErrUnavailable), !db.isAnswer(err) && !errors.Is(ctx.Err(), context.Canceled):
		db.reserve.there(time.Time{}) // perhaps there is no room
	}
	return undone, err
}

// firstWrong is what is wrong with a transaction that ends with err. What is there already, or is not, is an answer like any other.
func (db *DB) firstWrong(ctx context.Context, intact func(context.Context, bool) error, change bool, err error) error {
	if err == nil || db.isAnswer(err) {
		if wrong := intact(ctx, change); wrong != nil {
			return wrong
		}
	}
	return err
}

// Read runs fn in a transaction that sees one state.
func (db *DB) Read(ctx context.Context, what string, fn func(context.Context, Tx) error) error {
	ctx, cancel := Within(ctx, CallLimit)
	defer cancel()
	return db.Explain(ctx, what, db.view(ctx, db.reader, fn))
}

// Stream is Read for what may take long, because a client takes it: it has no other bound than its ctx. The database keeps what
// is read until the end, so fn should not dawdle.
func (db *DB) Stream(ctx context.Context, what string, fn func(context.Context, Tx) error) error {
	done, err := db.wal.list(ctx)
	if err != nil {
		return db.Explain(ctx, "wait to "+what, err)
	}
	defer done()
	return db.Explain(ctx, what, db.view(ctx, db.lists, fn))
}

// Query runs fn, which is one statement and so needs no transaction to see one state.
func (db *DB) Query(ctx context.Context, what string, fn func(context.Context, Tx) error) error {
	return db.query(ctx, db.reader, what, fn)
}

// Lookup is Query for the secrets of callers, which wait for no other calls.
func (db *DB) Lookup(ctx context.Context, what string, fn func(context.Context, Tx) error) error {
	return db.query(ctx, db.lookups, what, fn)
}

func (db *DB) query(ctx context.Context, pool *sql.DB, what string, fn func(context.Context, Tx) error) error {
	ctx, cancel := Within(ctx, CallLimit)
	defer cancel()
	return db.Explain(ctx, what, fn(ctx, newTx(plain{on: pool}, db.dialect)))
}

// view runs fn in a transaction that sees one state.
func (db *DB) view(ctx context.Context, pool *sql.DB, fn func(context.Context, Tx) error) error {
	intact := db.dialect.intact()
	t, err := pool.BeginTx(ctx, db.dialect.snapshot())
	if err != nil {
		return err
	}
	if err := db.firstWrong(ctx, intact, false, fn(ctx, newTx(plain{on: t}, db.dialect))); err != nil {
		_ = t.Rollback() // what err says tells more; a connection that cannot roll back is thrown away
		return err
	}
	return t.Commit()
}

// Room leaves something for what no client asks for. Readings that go on at once in this process wait for its processors and
// not for a server, so that more of them would only be in each other's way.
func (db *DB) Room() Room {
	most := func(pool *sql.DB) int { return pool.Stats().MaxOpenConnections }
	r := Room{Lists: most(db.lists), Lookups: most(db.lookups), Reads: most(db.reader) - spare, Changes: max(1, most(db.writer)-spare)}
	if db.dialect.here() {
		r.Reads = min(r.Reads, enough*runtime.GOMAXPROCS(0))
	}
	return r
}

// Probe is Write for a few bytes that tell whether changes can be made. fn is given a filler to write too, as much as a change,
// when that was not tried for half a minute, when little room is left, or after something could not be written; else nil.
func (db *DB) Probe(ctx context.Context, what string, fn func(ctx context.Context, t Tx, filler []byte) error) error {
	now := time.Now()
	var filler []byte
	if free, known := db.dialect.free(); db.reserve.inDoubt() || known && free < reserveMargin {
		filler = make([]byte, reserveBytes)
		_, _ = rand.Read(filler) // it never fails; nothing may compress it
	}
	err := db.Write(ctx, what, func(ctx context.Context, t Tx) error { return fn(ctx, t, filler) })
	if err == nil && filler != nil {
		db.reserve.there(now)
	}
	return err
}
