package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// restoreLimit is for a ctx without a deadline.
const restoreLimit = 6 * time.Hour

// Backup writes a copy of the SQLite file to path, as it is at one moment, while the store goes on working. path must not
// be there. The connection data in it is encrypted as before. On PostgreSQL it is an error that says what to use.
func (s *Store) Backup(ctx context.Context, path string) error { return s.db.Backup(ctx, path, isOurs) }

// Backup does the same for a database that this process has not open, and that a manager may have.
func Backup(ctx context.Context, dsn, path string) error { return sqldb.Backup(ctx, dsn, path, isOurs) }

func isOurs(ctx context.Context, t sqldb.Tx) (ours bool, err error) {
	err = t.Row(ctx, `SELECT EXISTS (SELECT 1 FROM environments WHERE name <> '')`).Scan(&ours)
	return ours, err
}

// Restore puts the backup at path in the place of dsn's SQLite file, which must not be there, with a new epoch for each
// environment: who has seen the data of before takes a new list. Without a path, the database that is there gets a new
// epoch; that is for PostgreSQL, after pg_restore.
//
// It returns ErrInUse, even while a manager relays the events of one of the environments, ErrWrongKey, ErrSchemaTooNew, and
// ErrNotFound when what is restored does not have that environment: none is begun. A ctx without a deadline bounds it to hours.
func Restore(ctx context.Context, dsn, path string, o Options) error {
	ctx, cancel := sqldb.Within(ctx, restoreLimit) // what is read and written is as much as there is
	defer cancel()
	renewal := renewCopy
	if o.restored = "the backup"; path == "" {
		renewal, o.restored = renew, "the database"
	}
	return sqldb.Restore(ctx, dsn, path, func(ctx context.Context, dsn string) error { return renewal(ctx, dsn, o) })
}

// NewEpoch gives the environment's data a new identity and starts its revisions again, as after a restore from a backup.
// Events that were sent are forgotten; those that were not are kept, in their order, as the first of the new epoch;
// the path of a secret that one names gets its new revision.
func (s *Store) NewEpoch(ctx context.Context) error {
	return s.db.Write(ctx, "begin a new epoch", func(ctx context.Context, t sqldb.Tx) error { return newEpochOf(ctx, t, s.env) })
}

func renew(ctx context.Context, dsn string, o Options) (err error) {
	s, err := Open(ctx, dsn, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.db.Write(ctx, "begin a new epoch", newEpochOfAll)
}

func newEpochOfAll(ctx context.Context, t sqldb.Tx) error {
	var envs []int64
	if err := t.Each(ctx, func(row sqldb.Row) error {
		var env int64
		err := row.Scan(&env)
		envs = append(envs, env)
		return err
	}, `SELECT id FROM environments ORDER BY id`); err != nil {
		return err
	}
	for _, env := range envs {
		// A relay that has read the events of before would mark those that got their numbers.
		if err := t.Alone(ctx, env); err != nil {
			return err
		}
		if err := newEpochOf(ctx, t, env); err != nil {
			return err
		}
	}
	return nil
}

func newEpochOf(ctx context.Context, t sqldb.Tx, env int64) error {
	var before tenant.Version
	if err := t.Row(ctx, `SELECT epoch, revision FROM environments WHERE id = ?1`+t.LockRow(), env).Scan(&before.Epoch, &before.Revision); err != nil {
		return err
	}
	epoch, err := laterEpoch(before) // what the last one gave is known only now
	if err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `DELETE FROM outbox WHERE env = ?1 AND sent_at IS NOT NULL`, env); err != nil {
		return err
	}
	newest, err := renumber(ctx, t, env, epoch)
	if err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE environments SET epoch = ?2, revision = ?3 WHERE id = ?1`, env, epoch, newest); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE relays SET sent = 0, pruned = 0 WHERE env = ?1`, env); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE active_sets SET revision = 0 WHERE env = ?1`, env); err != nil {
		return err
	}
	done := deedOf(ctx).row(callNewEpoch, "environment", fmt.Sprintf("epoch %s, revision %d after %d", epoch, newest, before.Revision))
	_, err = auditOf(ctx, t, env, time.Now(), done)
	return err
}

// renumber makes the events that are left the first of an epoch, and returns the newest revision.
func renumber(ctx context.Context, t sqldb.Tx, env int64, epoch string) (uint64, error) {
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
			if _, err := t.Exec(ctx, `UPDATE outbox SET revision = ?1, data = ?2 WHERE env = ?3 AND revision = ?4`,
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

// renewCopy leaves one file, without a journal beside it.
func renewCopy(ctx context.Context, dsn string, o Options) (err error) {
	s, err := Open(ctx, dsn, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.db.Write(ctx, "begin a new epoch", func(ctx context.Context, t sqldb.Tx) error {
		var verdict string
		if err := t.Row(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return errors.New("the backup is damaged: " + verdict)
		}
		return newEpochOfAll(ctx, t)
	})
}
