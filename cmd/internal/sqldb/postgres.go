package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	dialLimit = 10 * time.Second

	// How long the server lets a transaction do nothing, and one that reads a list.
	idleParameter = "idle_in_transaction_session_timeout"
	idleLimit     = "10s"
	idleListLimit = "10min"

	// oldestServer has idle_session_timeout. A version is as server_version_num has it.
	oldestServer = 14 * majorVersion
	majorVersion = 10_000
)

// postgres is a database on a server, which others may use at the same time.
type postgres struct {
	config     *pgx.ConnConfig
	parameters map[string]string // of each session
	log        *slog.Logger
	far        farEnd
	leading    atomic.Int32 // how many leases there are
	end        func()       // ends watch, and waits for it; nil before open
}

func newPostgres(dsn string) (*postgres, error) {
	dsn, err := verified(dsn)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres: %s", withoutAddress(dsn, err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialLimit
	}
	parameters := map[string]string{
		// A process that is frozen in a change, or gone without a word, must not keep the others waiting.
		idleParameter: idleLimit,
		// Whoever waited for the row of the environment has to see what the one before made of it, whatever the default is.
		"default_transaction_isolation": "read committed",
		"tcp_keepalives_idle":           "10",
		"tcp_keepalives_interval":       "5",
		"tcp_keepalives_count":          "3",
	}
	for name, value := range config.RuntimeParams {
		if !poolersKnow(name) {
			parameters[name] = value
			delete(config.RuntimeParams, name)
		}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "tenantwatch"
	}
	return &postgres{config: config, parameters: parameters, far: farEnd{wish: make(chan struct{}, 1)}}, nil
}

// withoutAddress is what the driver says of an address that it cannot read, without the address and without the value that is
// wrong. The driver leaves out what it knows for a password, and somebody may have written one where it does not look.
func withoutAddress(dsn string, err error) string {
	text := strings.TrimPrefix(err.Error(), pgconn.NewParseConfigError(dsn, "", nil).Error())
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		text = strings.ReplaceAll(text, strconv.Quote(number.Num), "a value")
	}
	return "the address cannot be read: " + text
}

// verified asks for TLS with a verified server unless the address says otherwise or is of this machine: the driver's own
// default goes on without TLS. It refuses files of the address that are not files, see checkDriverFiles.
func verified(dsn string) (string, error) {
	parsed, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("postgres: the address is not a URL") // the error of url shows all of it
	}
	query := parsed.Query()
	if err := checkDriverFiles(query); err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
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
	all := pools{
		writer:  p.pool(p.kind(true, p.parameters)),
		reader:  p.pool(p.kind(false, p.parameters)),
		lists:   p.pool(p.kind(false, p.patient())),
		lookups: p.pool(p.kind(false, p.parameters)),
	}
	all.lookups.SetMaxOpenConns(lookups)
	all.lookups.SetMaxIdleConns(lookups)
	for _, demand := range []func() error{
		func() error { return keepsSessions(ctx, all.writer) },
		func() error { return suits(ctx, all.writer, log) },
	} {
		if err := demand(); err != nil {
			return pools{}, errors.Join(err, all.closeAll())
		}
	}
	p.keepWatch()
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
func (p *postgres) patient() map[string]string {
	parameters := maps.Clone(p.parameters)
	if parameters[idleParameter] == idleLimit {
		parameters[idleParameter] = idleListLimit
	}
	return parameters
}

func (p *postgres) rebind(query string) string { return strings.ReplaceAll(query, "?", "$") }

func (p *postgres) lockRow() string { return " FOR UPDATE" }

func (p *postgres) contains(column, what string) string {
	return "position(CAST(" + what + " AS bytea) IN " + column + ")"
}

func (p *postgres) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// intact sees that the address leads to another server since the transaction began. A change has to know that it does not; what
// is read is as old as it says, and goes on when nobody can look.
func (p *postgres) intact() func(context.Context, bool) error {
	turn := p.far.current()
	return func(ctx context.Context, change bool) error {
		if change {
			return p.leadsHere(ctx, turn, toCommit)
		}
		return p.far.still(turn)
	}
}

// unavailable knows the errors of the connection, and of those that the server sends the ones that are about itself.
func (p *postgres) unavailable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok { // whatever the server's reason: it may let us in later
		return true
	}
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok {
		if failed.Code == readOnly {
			p.far.distrust() // the address may lead to a server that takes changes
		}
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

func (p *postgres) foreign(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refused.Code == "42P01" || refused.Code == "42703")
}

// isServerTrouble takes a SQLSTATE.
func isServerTrouble(state string) bool {
	switch state {
	case readOnly, // as a standby is
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

func (p *postgres) close() error {
	if p.end != nil {
		p.end()
	}
	return nil
}

func (p *postgres) here() bool { return false }

// free is known to the server alone.
func (p *postgres) free() (bytes uint64, known bool) { return 0, false }
