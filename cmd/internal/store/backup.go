package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// restoreLimit is for a ctx without a deadline.
const restoreLimit = 6 * time.Hour

var (
	errUseDump    = errors.New("PostgreSQL is backed up with its own tools: use pg_dump")
	errUseRestore = errors.New("PostgreSQL is restored with its own tools: use pg_restore, and then restore without a file, " +
		"which gives the data a new epoch")
)

// Backup writes a copy of the SQLite file to path, as it is at one moment, while the store goes on working. path must not
// be there. The connection data in it is encrypted as before. On PostgreSQL it is an error that says what to use.
func (s *Store) Backup(ctx context.Context, path string) error {
	return s.explain(ctx, "back up", s.db.backup(ctx, path))
}

// Backup does the same for a database that this process has not open, and that a manager may have.
func Backup(ctx context.Context, dsn, path string) error {
	db, err := dialectOf(dsn)
	if err != nil {
		return err
	}
	file, ok := db.(*sqlite)
	if !ok {
		return errUseDump
	}
	if err := isThere(file.path); err != nil { // SQLite would make one that is not
		return fmt.Errorf("back up: %w", err)
	}
	if err := file.backup(ctx, path); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

func isThere(path string) error {
	file, err := openFile(path, os.O_RDONLY)
	if err == nil {
		err = file.Close()
	}
	return err
}

// Restore puts the backup at path in the place of dsn's SQLite file, which must not be there, with a new epoch for each
// environment: who has seen the data of before takes a new list. Without a path, the database that is there gets a new
// epoch; that is for PostgreSQL, after pg_restore.
//
// It returns ErrInUse, also while a manager relays the events of one of the environments, ErrWrongKey, ErrSchemaTooNew, and
// ErrNotFound when there is no such environment in what is restored, so that none is begun. A ctx without a deadline bounds it to hours.
func Restore(ctx context.Context, dsn, path string, o Options) error {
	db, err := dialectOf(dsn)
	if err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok { // what is read and written is as much as there is
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, restoreLimit)
		defer cancel()
	}
	if path == "" {
		return renew(ctx, db, dsn, o)
	}
	file, ok := db.(*sqlite)
	if !ok {
		return errUseRestore
	}
	if err := file.restore(ctx, path, o); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// NewEpoch gives the environment's data a new identity and starts its revisions again, as after a restore from a backup.
// Events that were sent are forgotten; those that were not are kept, in their order, as the first of the new epoch;
// the path of a secret that one names gets its new revision.
func (s *Store) NewEpoch(ctx context.Context) error {
	return s.write(ctx, "begin a new epoch", func(ctx context.Context, t tx) error { return newEpochOf(ctx, t, s.env) })
}

func renew(ctx context.Context, db dialect, dsn string, o Options) (err error) {
	if file, ok := db.(*sqlite); ok { // SQLite would make one that is not
		if err := isThere(file.path); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	o.restored = "the database"
	s, err := Open(ctx, dsn, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.write(ctx, "begin a new epoch", newEpochOfAll)
}

func newEpochOfAll(ctx context.Context, t tx) error {
	var envs []int64
	if err := t.each(ctx, func(rows *sql.Rows) error {
		var env int64
		err := rows.Scan(&env)
		envs = append(envs, env)
		return err
	}, `SELECT id FROM environments ORDER BY id`); err != nil {
		return err
	}
	for _, env := range envs {
		// A relay that has read the events of before would mark those that got their numbers.
		if shared, ok := t.db.(*postgres); ok {
			if err := shared.alone(ctx, t, env); err != nil {
				return err
			}
		}
		if err := newEpochOf(ctx, t, env); err != nil {
			return err
		}
	}
	return nil
}

func newEpochOf(ctx context.Context, t tx, env int64) error {
	var before tenant.Version
	if err := t.row(ctx, `SELECT epoch, revision FROM environments WHERE id = ?1`+t.db.lockRow(), env).Scan(&before.Epoch, &before.Revision); err != nil {
		return err
	}
	epoch, err := laterEpoch(before) // what the last one gave is known only now
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `DELETE FROM outbox WHERE env = ?1 AND sent_at IS NOT NULL`, env); err != nil {
		return err
	}
	newest, err := renumber(ctx, t, env, epoch)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE environments SET epoch = ?2, revision = ?3 WHERE id = ?1`, env, epoch, newest); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE relays SET sent = 0, pruned = 0 WHERE env = ?1`, env); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE active_sets SET revision = 0 WHERE env = ?1`, env); err != nil {
		return err
	}
	done := deedOf(ctx).row(callNewEpoch, "environment", fmt.Sprintf("epoch %s, revision %d after %d", epoch, newest, before.Revision))
	_, err = auditOf(ctx, t, env, time.Now(), done)
	return err
}

// renumber makes the events that are left the first of an epoch, and returns the newest revision.
func renumber(ctx context.Context, t tx, env int64, epoch string) (uint64, error) {
	var newest, last uint64
	for {
		left, err := selectEvents(ctx, t, `SELECT `+eventColumns+` FROM outbox WHERE env = ?1 AND revision > ?2
			ORDER BY revision LIMIT ?3`, env, last, atOnce)
		if err != nil || len(left) == 0 {
			return newest, err
		}
		for _, evt := range left {
			last = evt.Revision
			newest++
			data := evt.Data // what is not an event stays as it is, for whoever looks into why
			if evt.Validate() == nil {
				evt.Payload = renumbered(evt.Event, tenant.Version{Epoch: epoch, Revision: newest})
				if data, err = encodeEvent(evt.Event, tenant.Version{Epoch: epoch, Revision: newest}); err != nil {
					return 0, err
				}
			}
			if _, err := t.exec(ctx, `UPDATE outbox SET revision = ?1, data = ?2 WHERE env = ?3 AND revision = ?4`,
				newest, data, env, last); err != nil {
				return 0, err
			}
		}
	}
}

// renumbered is the payload of an event that gets another revision: the path of a secret has a version that is made of it, and a
// later rotation that came to the old one would have the same path. What has no such payload stays as it is.
func renumbered(evt tenant.Event, v tenant.Version) json.RawMessage {
	var p tenant.CredentialsRotated
	if evt.EventType != tenant.EventCredentialsRotated || json.Unmarshal(evt.Payload, &p) != nil {
		return evt.Payload
	}
	p.NewSecretPath = contract.SecretPath(evt.TenantID, p.ServiceName, p.CredentialType, v)
	data, err := json.Marshal(p)
	if err != nil {
		return evt.Payload
	}
	return data
}

// backup writes to a file beside path first, so that what is at path is whole. It has a connection of its own: SQLite does
// not let the readers do this.
func (l *sqlite) backup(ctx context.Context, path string) (err error) {
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
	var ours bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM environments WHERE name <> '')`).Scan(&ours); err != nil && !isForeign(err) {
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

// finish has what was written reach the disk before it gets its name.
func finish(unfinished, path string) error {
	f, err := openFile(unfinished, os.O_RDWR)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// restore works on a copy beside the file, which gets the file's name at the very end.
func (l *sqlite) restore(ctx context.Context, path string, o Options) (err error) {
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
		return fmt.Errorf("%s is no backup: %s-wal has a part of its data; use the backup command on it", path, path)
	}
	copied, err := touch(l.path) // a name that was known before could be a link that somebody has put there
	if err != nil {
		return err
	}
	defer removeAll(copied)
	if err := copyFile(path, copied); err != nil {
		return err
	}
	if err := renewCopy(ctx, copied, o); err != nil {
		return err
	}
	return finish(copied, l.path)
}

// renewCopy leaves one file, without a journal beside it.
func renewCopy(ctx context.Context, path string, o Options) (err error) {
	o.restored = "the backup"
	s, err := Open(ctx, "sqlite:"+path, o)
	if broken, ok := errors.AsType[*driver.Error](err); ok && broken.Code()&codeMask == codes.SQLITE_NOTADB {
		return fmt.Errorf("this is no backup: %w", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.write(ctx, "begin a new epoch", func(ctx context.Context, t tx) error {
		var verdict string
		if err := t.row(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return errors.New("the backup is damaged: " + verdict)
		}
		return newEpochOfAll(ctx, t)
	})
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

func (p *postgres) backup(context.Context, string) error { return errUseDump }
