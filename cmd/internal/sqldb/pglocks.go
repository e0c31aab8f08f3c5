package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// What the advisory locks of this program are called: the first of their two numbers. The second is the number of a Leadership.
	lockMigrate = 0x7477_0001
	lockLead    = 0x7477_0002

	lockEvery    = 500 * time.Millisecond
	lockLimit    = time.Second // of one question: the server looks into its memory
	connectLimit = 2 * time.Second
	releaseLimit = time.Second
)

// lead has a connection of its own, whose session has the lock.
func (p *postgres) lead(ctx context.Context, writer *sql.DB, l Leadership) (*Lease, error) {
	conn, err := connection(ctx, writer)
	if err != nil {
		return nil, err
	}
	turn, err := p.takeLock(ctx, conn, l)
	if err == nil { // the connection may be an idle one of before
		err = p.leadsHere(ctx, turn, toLead)
	}
	if err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	p.leading.Add(1)
	end := func() {
		p.leading.Add(-1)
		letGo(conn, l.Number)
	}
	return &Lease{end: end, check: func(ctx context.Context) error {
		if err := holds(ctx, conn, lockLead, l.Number); err != nil {
			return err
		}
		return p.leadsHere(ctx, turn, toLead)
	}}, nil
}

// connection is bounded, because ctx may have no end, and an idle connection may be silent.
func connection(ctx context.Context, writer *sql.DB) (*sql.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return writer.Conn(ctx)
}

// takeLock waits for the lock for as long as the address leads to the server that conn is connected to.
func (p *postgres) takeLock(ctx context.Context, conn *sql.Conn, l Leadership) (turn int64, err error) {
	turn, server, err := marks(conn)
	if err != nil {
		return turn, err
	}
	// The kernel answers for a process that is frozen, so that only its silence tells. The relay asks every five seconds.
	if err := ask(ctx, func(ctx context.Context) error {
		_, err := conn.ExecContext(ctx, `SET idle_session_timeout = '15s'`)
		return err
	}); err != nil {
		return turn, err
	}
	if err := waitForLock(ctx, conn, lockLead, l.Number, func() {}, func() error { return p.far.still(turn) }); err != nil {
		return turn, err
	}
	return turn, p.settle(ctx, conn, l, server)
}

// settle waits if the last one that led did so on another server: its lock is none here, and it may not know yet.
func (p *postgres) settle(ctx context.Context, conn *sql.Conn, l Leadership, server string) error {
	var before string
	t := newTx(plain{on: conn}, p)
	if err := ask(ctx, func(ctx context.Context) error {
		return t.Row(ctx, l.LastServer, l.Number).Scan(&before)
	}); err != nil || before == server {
		return err
	}
	if before != "" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleFor):
		}
	}
	return ask(ctx, func(ctx context.Context) error {
		_, err := t.Exec(ctx, l.SetServer, l.Number, server)
		return err
	})
}

// marks returns what sessions noted at the connection.
func marks(conn *sql.Conn) (turn int64, server string, err error) {
	err = conn.Raw(func(raw any) error {
		marked, ok := raw.(*stdlib.Conn)
		if !ok {
			return errors.New("this is not a connection to PostgreSQL")
		}
		turn, _ = marked.Conn().PgConn().CustomData()[markTurn].(int64)
		server, _ = marked.Conn().PgConn().CustomData()[markServer].(string)
		return nil
	})
	return turn, server, err
}

// ask bounds a question that the server answers out of its memory, because ctx may have no end, or a late one.
func ask(ctx context.Context, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	return question(ctx)
}

// waitForLock asks again and again instead of waiting in one statement: a connection that is silent is seen. waits is called
// once, if others have the lock for longer than a moment, as each that opens the database has it; an error of still ends the
// waiting.
func waitForLock(ctx context.Context, conn *sql.Conn, kind, which int64, waits func(), still func() error) error {
	for missed := 1; ; missed++ {
		got, err := tryLock(ctx, conn, kind, which)
		if err == nil && !got {
			err = still()
		}
		if err != nil || got {
			return err
		}
		if missed == 2 {
			waits()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockEvery):
		}
	}
}

func tryLock(ctx context.Context, conn *sql.Conn, kind, which int64) (got bool, err error) {
	err = ask(ctx, func(ctx context.Context) error {
		return conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1, $2)`, kind, which).Scan(&got)
	})
	return got, err
}

func (p *postgres) alone(ctx context.Context, t Tx, number int64) error {
	var got bool
	err := t.Row(ctx, `SELECT pg_try_advisory_xact_lock(?1, ?2)`, lockLead, number).Scan(&got)
	if err == nil && !got {
		return ErrInUse
	}
	return err
}

// holds asks the session itself, so that one that was replaced is seen too.
func holds(ctx context.Context, conn *sql.Conn, kind, which int64) error {
	var n int
	var recovers bool
	err := conn.QueryRowContext(ctx, `SELECT COUNT(*), pg_is_in_recovery() FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND pid = pg_backend_pid() AND classid::bigint = $1 AND objid::bigint = $2`, kind, which).Scan(&n, &recovers)
	switch {
	case err != nil:
		return err
	case recovers:
		return errRecovery
	case n == 0:
		return errors.New("the session has lost its lock")
	}
	return nil
}

func letGo(conn *sql.Conn, number int64) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	_, _ = conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1, $2)`, lockLead, number) // the session's end does it too
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
