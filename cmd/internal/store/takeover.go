package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// lowerCased is the oldest program that may work on a database of which an environment was given its current name: one from
// before would begin another environment beside it.
const lowerCased = 2

// stored is an environment as the database has it.
type stored struct {
	id     int64
	name   string
	canary []byte
}

// takeOver gives the environment its current name, where a program from before names were lower-cased has begun it under
// another spelling, and seals again what is sealed with the name. It takes as long as there are tenants. What an older program, which
// has no lock of migrations, makes of the environments meanwhile is looked at again.
func (s *Store) takeOver(ctx context.Context) error {
	ctx, cancel := sqldb.Within(ctx, sqldb.MigrateLimit)
	defer cancel()
	return s.db.Write(ctx, "take the environment over", func(ctx context.Context, t sqldb.Tx) error {
		for {
			found, err := spellings(ctx, t, s.environment, s.formerly)
			if err != nil || len(found) == 0 || len(found) == 1 && found[0].name == s.environment {
				return err
			}
			same, err := lockStored(ctx, t, found)
			if err != nil {
				return err
			}
			if same {
				return s.takeOverFrom(ctx, t, found)
			}
		}
	})
}

// lockStored keeps others off these environments, and reports whether they are still what they were when they were read.
func lockStored(ctx context.Context, t sqldb.Tx, found []stored) (same bool, err error) {
	same = true
	for _, e := range found {
		var name string
		err := t.Row(ctx, `SELECT name FROM environments WHERE id = ?1`+t.LockRow(), e.id).Scan(&name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return false, err
		}
		same = same && name == e.name
	}
	return same, nil
}

// takeOverFrom is given what is not as it should be.
func (s *Store) takeOverFrom(ctx context.Context, t sqldb.Tx, found []stored) (err error) {
	if len(found) == 2 {
		found, err = s.giveWay(ctx, t, found)
	}
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fmt.Errorf("%w: %s", ErrTwoSpellings, quoted(found))
	}
	return s.rename(ctx, t, found[0])
}

// checkFormerly refuses a name that a manager can be started with: that one keeps its data. The environment's own name, in any
// spelling, says nothing new.
func (s *Store) checkFormerly() error {
	name, err := normal(s.formerly)
	if s.formerly == "" || err != nil || name == s.environment {
		return nil //nolint:nilerr // a name that cannot be one is what is taken over
	}
	return &Invalid{Code: "INVALID_FORMERLY", Message: fmt.Sprintf("the environment %q is not taken over by %q, because its name is allowed: "+
		"a manager that is started with it keeps its data", s.formerly, s.environment)}
}

// giveWay removes the one of two that has the current name if it never had a tenant: a start has begun it that did not say which
// one is to be taken over. What it has goes to the other: keys, tokens, and who did what.
func (s *Store) giveWay(ctx context.Context, t sqldb.Tx, found []stored) ([]stored, error) {
	at := slices.IndexFunc(found, func(e stored) bool { return e.name == s.environment })
	if at < 0 {
		return found, nil
	}
	empty, other := found[at], found[1-at]
	var used bool
	if err := t.Row(ctx, `SELECT revision > 0 OR tenants > 0 FROM environments WHERE id = ?1`, empty.id).Scan(&used); err != nil || used {
		return found, err
	}
	if err := t.Alone(ctx, empty.id); err != nil {
		return nil, err
	}
	if _, err := s.seal.open(empty.canary, empty.name, canaryText); err != nil {
		return nil, ErrWrongKey
	}
	for _, table := range []string{"keys", "audit"} {
		if _, err := t.Exec(ctx, `UPDATE `+table+` SET env = ?2 WHERE env = ?1`, empty.id, other.id); err != nil {
			return nil, err
		}
	}
	for _, own := range []string{"relays WHERE env", "probes WHERE env", "active_sets WHERE env", "environments WHERE id"} {
		if _, err := t.Exec(ctx, `DELETE FROM `+own+` = ?1`, empty.id); err != nil {
			return nil, err
		}
	}
	return []stored{other}, nil
}

// spellings are the environments whose name differs from that one in case alone, and the one that has the former name.
func spellings(ctx context.Context, t sqldb.Tx, environment, formerly string) (found []stored, err error) {
	err = eachEnvironment(ctx, t, func(e stored) {
		if strings.EqualFold(e.name, environment) || e.name == formerly {
			found = append(found, e)
		}
	})
	return found, err
}

func eachEnvironment(ctx context.Context, t sqldb.Tx, fn func(stored)) error {
	return t.Each(ctx, func(row sqldb.Row) error {
		var e stored
		if err := row.Scan(&e.id, &e.name, &e.canary); err != nil {
			return err
		}
		fn(e)
		return nil
	}, `SELECT id, name, canary FROM environments ORDER BY id`)
}

// wantEnvironment keeps a mistyped environment from being begun, empty, in what is restored.
func (s *Store) wantEnvironment(ctx context.Context) error {
	var found, lost []stored
	err := s.db.Query(ctx, "read the environments", func(ctx context.Context, t sqldb.Tx) (err error) {
		if found, err = spellings(ctx, t, s.environment, s.formerly); err == nil && len(found) == 0 {
			lost, err = refusedNames(ctx, t)
		}
		return err
	})
	switch {
	case err != nil && s.db.IsForeign(err):
		return fmt.Errorf("%s has no data of a tenant manager (%v): %w", s.restored, err, ErrNotFound) //nolint:errorlint // what to do goes by ErrNotFound
	case err != nil || len(found) > 0:
		return err
	case len(lost) > 0:
		return fmt.Errorf("%s has no environment %s, but %s, whose name is refused by now and can be given as the former one: %w",
			s.restored, s.environment, quoted(lost), ErrNotFound)
	}
	return fmt.Errorf("%s has no environment %s: %w", s.restored, s.environment, ErrNotFound)
}

// nameTheLost warns of environments that no manager can be started for.
func (s *Store) nameTheLost(ctx context.Context) error {
	var lost []stored
	err := s.db.Query(ctx, "read the environments", func(ctx context.Context, t sqldb.Tx) (err error) {
		lost, err = refusedNames(ctx, t)
		return err
	})
	for _, e := range lost {
		_, reason := normal(e.name)
		s.logger.LogAttrs(ctx, slog.LevelWarn, "the database has an environment whose name is refused by now; a manager that is started "+
			"with --formerly and that name, and a new one in --environment, takes its data over", slog.String("formerly", e.name), slog.Any("reason", reason))
	}
	return err
}

// refusedNames are the environments whose names are refused by now.
func refusedNames(ctx context.Context, t sqldb.Tx) (lost []stored, err error) {
	err = eachEnvironment(ctx, t, func(e stored) {
		if _, err := normal(e.name); err != nil {
			lost = append(lost, e)
		}
	})
	return lost, err
}

func quoted(found []stored) string {
	var names []string
	for _, e := range found {
		names = append(names, fmt.Sprintf("%q", e.name))
	}
	return strings.Join(names, " and ")
}

func (s *Store) rename(ctx context.Context, t sqldb.Tx, e stored) error {
	if err := t.Alone(ctx, e.id); err != nil { // a manager that knows the old name would write what nobody can read
		return err
	}
	if _, err := s.seal.open(e.canary, e.name, canaryText); err != nil {
		return ErrWrongKey
	}
	s.tellMigrating()
	s.logger.LogAttrs(ctx, slog.LevelWarn, "the environment was begun under another spelling; its name is lower-cased, and its data sealed again",
		slog.String("from", e.name), slog.String("to", s.environment))
	for _, step := range []func(context.Context, sqldb.Tx, stored) error{s.sealTenants, s.sealAssociations, s.renameEvents} {
		if err := step(ctx, t, e); err != nil {
			return err
		}
	}
	canary := s.seal.seal([]byte(canaryText), s.environment, canaryText)
	if _, err := t.Exec(ctx, `UPDATE environments SET name = ?2, canary = ?3 WHERE id = ?1`, e.id, s.environment, canary); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `INSERT INTO schema_floor (oldest) VALUES (?1)`, lowerCased); err != nil {
		return err
	}
	_, err := auditOf(ctx, t, e.id, time.Now(), deedOf(ctx).row(callRename, "environment", fmt.Sprintf("%q is now %q", e.name, s.environment)))
	return err
}

// again seals what was sealed under another name of the environment.
func (s *Store) again(sealed []byte, name string, what []string) ([]byte, error) {
	plain, err := s.seal.open(sealed, append([]string{name}, what...)...)
	if err != nil {
		return nil, err
	}
	return s.seal.seal(plain, append([]string{s.environment}, what...)...), nil
}

// sealedRow is what is sealed of a tenant.
type sealedRow struct {
	seq    int64
	id     string
	sealed []byte
}

func (s *Store) sealTenants(ctx context.Context, t sqldb.Tx, e stored) error {
	var last int64 = -1
	for {
		var rows []sealedRow
		if err := t.Each(ctx, func(r sqldb.Row) error {
			var row sealedRow
			err := r.Scan(&row.seq, &row.id, &row.sealed)
			rows = append(rows, row)
			return err
		}, `SELECT seq, id, owner FROM tenants WHERE env = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3`, e.id, last, atOnce); err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			last = row.seq
			sealed, err := s.again(row.sealed, e.name, ownerOf(row.id))
			if err != nil {
				return err
			}
			if _, err := t.Exec(ctx, `UPDATE tenants SET owner = ?3 WHERE env = ?1 AND seq = ?2`, e.id, row.seq, sealed); err != nil {
				return err
			}
		}
	}
}

// sealedPair is what is sealed of an association.
type sealedPair struct {
	sealed

	seq         int64
	id, service string
}

func (s *Store) sealAssociations(ctx context.Context, t sqldb.Tx, e stored) error {
	last := sealedPair{seq: -1}
	for {
		var rows []sealedPair
		if err := t.Each(ctx, func(r sqldb.Row) error {
			var row sealedPair
			err := r.Scan(&row.seq, &row.service, &row.id, &row.settings, &row.connections)
			rows = append(rows, row)
			return err
		}, `SELECT a.tenant, a.service, t.id, a.settings, a.connections
			FROM associations a JOIN tenants t ON t.env = a.env AND t.seq = a.tenant
			WHERE a.env = ?1 AND (a.tenant > ?2 OR a.tenant = ?2 AND a.service > ?3) ORDER BY a.tenant, a.service LIMIT ?4`,
			e.id, last.seq, last.service, atOnce); err != nil || len(rows) == 0 {
			return err
		}
		for _, last = range rows {
			data, err := s.pairAgain(last, e.name)
			if err != nil {
				return err
			}
			if _, err := t.Exec(ctx, `UPDATE associations SET settings = ?4, connections = ?5 WHERE env = ?1 AND tenant = ?2 AND service = ?3`,
				e.id, last.seq, last.service, data.settings, data.connections); err != nil {
				return err
			}
		}
	}
}

// pairAgain seals both: connections have the digest of settings as they are sealed.
func (s *Store) pairAgain(row sealedPair, name string) (data sealed, err error) {
	if row.connections == nil {
		data.settings, err = s.again(row.settings, name, settingsOf(row.id, row.service))
		return data, err
	}
	before := &Store{seal: s.seal, environment: name}
	connections, err := before.openConnections(row.sealed, row.id, row.service)
	if err != nil {
		return sealed{}, err
	}
	return s.sealConnections(connections, row.id, row.service)
}

// renameEvents is for those that were not sent. What was sent stays as it was sent.
func (s *Store) renameEvents(ctx context.Context, t sqldb.Tx, e stored) error {
	var last uint64
	for {
		left, err := selectEvents(ctx, t, `SELECT `+eventColumns+` FROM outbox WHERE env = ?1 AND revision > ?2 AND sent_at IS NULL
			ORDER BY revision LIMIT ?3`, e.id, last, atOnce)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, evt := range left {
			last = evt.Revision
			if evt.Validate() != nil {
				continue // it stays as it is, for whoever looks into why
			}
			evt.Environment = s.environment
			data, err := encodeEvent(evt.Event, tenant.Version{Epoch: evt.Epoch, Revision: evt.Revision})
			if err != nil {
				return err
			}
			if _, err := t.Exec(ctx, `UPDATE outbox SET data = ?3 WHERE env = ?1 AND revision = ?2`, e.id, last, data); err != nil {
				return err
			}
		}
	}
}

// normal is the environment of options, in the form in which names are stored.
func normal(environment string) (string, error) {
	name, err := tenant.ParseEnvironment(environment)
	if err != nil {
		return "", &Invalid{Code: "INVALID_ENVIRONMENT", Message: err.Error()}
	}
	return name, contract.CheckLabel("environment", "INVALID_ENVIRONMENT", name)
}
