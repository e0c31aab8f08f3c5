package store

import (
	"context"
	"database/sql"
	"log/slog"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Count is how many tenants a list has, and the XOR of the digests of their ids.
type Count struct {
	Tenants int
	Digest  uint64
}

func (n *Count) add(id string) {
	n.Tenants++
	n.Digest ^= tenant.IDDigest(id)
}

// uncounted is the revision of a count that nobody knows.
const uncounted = -1

// noteList has XOR in the words that both databases know. A list without a row never had a tenant.
const noteList = `INSERT INTO active_sets (env, service, revision, tenants, digest, counted_at, counted_in)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (env, service) DO UPDATE SET
		revision = excluded.revision,
		tenants = active_sets.tenants + excluded.tenants,
		digest = (active_sets.digest | excluded.digest) & ~(active_sets.digest & excluded.digest),
		counted_at = CASE WHEN active_sets.counted_at = active_sets.revision AND active_sets.counted_in = excluded.counted_in
			THEN excluded.revision ELSE -1 END,
		counted_in = excluded.counted_in`

// noteLists notes at which revision what happened has changed lists, and what that makes of their counts.
func (c *change) noteLists(h lifecycle.Happening) {
	var digest uint64
	if h.Joins != 0 {
		digest = tenant.IDDigest(h.TenantID())
	}
	first := int64(uncounted)
	if h.Joins > 0 {
		first = int64(c.revision) //nolint:gosec // there are not that many
	}
	for _, service := range h.Lists {
		c.write(noteList, c.store.env, service, c.revision, h.Joins, int64(digest), first, c.epoch)
	}
}

// keptList is what is kept of a list: the version, and the count if it is known.
type keptList struct {
	tenant.Version

	set    uint64 // the revision at which the list changed last
	count  Count
	known  bool // the count
	absent bool // there is no row, because the list never had a tenant
}

const listKept = `SELECT e.epoch, e.revision, s.revision, COALESCE(s.tenants, 0), COALESCE(s.digest, 0), COALESCE(s.counted_at, -1), COALESCE(s.counted_in, '')
	FROM environments e LEFT JOIN active_sets s ON s.env = e.id AND s.service = ?2 WHERE e.id = ?1`

func (s *Store) keptList(ctx context.Context, t sqldb.Tx, service string) (k keptList, err error) {
	var set sql.NullInt64
	var digest, countedAt int64
	var countedIn string
	err = t.Row(ctx, listKept, s.env, service).Scan(&k.Epoch, &k.Revision, &set, &k.count.Tenants, &digest, &countedAt, &countedIn)
	k.set, k.count.Digest, k.absent = uint64(set.Int64), uint64(digest), !set.Valid //nolint:gosec // as they were written
	k.known = set.Valid && countedAt == set.Int64 && countedIn == k.Epoch
	return k, err
}

// counted completes what is kept where that takes no counting: a list that is empty and has no row.
func (s *Store) counted(ctx context.Context, t sqldb.Tx, service string) (keptList, error) {
	k, err := s.keptList(ctx, t, service)
	if err == nil && k.absent {
		err = t.Row(ctx, `SELECT NOT EXISTS (SELECT 1 FROM associations WHERE env = ?1 AND service = ?2 AND status = 'active')`,
			s.env, service).Scan(&k.known)
	}
	return k, err
}

// CountActive counts the list of a service whose count is not known: after a migration, after a restore, and after a change by a
// program from before there were counts. Changes wait meanwhile.
func (s *Store) CountActive(ctx context.Context, service string) error {
	return s.db.Write(ctx, "count the list", func(ctx context.Context, t sqldb.Tx) error {
		var epoch string
		if err := t.Row(ctx, `SELECT epoch FROM environments WHERE id = ?1`+t.LockRow(), s.env).Scan(&epoch); err != nil {
			return err
		}
		k, err := s.counted(ctx, t, service)
		if err != nil || k.known {
			return err
		}
		var now Count
		if err := t.Each(ctx, func(row sqldb.Row) error {
			var id, name string
			err := row.Scan(&id, &name)
			now.add(id)
			return err
		}, activeList, s.env, service); err != nil {
			return err
		}
		return s.keepCount(ctx, t, service, k, now)
	})
}

// keepCount keeps what a list has at the version of k, unless the list has changed since.
func (s *Store) keepCount(ctx context.Context, t sqldb.Tx, service string, k keptList, now Count) error {
	_, err := t.Exec(ctx, `INSERT INTO active_sets (env, service, revision, tenants, digest, counted_at, counted_in)
		VALUES (?1, ?2, ?3, ?4, ?5, ?3, ?6) ON CONFLICT (env, service) DO UPDATE SET
			tenants = excluded.tenants, digest = excluded.digest, counted_at = excluded.counted_at, counted_in = excluded.counted_in
			WHERE active_sets.revision = excluded.revision`,
		s.env, service, k.set, now.Tenants, int64(now.Digest), k.Epoch) //nolint:gosec // the bits count
	return err
}

// checkCount compares what is kept of a list with the list as it was read at the same moment, and keeps what was read instead. A list
// that was read in vain is not waited for here: who reads changes counts it if need be.
func (s *Store) checkCount(ctx context.Context, service string, k keptList, now Count) {
	wrong := k.known && k.count != now
	if k.known && !wrong || k.absent && now.Tenants == 0 {
		return
	}
	if wrong {
		s.logger.LogAttrs(ctx, slog.LevelError, "what the manager keeps of a list did not fit the list, and readers that compare it have read the list again; it is corrected",
			slog.String("service", service), slog.Int("kept", k.count.Tenants), slog.Int("tenants", now.Tenants), slog.String("version", k.String()))
	}
	err := s.db.Write(ctx, "keep the count of a list", func(ctx context.Context, t sqldb.Tx) error {
		if wrong { // whatever has been added to it since
			if _, err := t.Exec(ctx, `UPDATE active_sets SET counted_at = -1 WHERE env = ?1 AND service = ?2`, s.env, service); err != nil {
				return err
			}
		}
		return s.keepCount(ctx, t, service, k, now)
	})
	if err != nil {
		s.logger.LogAttrs(ctx, slog.LevelDebug, "the count of a list was not kept; it is counted when somebody asks for it",
			slog.String("service", service), slog.Any("error", err))
	}
}
