package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// readOnly is the SQLSTATE of a change that a server in recovery, or one that takes none, was asked for.
const readOnly = "25006"

var (
	errRecovery = errors.New("the server is a standby, or has not been promoted yet: it takes no changes, and what it has may be old")
	errReadOnly = errors.New("the server takes no changes: default_transaction_read_only is on for this role or database")
)

// What a connection is marked with.
const (
	markTurn   = "tenantwatch.turn"
	markServer = "tenantwatch.server"
	markDirect = "tenantwatch.direct" // no pooler is in between
)

const (
	// connections of each of the pools at most.
	connections     = 16
	idleConnections = 4
	idleTime        = 5 * time.Minute
	lifetime        = 10 * time.Minute
)

// kind is the sessions of one pool.
type kind struct {
	writes     bool
	parameters map[string]string
}

func (p *postgres) kind(writes bool, parameters map[string]string) kind {
	return kind{writes: writes, parameters: parameters}
}

// poolersKnow reports whether a pooler takes a parameter that is sent while connecting. All others are set afterwards.
func poolersKnow(parameter string) bool {
	return slices.Contains([]string{
		"application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings",
		"options", "replication", // which cannot be set afterwards
	}, strings.ToLower(parameter))
}

// pool makes connections that suit k. One that leads to a server of before is not used again.
func (p *postgres) pool(k kind) *sql.DB {
	db := stdlib.OpenDB(*p.config,
		stdlib.OptionBeforeConnect(func(_ context.Context, config *pgx.ConnConfig) error {
			p.expect(config, k)
			return nil
		}),
		stdlib.OptionShouldPing(func(_ context.Context, used stdlib.ShouldPingParams) bool {
			return used.IdleDuration > time.Second && p.isCurrent(used.Conn) // a ping of a server that is gone may take long
		}),
		stdlib.OptionResetSession(func(_ context.Context, conn *pgx.Conn) error {
			if !p.isCurrent(conn) {
				return driver.ErrBadConn
			}
			return nil
		}))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(idleConnections)
	db.SetConnMaxIdleTime(idleTime)
	db.SetConnMaxLifetime(lifetime)
	return db
}

// expect has a connection looked at before it is used. One that is refused is closed, and the next server of the address is
// tried, if it has several.
func (p *postgres) expect(config *pgx.ConnConfig, k kind) {
	began := time.Now()
	config.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		is, err := identify(ctx, conn, k.writes)
		if err != nil {
			return err
		}
		turn, err := p.far.met(is.server, began)
		if err != nil {
			return err
		}
		data := conn.CustomData()
		data[markTurn], data[markServer], data[markDirect] = turn, is.server, is.direct
		return prepareSession(ctx, conn, k.parameters)
	}
}

func (p *postgres) isCurrent(conn *pgx.Conn) bool {
	turn, _ := conn.PgConn().CustomData()[markTurn].(int64)
	return turn == p.far.current()
}

// identity is what a connection says of its other end.
type identity struct {
	server string // what tells it from others: to the microsecond, when it was started
	direct bool   // the server itself has greeted us, and no pooler
}

// identify is an error if the server is in recovery or, where writes are wanted, takes none.
func identify(ctx context.Context, conn *pgconn.PgConn, writes bool) (identity, error) {
	results, err := conn.Exec(ctx, `SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only'),
		extract(epoch FROM pg_catalog.pg_postmaster_start_time()), pg_catalog.pg_backend_pid()`).ReadAll()
	if err != nil {
		return identity{}, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return identity{}, errors.New("the server does not say what it is")
	}
	row := results[0].Rows[0]
	if string(row[0]) != "f" {
		return identity{}, errRecovery
	}
	if writes && string(row[1]) != "off" {
		return identity{}, errReadOnly
	}
	return identity{server: string(row[2]), direct: string(row[3]) == strconv.FormatUint(uint64(conn.PID()), 10)}, nil
}

// prepareSession sets parameters, all at once.
func prepareSession(ctx context.Context, conn *pgconn.PgConn, parameters map[string]string) error {
	if len(parameters) == 0 {
		return nil
	}
	var calls []string
	var args [][]byte
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		args = append(args, []byte(name), []byte(parameters[name]))
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config($%d, $%d, false)", len(args)-1, len(args)))
	}
	return conn.ExecParams(ctx, "SELECT "+strings.Join(calls, ", "), args, nil, nil, nil).Read().Err
}

// pooledTries is how often a pooler is put to the test: which session it takes may be chance.
const pooledTries = 3

// keepsSessions is an error when a connection is not a session: while one of them is in a transaction, another is answered by
// a session that is not the one of before, or both by the same.
func keepsSessions(ctx context.Context, db *sql.DB) (err error) {
	one, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.Close()) }()
	two, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, two.Close()) }()
	for range pooledTries {
		if err := compareSessions(ctx, one, two); err != nil {
			return err
		}
	}
	return nil
}

func compareSessions(ctx context.Context, one, two *sql.Conn) error {
	before, err := session(ctx, one)
	if err != nil {
		return err
	}
	transaction, err := two.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = transaction.Rollback() }()
	other, err := session(ctx, transaction)
	if err != nil {
		return err
	}
	if other == before {
		return ErrNoSessions
	}
	after, err := session(ctx, one)
	if err == nil && after != before {
		err = ErrNoSessions
	}
	return err
}

// session does not prepare its statement: where each transaction has another session that would be an error of its own.
func session(ctx context.Context, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (pid int, err error) {
	err = on.QueryRowContext(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}
