package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

const (
	// readers may look at the file at once, and as many read lists.
	readers     = 32
	idleReaders = 4
	lookups     = 8 // of secrets, at once

	codeMask = 0xff // what an extended code is a kind of
)

// sqlite is one file, with one connection that writes, and its lock.
type sqlite struct {
	path   string
	lock   *os.File // beside the file, which need not be there to be locked
	data   *os.File // the file itself, however it is called; nothing is read by it
	opened os.FileInfo
	known  knownStatements
}

func newSQLite(path string) (*sqlite, error) {
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, errors.New("sqlite: the file has no name")
	}
	file, err := realPath(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return &sqlite{path: file}, nil
}

// realPath follows links, so that two names of one file are one file.
func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if file, err := filepath.EvalSymlinks(absolute); err == nil {
		return file, nil
	}
	// Once its target is made, the file would have a second name. What is a file by now was made by another process meanwhile.
	if info, err := os.Lstat(absolute); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return "", fmt.Errorf("%s is a link to nothing", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(absolute)), nil
}

func (l *sqlite) open(ctx context.Context, log *slog.Logger) (p pools, err error) {
	if l.lock, err = lockFile(l.path + ".lock"); err != nil {
		return pools{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.closeAll(), l.close())
		}
	}()
	if l.opened, err = l.create(); err != nil {
		return p, err
	}
	if p.writer, err = l.pool("_txlock=immediate", 1, 1); err != nil {
		return p, err
	}
	if p.reader, err = l.pool("_query_only=1", readers, idleReaders); err != nil {
		return p, err
	}
	if p.lists, err = l.pool("_query_only=1", readers, 1); err != nil {
		return p, err
	}
	if p.lookups, err = l.pool("_query_only=1", lookups, lookups); err != nil {
		return p, err
	}
	cutter, err := l.pool("_txlock=deferred", 1, 0)
	if err != nil {
		return p, err
	}
	p.wal = keepShort(l.path+"-wal", cutter, log)
	return p, p.writer.PingContext(ctx)
}

// create makes the file before SQLite does, which would let everybody read it, and keeps it open until the pools are closed:
// to close it before would let go of SQLite's own locks.
func (l *sqlite) create() (info os.FileInfo, err error) {
	l.data, err = openFile(l.path, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, os.ErrPermission) {
		l.data, err = openFile(l.path, os.O_RDONLY) // SQLite says so when something is to be written
	}
	if err != nil {
		return nil, err
	}
	if err := lockData(l.data); err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.path, err)
	}
	return l.data.Stat()
}

func (l *sqlite) pool(options string, open, idle int) (*sql.DB, error) {
	uri := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(l.path), "/")}
	pragmas := "&_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_dqs=0" +
		"&_pragma=journal_size_limit(" + strconv.FormatInt(logLimit, 10) + ")"
	db, err := sql.Open("sqlite", uri.String()+"?"+options+pragmas)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(open)
	db.SetMaxIdleConns(idle)
	return db, nil
}

func (l *sqlite) rebind(query string) string { return query }

// lockRow is not needed: there is one writer, and its transactions begin immediate.
func (l *sqlite) lockRow() string { return "" }

func (l *sqlite) contains(column, what string) string { return "instr(" + column + ", " + what + ")" }

func (l *sqlite) snapshot() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

func (l *sqlite) intact() func(context.Context, bool) error {
	return func(context.Context, bool) error { return l.inPlace() }
}

// inPlace sees a file that was deleted or replaced: SQLite would go on writing to what nobody can open again.
func (l *sqlite) inPlace() error {
	info, err := os.Stat(l.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if !os.SameFile(info, l.opened) {
		return fmt.Errorf("%w: %s was replaced by another file", ErrUnavailable, l.path)
	}
	return nil
}

func (l *sqlite) unavailable(err error) bool {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, os.ErrPermission) {
		return true
	}
	failed, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return false
	}
	switch failed.Code() & codeMask {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_READONLY, codes.SQLITE_IOERR, codes.SQLITE_FULL,
		codes.SQLITE_CANTOPEN, codes.SQLITE_NOMEM, codes.SQLITE_PERM, codes.SQLITE_PROTOCOL, codes.SQLITE_CORRUPT,
		codes.SQLITE_NOTADB:
		return true
	}
	return false
}

func (l *sqlite) foreign(err error) bool {
	return strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "no such column")
}

// migrating needs no lock but that of the file.
func (l *sqlite) migrating(_ context.Context, writer *sql.DB, _ func()) (migration, error) {
	run := func(ctx context.Context, up func(context.Context) error) error { return up(ctx) }
	return migration{dialect: goose.DialectSQLite3, files: "sqlite", pool: writer, run: run, done: func() {}}, nil
}

// lead is at once: whoever has the file open is alone.
func (l *sqlite) lead(context.Context, *sql.DB, Leadership) (*Lease, error) {
	return &Lease{end: func() {}, check: func(context.Context) error { return nil }}, nil
}

func (l *sqlite) alone(context.Context, Tx, int64) error { return nil }

func (l *sqlite) here() bool { return true }

func (l *sqlite) close() error {
	var errs []error
	for _, f := range []*os.File{l.data, l.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	l.data, l.lock = nil, nil
	return errors.Join(errs...)
}
