package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// logLimit is how long the log may become, in bytes, before lists wait for a moment so that it can begin again. It is also what
// the file is cut to whenever it begins again by itself. Tests, which have no time to write so much, make it shorter.
var logLimit int64 = 64 << 20

const (
	// logTooLong is when somebody has to be told, in bytes.
	logTooLong = 1 << 30

	// logEvery is how often the log is looked at, at most, and logRest how long after a failure, at most.
	logEvery = time.Second
	logRest  = time.Minute
	// listsWait is how long lists may be kept waiting for a slow one.
	listsWait = 2 * time.Second
)

// sqliteLog keeps the file's write-ahead log short. SQLite writes the log from its beginning again when nobody reads what
// is in it, and while lists overlap there is always somebody. So when it has become long, no list begins until those that
// are being read have ended, and the log is cut. Nil is for a database that needs none of this.
type sqliteLog struct {
	path    string
	db      *sql.DB // a connection of its own, opened for each cut: one that writes would keep changes waiting
	log     *slog.Logger
	lists   gate
	changed chan struct{} // of size one
	end     func()        // ends run, and waits for it
	warned  bool          // of this length; run alone uses it
}

// keepShort goes on until close, which closes db too.
func keepShort(path string, db *sql.DB, log *slog.Logger) *sqliteLog {
	k := &sqliteLog{path: path, db: db, log: log, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.run(ctx) })
	k.end = func() {
		cancel()
		running.Wait()
	}
	return k
}

// list waits while the log is being cut. done has to be called when the list was read.
func (k *sqliteLog) list(ctx context.Context) (done func(), err error) {
	if k == nil {
		return func() {}, nil
	}
	return k.lists.enter(ctx)
}

// note tells that something was written.
func (k *sqliteLog) note() {
	if k == nil {
		return
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

func (k *sqliteLog) close() error {
	if k == nil {
		return nil
	}
	k.end()
	return k.db.Close()
}

// run looks at the log after changes until ctx ends.
func (k *sqliteLog) run(ctx context.Context) {
	rest := logEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		}
		if k.look(ctx) {
			rest = logEvery
		} else {
			rest = min(2*rest, logRest)
			k.note() // to try again, also without a change
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// look cuts a log that is too long. It returns false when that was not possible.
func (k *sqliteLog) look(ctx context.Context) bool {
	size, err := k.size()
	if err != nil {
		k.log.LogAttrs(ctx, slog.LevelWarn, "the database's log cannot be looked at", slog.String("error", err.Error()))
		return false
	}
	if size <= logLimit {
		k.warned = false
		return true
	}
	err = k.cut(ctx)
	if err == nil || ctx.Err() != nil {
		return true
	}
	level := slog.LevelDebug
	if size > logTooLong && !k.warned {
		level, k.warned = slog.LevelWarn, true
	}
	k.log.LogAttrs(ctx, level, "the database's log is long and cannot be cut: somebody reads slowly, and all the time",
		slog.String("file", k.path), slog.Int64("bytes", size), slog.String("error", err.Error()))
	return false
}

func (k *sqliteLog) size() (int64, error) {
	info, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// cut copies what is in the log to its place in the database while everything goes on, and then, without lists, the rest,
// which keeps changes waiting for as long as that takes.
func (k *sqliteLog) cut(ctx context.Context) (err error) {
	conn, err := k.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// A change waits for the second one. What is read besides lists has ended by then.
	if _, err := conn.ExecContext(ctx, `PRAGMA busy_timeout = 100`); err != nil {
		return err
	}
	if _, err := checkpoint(ctx, conn, `PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, listsWait)
	defer cancel()
	open, err := k.lists.shut(waiting)
	if err != nil {
		return err
	}
	defer open()
	done, err := checkpoint(ctx, conn, `PRAGMA wal_checkpoint(TRUNCATE)`)
	if err == nil && !done {
		err = errors.New("something else than lists reads, or writes")
	}
	return err
}

// checkpoint reports whether nobody was in the way.
func checkpoint(ctx context.Context, conn *sql.Conn, pragma string) (bool, error) {
	var busy, pages, copied int
	err := conn.QueryRowContext(ctx, pragma).Scan(&busy, &pages, &copied)
	return busy == 0, err
}
