package sqldb

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A server that has no connection left refuses the one that was to show where the address leads, and does not say which
// server it is. But it takes a request to cancel, without a connection of its own, and obeys it only if it has the session
// whose secret the request names.
const (
	// One try of that: how long the statement to be cancelled lasts. A request that comes before it is lost.
	witnessSleeps = `SELECT pg_catalog.pg_sleep(0.4)`
	witnessTries  = 3
	queryCanceled = "57014"
)

// witness is a session that nothing is done in, nil where there is none. It belongs to the goroutine that looks.
type witness struct {
	conn *pgx.Conn
}

// replace ends the session that there was. A pooler's sessions bear no witness: what obeys may be the pooler.
func (w *witness) replace(by *pgx.Conn) {
	if by != nil && !isDirect(by.PgConn()) {
		closeSoon(by)
		by = nil
	}
	if w.conn != nil {
		closeSoon(w.conn)
	}
	w.conn = by
}

func closeSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	_ = conn.Close(ctx)
}

func isDirect(conn *pgconn.PgConn) bool {
	direct, _ := conn.CustomData()[markDirect].(bool)
	return direct
}

func (w *witness) server() string {
	server, _ := w.conn.PgConn().CustomData()[markServer].(string)
	return server
}

// confirms reports whether the address leads to the witness's server, after that, or another one, has refused a connection
// with a reason.
func (w *witness) confirms(ctx context.Context, p *postgres, refusal error) bool {
	if _, answered := errors.AsType[*pgconn.PgError](refusal); !answered || w.conn == nil || !p.isCurrent(w.conn) || !hasOneHost(p.config) {
		return false
	}
	if _, err := identify(ctx, w.conn.PgConn(), false); err != nil {
		w.replace(nil)
		return false
	}
	for range witnessTries {
		if w.isCancelled(ctx, p.config) {
			return true
		}
	}
	return false
}

func hasOneHost(config *pgx.ConnConfig) bool {
	for _, other := range config.Fallbacks { // which may be the same without TLS
		if other.Host != config.Host || other.Port != config.Port {
			return false
		}
	}
	return true
}

// isCancelled has the session do something, and asks the server that the address leads to now to cancel that.
func (w *witness) isCancelled(ctx context.Context, config *pgx.ConnConfig) bool {
	statement := w.conn.PgConn().Exec(ctx, witnessSleeps)
	asked := requestCancel(ctx, config, w.conn.PgConn())
	_, err := statement.ReadAll()
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return asked == nil && ok && refused.Code == queryCanceled
}

// requestCancel connects to the address, and not, as the driver's own request does, to the server that conn leads to. Like
// those of libpq it does without TLS: whoever reads the secret can cancel nothing but the witness's sleep.
func requestCancel(ctx context.Context, config *pgx.ConnConfig, conn *pgconn.PgConn) error {
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	request, err := config.DialFunc(ctx, network, address)
	if err != nil {
		return err
	}
	defer func() { _ = request.Close() }()
	message, err := (&pgproto3.CancelRequest{ProcessID: conn.PID(), SecretKey: conn.SecretKey()}).Encode(nil)
	if err != nil {
		return err
	}
	if err := request.SetDeadline(soonest(ctx, time.Now().Add(connectLimit))); err != nil {
		return err
	}
	if _, err := request.Write(message); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, request); err != nil && !errors.Is(err, net.ErrClosed) { // it hangs up when it is done
		return err
	}
	return nil
}

func soonest(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(t) {
		return deadline
	}
	return t
}
