package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

const (
	// A migration wants tables for itself. While it waits for a long reader, everybody else waits behind it: so it gives up
	// after a while, lets them pass, and tries again.
	migrationWaits  = "1s"
	migrationPauses = 2 * time.Second
	lockNotGot      = "55P03"

	migrationName = "tenantwatch migration" // of its sessions
	blockersEvery = 250 * time.Millisecond
)

func (p *postgres) migrating(ctx context.Context, writer *sql.DB, othersDo func()) (migration, error) {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return migration{}, err
	}
	waits := func() {
		othersDo()
		p.log.LogAttrs(ctx, slog.LevelInfo, "another process brings the database up to date; waiting for it")
	}
	if err := lockMigrations(ctx, conn, waits); err != nil {
		return migration{}, errors.Join(err, hangUp(conn))
	}
	parameters := maps.Clone(p.parameters)
	parameters["lock_timeout"], parameters["application_name"] = migrationWaits, migrationName
	pool := p.pool(p.kind(true, parameters))
	return migration{
		dialect: goose.DialectPostgres, files: "postgres", pool: pool,
		run: func(ctx context.Context, up func(context.Context) error) error {
			return p.persist(ctx, writer, conn, up)
		},
		done: func() {
			_ = pool.Close()
			_ = hangUp(conn)
		},
	}, nil
}

// lockMigrations waits for the lock. Its session does nothing while it has it, which may be for hours.
func lockMigrations(ctx context.Context, conn *sql.Conn, waits func()) error {
	if err := ask(ctx, func(ctx context.Context) error {
		_, err := conn.ExecContext(ctx, `SET idle_session_timeout = 0`)
		return err
	}); err != nil {
		return err
	}
	return waitForLock(ctx, conn, lockMigrate, 0, waits, func() error { return nil })
}

// persist runs up until it does not fail for want of a lock, or ctx ends. What failed has left nothing: each migration is one
// transaction. conn has the lock of migrations; without it another process may be about the same.
func (p *postgres) persist(ctx context.Context, writer *sql.DB, conn *sql.Conn, up func(context.Context) error) error {
	tell := p.tellsOnce()
	for {
		if err := ask(ctx, func(ctx context.Context) error { return holds(ctx, conn, lockMigrate, 0) }); err != nil {
			return fmt.Errorf("%w: the lock of migrations: %w", ErrUnavailable, err)
		}
		err := watchBlockers(ctx, writer, tell, up)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != lockNotGot {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(migrationPauses):
		}
	}
}

// watchBlockers runs up, and meanwhile looks whom it waits for. It looks by connections that have no lock: one whose query is
// cancelled is closed, and its locks are gone.
func watchBlockers(ctx context.Context, db *sql.DB, tell func(context.Context, blocker), up func(context.Context) error) error {
	looking, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for looking.Err() == nil {
			select {
			case <-looking.Done():
				return
			case <-time.After(blockersEvery):
			}
			if b, err := blocking(ctx, db); err == nil {
				tell(ctx, b)
			}
		}
	})
	err := up(ctx)
	stop()
	watch.Wait()
	return err
}

// blocker is a session that a migration waits for. All but its number is empty where this role may not see it.
type blocker struct {
	pid                               int
	user, application, address, state string
	since                             sql.NullTime // of its transaction
}

// blocking returns the first of them, or sql.ErrNoRows.
func blocking(ctx context.Context, db *sql.DB) (b blocker, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	err = db.QueryRowContext(ctx, `SELECT b.pid, COALESCE(b.usename, ''), COALESCE(b.application_name, ''),
		COALESCE(host(b.client_addr), ''), COALESCE(b.state, ''), b.xact_start
		FROM pg_stat_activity m CROSS JOIN LATERAL unnest(pg_blocking_pids(m.pid)) AS u (pid)
		JOIN pg_stat_activity b ON b.pid = u.pid
		WHERE m.application_name = $1 AND m.datname = current_database() AND m.wait_event_type = 'Lock'
		ORDER BY b.xact_start LIMIT 1`, migrationName).Scan(&b.pid, &b.user, &b.application, &b.address, &b.state, &b.since)
	return b, err
}

// tellsOnce logs the first session that is in the way.
func (p *postgres) tellsOnce() func(context.Context, blocker) {
	var once sync.Once
	return func(ctx context.Context, b blocker) {
		once.Do(func() {
			p.log.LogAttrs(ctx, slog.LevelWarn, "the database's schema cannot be brought up to date while a session has a transaction open "+
				"on the same table; it is tried again until that ends, and nobody else waits for it longer than a second. "+
				"If it need not be waited for, end it with SELECT pg_terminate_backend(pid)",
				slog.Int("pid", b.pid), slog.String("user", b.user), slog.String("application", b.application),
				slog.String("address", b.address), slog.String("state", b.state), slog.Time("transaction_since", b.since.Time))
		})
	}
}
