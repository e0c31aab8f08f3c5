package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"runtime"
	"strconv"

	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// ActiveVersion reads the version of service's list, ETag included, from two rows. A service that nobody has ever been
// active for has Set 0.
func (s *Store) ActiveVersion(ctx context.Context, service string) (ActiveVersion, error) {
	var v ActiveVersion
	err := s.look(ctx, "read the list's version", func(ctx context.Context, t tx) (err error) {
		v, err = s.activeVersion(ctx, t, service)
		return err
	})
	return v, err
}

// Room is how many calls of each kind the store works on at the same time; further ones wait.
type Room struct {
	Lists   int // calls of Active
	Lookups int // of keys and tokens
	Reads   int // all other calls that only read
	Changes int // calls that change something
}

// spare is what is left of the connections for what no client asks for, as the relay does.
const spare = 4

// enough readings for each processor, of which some wait for the disk, and some to be given one at all.
const enough = 8

// Room leaves something for what no client asks for. Readings that go on at once in this process wait for its processors and
// not for a server, so that more of them would only be in each other's way.
func (s *Store) Room() Room {
	r := Room{
		Lists: s.lists.Stats().MaxOpenConnections, Lookups: s.pools.keys.Stats().MaxOpenConnections,
		Reads: s.reader.Stats().MaxOpenConnections - spare, Changes: max(1, s.writer.Stats().MaxOpenConnections-spare),
	}
	if _, here := s.db.(*sqlite); here {
		r.Reads = min(r.Reads, enough*runtime.GOMAXPROCS(0))
	}
	return r
}

// Active reads the list of service as it is at one revision, oldest tenant first. begin gets the version, and then each
// every row as it comes from the database; what they return as an error ends the reading and comes back as it is. The
// database keeps what is read until the end, so they should not dawdle.
func (s *Store) Active(
	ctx context.Context, service string, begin func(ActiveVersion) error, each func(tenant.Summary) error,
) error {
	var theirs error
	note := func(err error) error { theirs = err; return err }
	done, err := s.log.list(ctx)
	if err != nil {
		return s.explain(ctx, "wait to read the list", err)
	}
	defer done()
	err = s.transact(ctx, s.lists, s.db.snapshot(), func(ctx context.Context, t tx) error {
		v, err := s.activeVersion(ctx, t, service)
		if err != nil {
			return err
		}
		if err := begin(v); err != nil {
			return note(err)
		}
		return t.each(ctx, func(rows *sql.Rows) error {
			row := tenant.Summary{Status: lifecycle.Active}
			if err := rows.Scan(&row.ID, &row.Name); err != nil {
				return err
			}
			return note(each(row))
		}, activeList, s.env, service)
	})
	if theirs != nil {
		return theirs
	}
	return s.explain(ctx, "read the list", err)
}

// activeList goes along the index of what is active for a service.
const activeList = `SELECT t.id, t.name FROM associations a JOIN tenants t ON t.env = a.env AND t.seq = a.tenant
	WHERE a.env = ?1 AND a.service = ?2 AND a.status = 'active' AND t.status = 'active' ORDER BY a.tenant`

const activeVersion = `SELECT e.epoch, e.revision, COALESCE(s.revision, 0)
	FROM environments e LEFT JOIN active_sets s ON s.env = e.id AND s.service = ?2 WHERE e.id = ?1`

func (s *Store) activeVersion(ctx context.Context, t tx, service string) (ActiveVersion, error) {
	var v ActiveVersion
	err := t.row(ctx, activeVersion, s.env, service).Scan(&v.Epoch, &v.Revision, &v.Set)
	digest := sha256.Sum256([]byte(service))
	v.ETag = `"` + v.Epoch + "-" + hex.EncodeToString(digest[:8]) + "-" + strconv.FormatUint(v.Set, 10) + `"`
	return v, err
}
