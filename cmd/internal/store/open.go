package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Store is the data of one environment. It may be used from any goroutine. Each call is bounded by its ctx, and by half a
// minute where that has no deadline; reading the list of a service has no other bound than its ctx.
//
// The errors that all methods share are [ErrUnavailable], and that of a ctx which was cancelled. What else one returns
// stands at it. After an error of a change nothing is changed, except as ErrUnavailable says.
type Store struct {
	db          *sqldb.DB
	environment string
	formerly    string // see Options
	restored    string // see Options
	env         int64  // its row
	seal        *sealer
	readings    *readLog
	migrating   func() // Options.Migrating; nil is nobody
	tenantID    func(n int64) string
	logger      *slog.Logger

	together int // how many changes share a transaction at most
	line     line

	closing sync.Once
	closed  error // of Close

	mu     sync.Mutex // guards what is below
	leader *sqldb.Lease
	noted  map[string]time.Time // when a key's last use was written, by its id
}

//go:embed migrations
var embedded embed.FS

// migrations has a set for each kind of database.
var migrations, _ = fs.Sub(embedded, "migrations") // its error would be a wrong path

// Open opens the database, brings its schema up to date and returns the store. dsn is "sqlite:FILE", whose directory has to
// be there, or "postgres://…".
//
// It returns *Invalid for options that can never be right, ErrInUse when another process has the SQLite file open, ErrSchemaTooNew, ErrWrongKey, ErrTwoSpellings,
// ErrNoSessions, and ErrUnavailable when the database cannot be reached. A migration that was broken off is taken up where it was. Without a deadline of ctx, what
// is to be migrated may take hours, and everything else half a minute.
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	s, err := open(ctx, dsn, o, migrations)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return s, nil
}

// Close closes the database and lets go of the file. Changes under way are waited for by nobody: end them first. Once more
// returns the same again.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		leader := s.leader
		s.mu.Unlock()
		if leader != nil {
			leader.Release()
		}
		s.closed = s.db.Close()
	})
	return s.closed
}

// Environment is the one that the store was opened with, in its normal form.
func (s *Store) Environment() string { return s.environment }

// Version returns the epoch and the newest revision.
func (s *Store) Version(ctx context.Context) (tenant.Version, error) {
	var v tenant.Version
	err := s.db.Query(ctx, "read the version", func(ctx context.Context, t sqldb.Tx) error {
		return t.Row(ctx, `SELECT epoch, revision FROM environments WHERE id = ?1`, s.env).Scan(&v.Epoch, &v.Revision)
	})
	return v, err
}

func open(ctx context.Context, dsn string, o Options, migrations fs.FS) (*Store, error) {
	environment, err := normal(o.Environment)
	if err != nil {
		return nil, err
	}
	seal, err := newSealer(o.Key)
	if err != nil {
		return nil, err
	}
	s := &Store{
		environment: environment, seal: seal, tenantID: o.TenantID, logger: o.Logger, noted: map[string]time.Time{},
		readings: newReadLog(), migrating: o.Migrating, formerly: o.Formerly, restored: o.restored, together: together,
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.tenantID == nil {
		s.tenantID = func(int64) string { return strings.ReplaceAll(uuid.NewString(), "-", "") }
	}
	if err := s.checkFormerly(); err != nil {
		return nil, err
	}
	if s.db, err = sqldb.Open(ctx, dsn, sqldb.Options{Logger: s.logger, Answer: isAnswer}); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, migrations); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare migrates, takes an environment over that has another spelling, makes the environment if it is not there, and looks whether the key is its key.
func (s *Store) prepare(ctx context.Context, migrations fs.FS) error {
	if s.restored != "" {
		if err := s.wantEnvironment(ctx); err != nil {
			return err
		}
	}
	if err := s.db.Migrate(ctx, migrations, s.tellMigrating, s.takeOver); err != nil {
		return err
	}
	if err := s.nameTheLost(ctx); err != nil {
		return err
	}
	return s.db.Write(ctx, "prepare the environment", func(ctx context.Context, t sqldb.Tx) error {
		canary := s.seal.seal([]byte(canaryText), s.environment, canaryText)
		begun, err := t.Exec(ctx, `INSERT INTO environments (name, epoch, revision, tenants, canary)
			VALUES (?1, ?2, 0, 0, ?3) ON CONFLICT (name) DO NOTHING`, s.environment, newEpoch(), canary)
		if err == nil {
			err = s.checkKey(ctx, begun > 0)
		}
		if err != nil {
			return err
		}
		if err := t.Row(ctx, `SELECT id, canary FROM environments WHERE name = ?1`, s.environment).Scan(&s.env, &canary); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, `INSERT INTO relays (env, sent, pruned, pinged) VALUES (?1, 0, 0, 0)
			ON CONFLICT (env) DO NOTHING`, s.env); err != nil {
			return err
		}
		if _, err := s.seal.open(canary, s.environment, canaryText); err != nil {
			return ErrWrongKey
		}
		return s.finishPurges(ctx, t)
	})
}

// finishPurges removes what a program of before leaves of an association that it purges: it does not know of the connections.
func (s *Store) finishPurges(ctx context.Context, t sqldb.Tx) error {
	_, err := t.Exec(ctx, `UPDATE associations SET connections = NULL WHERE env = ?1 AND status = 'purged' AND connections IS NOT NULL`, s.env)
	return err
}

// checkKey refuses a weak key where data is begun with it, and warns where there is such data already.
func (s *Store) checkKey(ctx context.Context, begun bool) error {
	switch {
	case s.seal.weak && begun:
		return ErrWeakKey
	case s.seal.weak:
		s.logger.LogAttrs(ctx, slog.LevelError, ErrWeakKey.Error()+"; what is encrypted with it is open to whoever has a copy of the database")
	}
	return nil
}

func (s *Store) tellMigrating() {
	if s.migrating != nil {
		s.migrating()
	}
}

// isAnswer reports whether err is one of this package, or what a caller's own function returned.
func isAnswer(err error) bool {
	for _, known := range []error{ErrNotFound, ErrWrongKey, ErrWeakKey, ErrTwoSpellings, ErrGone, errNothing} {
		if errors.Is(err, known) {
			return true
		}
	}
	if _, ok := errors.AsType[*Conflict](err); ok {
		return true
	}
	if _, ok := errors.AsType[*Invalid](err); ok {
		return true
	}
	_, ok := errors.AsType[*Inactive](err)
	return ok
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// fromNullMicros takes null as the zero time.
func fromNullMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return fromMicros(n.Int64)
}
