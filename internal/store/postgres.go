package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// connections of each of the pools, at the most.
	connections     = 16
	idleConnections = 4
	idleTime        = 5 * time.Minute
	dialLimit       = 10 * time.Second

	// How long the server lets a transaction do nothing, and one that reads a list.
	idleParameter = "idle_in_transaction_session_timeout"
	idleLimit     = "10s"
	idleListLimit = "10min"

	// What the advisory locks of this program are called: the first of their two numbers. The second is the environment.
	lockMigrate = 0x7477_0001
	lockRelay   = 0x7477_0002

	// oldestServer has idle_session_timeout. A version is as server_version_num has it.
	oldestServer = 14 * majorVersion
	majorVersion = 10_000

	lockEvery    = 500 * time.Millisecond
	releaseLimit = time.Second
)

// postgres is a database on a server, which others may use at the same time.
type postgres struct {
	config *pgx.ConnConfig
	log    *slog.Logger
}

func newPostgres(dsn string) (*postgres, error) {
	dsn, err := verified(dsn)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // it leaves the password out
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialLimit
	}
	for name, value := range map[string]string{
		"application_name": "tenantwatch",
		// A process that is frozen in a change, or gone without a word, must not keep the others waiting.
		idleParameter: idleLimit,
		// Whoever waited for the row of the environment has to see what the one before made of it, whatever the default is.
		"default_transaction_isolation": "read committed",
		"tcp_keepalives_idle":           "10",
		"tcp_keepalives_interval":       "5",
		"tcp_keepalives_count":          "3",
	} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	return &postgres{config: config}, nil
}

// verified asks for TLS with a verified server unless the address says otherwise or is of this machine: the driver's own
// default goes on without TLS.
func verified(dsn string) (string, error) {
	parsed, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("postgres: the address is no URL") // the error of url shows all of it
	}
	query := parsed.Query()
	if query.Has("sslmode") || os.Getenv("PGSSLMODE") != "" || onThisMachine(parsed) {
		return dsn, nil
	}
	query.Set("sslmode", "verify-full")
	parsed.RawQuery = query.Encode()
	return parsed.String(), nil
}

func onThisMachine(dsn *url.URL) bool {
	hosts := dsn.Host
	if host := dsn.Query().Get("host"); host != "" {
		hosts = host
	}
	if hosts == "" && (dsn.Query().Has("service") || os.Getenv("PGSERVICE") != "") {
		return false // a file names the host
	}
	if hosts == "" {
		hosts = os.Getenv("PGHOST")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if !(host == "" || strings.HasPrefix(host, "/") || host == "localhost" || ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func (p *postgres) open(ctx context.Context, log *slog.Logger) (pools, error) {
	p.log = log
	all := pools{writer: p.pool(p.config), reader: p.pool(p.config), lists: p.pool(p.patient())}
	if err := suits(ctx, all.writer, log); err != nil {
		return pools{}, errors.Join(err, all.closeAll())
	}
	return all, nil
}

// suits is an error if the server is too old, and warns when it does not keep what it has acknowledged.
func suits(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	var version int
	var commit string
	if err := db.QueryRowContext(ctx, `SELECT CAST(current_setting('server_version_num') AS integer),
		current_setting('synchronous_commit')`).Scan(&version, &commit); err != nil {
		return err
	}
	if version < oldestServer {
		return fmt.Errorf("PostgreSQL is version %d, and has to be %d or later", version/majorVersion, oldestServer/majorVersion)
	}
	if commit == "off" {
		log.LogAttrs(ctx, slog.LevelWarn, "synchronous_commit is off for this role or database: a change that was acknowledged may be "+
			"lost, with its event, when PostgreSQL crashes; switch it on")
	}
	return nil
}

// patient is for lists: the server has sent all of one, and is idle, while a slow client still takes it. A transaction
// that only reads keeps nobody waiting.
func (p *postgres) patient() *pgx.ConnConfig {
	config := p.config.Copy()
	if config.RuntimeParams[idleParameter] == idleLimit {
		config.RuntimeParams[idleParameter] = idleListLimit
	}
	return config
}

func (p *postgres) pool(config *pgx.ConnConfig) *sql.DB {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(idleConnections)
	db.SetConnMaxIdleTime(idleTime)
	return db
}

func (p *postgres) rebind(query string) string { return strings.ReplaceAll(query, "?", "$") }

func (p *postgres) lockRow() string { return " FOR UPDATE" }

func (p *postgres) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (p *postgres) intact() error { return nil }

// unavailable knows the errors of the connection, and of those that the server sends the ones that are about itself.
func (p *postgres) unavailable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok { // whatever the server's reason: it may let us in later
		return true
	}
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok {
		return isServerTrouble(failed.Code)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, broken := range []error{driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// isServerTrouble takes a SQLSTATE.
func isServerTrouble(state string) bool {
	switch state {
	case "25006", // read-only, as a standby is
		"25P03", // idle in a transaction for too long: this process was frozen
		"40001", "40P01", "55P03", "57014":
		return true
	}
	switch state[:min(len(state), 2)] {
	case "08", "53", "57", "58", "XX":
		return true
	}
	return false
}

func (p *postgres) migrating(ctx context.Context, writer *sql.DB) (goose.Dialect, func(), error) {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return "", nil, err
	}
	waits := func() {
		p.log.LogAttrs(ctx, slog.LevelInfo, "another process brings the database's schema up to date; waiting for it")
	}
	if err := waitForLock(ctx, conn, lockMigrate, 0, waits); err != nil {
		return "", nil, errors.Join(err, hangUp(conn))
	}
	return goose.DialectPostgres, func() { _ = hangUp(conn) }, nil
}

func (p *postgres) lead(ctx context.Context, writer *sql.DB, env int64) (*lease, error) {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	// The kernel answers for a process that is frozen, so that only its silence tells. The relay asks every five seconds.
	if _, err := conn.ExecContext(ctx, `SET idle_session_timeout = '15s'`); err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	if err := waitForLock(ctx, conn, lockRelay, env, func() {}); err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	return &lease{end: func() { letGo(conn, env) }, check: func(ctx context.Context) error { return holds(ctx, conn, env) }}, nil
}

// waitForLock asks again and again instead of waiting in one statement: a connection that is silent is seen. waits is called
// once, if somebody else has the lock.
func waitForLock(ctx context.Context, conn *sql.Conn, kind, which int64, waits func()) error {
	waits = sync.OnceFunc(waits)
	for {
		got, err := tryLock(ctx, conn, kind, which)
		if err != nil || got {
			return err
		}
		waits()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockEvery):
		}
	}
}

// tryLock is bounded, because ctx may have no end, or a late one.
func tryLock(ctx context.Context, conn *sql.Conn, kind, which int64) (got bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err = conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1, $2)`, kind, which).Scan(&got)
	return got, err
}

// alone keeps others from relaying for env until the transaction ends, or returns ErrInUse.
func (p *postgres) alone(ctx context.Context, t tx, env int64) error {
	var got bool
	err := t.row(ctx, `SELECT pg_try_advisory_xact_lock(?1, ?2)`, lockRelay, env).Scan(&got)
	if err == nil && !got {
		return ErrInUse
	}
	return err
}

// holds asks the session itself, so that one that was replaced is seen too.
func holds(ctx context.Context, conn *sql.Conn, env int64) error {
	var n int
	err := conn.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND pid = pg_backend_pid() AND classid::bigint = $1 AND objid::bigint = $2`, lockRelay, env).Scan(&n)
	if err == nil && n == 0 {
		return errors.New("the lock of the relay is lost")
	}
	return err
}

func letGo(conn *sql.Conn, env int64) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	_, _ = conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1, $2)`, lockRelay, env) // the session's end does it too
	_ = hangUp(conn)
}

// hangUp ends the session, and with it its locks, instead of giving it back.
func hangUp(conn *sql.Conn) error {
	err := conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		err = nil
	}
	if closing := conn.Close(); closing != nil && !errors.Is(closing, sql.ErrConnDone) {
		err = errors.Join(err, closing)
	}
	return err
}

func (p *postgres) close() error { return nil }
