package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/tenantwatch/tenantwatch/internal/atomicfile"
)

var (
	errUseDump    = errors.New("PostgreSQL is backed up with its own tools: use pg_dump")
	errUseRestore = errors.New("PostgreSQL is restored with its own tools: use pg_restore, and then restore without a file, " +
		"which gives the data a new epoch")
)

// Backup writes a copy of the SQLite file to path, as it is at one moment, while the database goes on working. path must not
// be there, and isOurs reports whether the data is what the caller keeps: nothing else is copied. On PostgreSQL it is an error
// that says what to use.
func (db *DB) Backup(ctx context.Context, path string, isOurs func(context.Context, Tx) (bool, error)) error {
	return db.Explain(ctx, "back up", db.dialect.backup(ctx, path, isOurs))
}

// backup writes to a file beside path first, so that what is at path is whole. It has a connection of its own: SQLite does
// not let the readers do this.
func (l *sqlite) backup(ctx context.Context, path string, isOurs func(context.Context, Tx) (bool, error)) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already", path)
	}
	unfinished, err := touch(path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unfinished) }() // it is gone when all went well
	db, err := l.pool("_txlock=deferred", 1, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ours, err := isOurs(ctx, newTx(plain{on: db}, l))
	if err != nil && !l.foreign(err) {
		return err
	}
	if !ours {
		return fmt.Errorf("%s has no data of a tenant manager: name the file that serve has in --db", l.path)
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?1`, unfinished); err != nil {
		return err
	}
	return finish(unfinished, path)
}

// isThere keeps SQLite from making a file that is not. It is not for one that this process has open: to close another opening of it
// would let go of SQLite's own locks.
func (l *sqlite) isThere() error {
	file, err := openFile(l.path, os.O_RDONLY)
	if err == nil {
		err = file.Close()
	}
	return err
}

func (p *postgres) isThere() error { return nil }

// finish has what was written reach the disk before it gets its name.
func finish(unfinished, path string) error {
	f, err := openFile(unfinished, os.O_RDWR)
	if err != nil {
		return err
	}
	if err := atomicfile.Rename(f, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// restore works on a copy beside the file, which gets the file's name at the very end.
func (l *sqlite) restore(ctx context.Context, path string, renew func(ctx context.Context, dsn string) error) (err error) {
	if l.lock, err = lockFile(l.path + ".lock"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	// A journal of another database would be taken for the new one's.
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if _, err := os.Lstat(l.path + suffix); err == nil {
			return fmt.Errorf("%s is there: move it away first", l.path+suffix)
		}
	}
	// What a backup wrote has none. A file that was moved away may have, and part of its data is in there.
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return fmt.Errorf("%s is not a backup: %s-wal has a part of its data; use the backup command on it", path, path)
	}
	copied, err := touch(l.path) // a name that was known before could be a link that somebody has put there
	if err != nil {
		return err
	}
	defer removeAll(copied)
	if err := copyFile(path, copied); err != nil {
		return err
	}
	if err := renew(ctx, "sqlite:"+copied); err != nil {
		if broken, ok := errors.AsType[*driver.Error](err); ok && broken.Code()&codeMask == codes.SQLITE_NOTADB {
			return fmt.Errorf("this is not a backup: %w", err)
		}
		return err
	}
	return finish(copied, l.path)
}

func copyFile(from, to string) (err error) {
	in, err := openFile(from, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := openFile(to, os.O_WRONLY)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

func removeAll(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(path + suffix) // what is not there need not go
	}
}

func (p *postgres) backup(context.Context, string, func(context.Context, Tx) (bool, error)) error {
	return errUseDump
}

func (p *postgres) restore(context.Context, string, func(context.Context, string) error) error {
	return errUseRestore
}
