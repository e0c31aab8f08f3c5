package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// ActiveVersion reads the version of service's list, ETag included, from two rows. A service that nobody has ever been
// active for has Set 0.
func (s *Store) ActiveVersion(ctx context.Context, service string) (ActiveVersion, error) {
	var v ActiveVersion
	err := s.db.Query(ctx, "read the list's version", func(ctx context.Context, t sqldb.Tx) (err error) {
		v, err = s.activeVersion(ctx, t, service)
		return err
	})
	return v, err
}

// Active reads the list of service as it is at one revision, oldest tenant first. begin gets the version, and then each
// every row as it comes from the database; what they return as an error ends the reading and comes back as it is. The
// database keeps what is read until the end, so they should not dawdle.
func (s *Store) Active(
	ctx context.Context, service string, begin func(ActiveVersion) error, each func(tenant.Summary) error,
) error {
	var theirs error
	var kept keptList
	var read Count
	note := func(err error) error { theirs = err; return err }
	err := s.db.Stream(ctx, "read the list", func(ctx context.Context, t sqldb.Tx) (err error) {
		if kept, err = s.keptList(ctx, t, service); err != nil {
			return err
		}
		if err := begin(versionOf(service, kept.Version, kept.set)); err != nil {
			return note(err)
		}
		return t.Each(ctx, func(row sqldb.Row) error {
			summary := tenant.Summary{Status: tenant.StatusActive}
			if err := row.Scan(&summary.ID, &summary.Name); err != nil {
				return err
			}
			read.add(summary.ID)
			return note(each(summary))
		}, activeList, s.env, service)
	})
	if theirs != nil {
		return theirs
	}
	if err == nil {
		s.checkCount(ctx, service, kept, read)
	}
	return err
}

// activeList goes along the index of what is active for a service.
const activeList = `SELECT t.id, t.name FROM associations a JOIN tenants t ON t.env = a.env AND t.seq = a.tenant
	WHERE a.env = ?1 AND a.service = ?2 AND a.status = 'active' AND t.status = 'active' ORDER BY a.tenant`

const activeVersion = `SELECT e.epoch, e.revision, COALESCE(s.revision, 0)
	FROM environments e LEFT JOIN active_sets s ON s.env = e.id AND s.service = ?2 WHERE e.id = ?1`

func (s *Store) activeVersion(ctx context.Context, t sqldb.Tx, service string) (ActiveVersion, error) {
	var at tenant.Version
	var set uint64
	err := t.Row(ctx, activeVersion, s.env, service).Scan(&at.Epoch, &at.Revision, &set)
	return versionOf(service, at, set), err
}

func versionOf(service string, at tenant.Version, set uint64) ActiveVersion {
	digest := sha256.Sum256([]byte(service))
	return ActiveVersion{
		Version: at, Set: set,
		ETag: `"` + at.Epoch + "-" + hex.EncodeToString(digest[:8]) + "-" + strconv.FormatUint(set, 10) + `"`,
	}
}
