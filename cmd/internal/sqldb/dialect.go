package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
)

// The errors that a caller acts on.
var (
	// ErrUnavailable means that the database is locked, full, read-only or gone. The change was not made, or, where the
	// connection broke during the commit, it is not known whether it was.
	ErrUnavailable = errors.New("the database is unavailable")
	// ErrSchemaTooNew means that a newer version has migrated the database.
	ErrSchemaTooNew = errors.New("the database's schema is newer than this program")
	// ErrInUse means that another manager has the SQLite file open, or that one runs where none may.
	ErrInUse = errors.New("another manager has the database open")
	// ErrNoSessions means that a pooler in the way gives each transaction another session: the lock of the one that leads, and what
	// is set for a session, would be another's.
	ErrNoSessions = errors.New("what is between here and PostgreSQL gives each transaction another session, and the lock of the relay " +
		"belongs to a session: have it pool sessions (PgBouncer: pool_mode = session), or name PostgreSQL itself")
)

// dialect is what one kind of database does in its own way.
type dialect interface { //nolint:interfacebloat // each method is one thing that the databases do differently
	open(ctx context.Context, log *slog.Logger) (pools, error)
	// rebind turns the placeholders ?1, ?2 … into those of the database.
	rebind(query string) string
	// lockRow is the end of a SELECT that keeps others off its row until the transaction ends.
	lockRow() string
	// contains is where in a column of bytes others are, in SQL; 0 if nowhere.
	contains(column, what string) string
	// snapshot are the options of a transaction whose statements all see the same state.
	snapshot() *sql.TxOptions
	// change runs fn in a transaction of a connection of the writer's, and commits it unless fn returns an error. undone reports of
	// an error that it is known to have changed nothing. What is cancelled after the commit was sent does not end it.
	change(ctx context.Context, writer *sql.DB, fn func(runner) error) (undone bool, err error)
	// intact begins a transaction. What it returns is asked before the end of one that reads and before the commit of a
	// change, and returns an error when what was opened is not there any more or, for a change, when that is not known.
	intact() func(ctx context.Context, change bool) error
	// unavailable reports whether err means that the database cannot be used now. Connections that the error says are of no use
	// are made again.
	unavailable(err error) bool
	// migrating keeps other processes from migrating until it is done. waits is called when another one does.
	migrating(ctx context.Context, writer *sql.DB, waits func()) (migration, error)
	// lead waits until this process is the one that leads.
	lead(ctx context.Context, writer *sql.DB, l Leadership) (*Lease, error)
	// alone keeps others from leading until the transaction ends, or returns ErrInUse.
	alone(ctx context.Context, t Tx, number int64) error
	// foreign reports whether err means that a table, or a column of one, is not there.
	foreign(err error) bool
	isThere() error
	backup(ctx context.Context, path string, isOurs func(context.Context, Tx) (bool, error)) error
	restore(ctx context.Context, path string, renew func(ctx context.Context, dsn string) error) error
	// here reports whether what is read takes this process's processors, and not a server's.
	here() bool
	// free is how many bytes can still be written, where that can be told without asking a server.
	free() (bytes uint64, known bool)
	close() error
}

// pools are the connections to a database. Lists that are read slowly hold their own, and nothing else waits for them; secrets
// are looked up by their own, so that whoever shows a wrong one waits for nobody, and nobody for them.
type pools struct {
	writer, reader, lists, lookups *sql.DB

	wal *sqliteLog // nil but for SQLite
}

// closeAll closes those that were opened.
func (p pools) closeAll() error {
	errs := []error{p.wal.close()}
	for _, pool := range []*sql.DB{p.writer, p.reader, p.lists, p.lookups} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Leadership is what one process has at a time, of all that share a database.
type Leadership struct {
	// Number tells it from others.
	Number int64
	// LastServer selects the server on which the last one led, "" for none, and SetServer writes it: ?1 is Number, ?2 the server.
	LastServer, SetServer string
}

// Lease is that this process leads.
type Lease struct {
	once  sync.Once
	end   func()
	check func(context.Context) error
	db    *DB
}

// migration is the right to migrate.
type migration struct {
	dialect goose.Dialect // how goose calls the database
	files   string        // the directory with its migrations
	pool    *sql.DB       // by which it is done
	// run calls what migrates, and calls it again where it failed for a reason that passes.
	run  func(ctx context.Context, up func(context.Context) error) error
	done func()
}

// CallLimit bounds a call whose ctx has no deadline.
const CallLimit = 30 * time.Second

// Within bounds a ctx that has no deadline.
func Within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}
