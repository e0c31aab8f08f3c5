package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// change has a connection for itself, by which statements that wait for each other's company share a round trip.
func (p *postgres) change(ctx context.Context, pool *sql.DB, fn func(runner) error) (undone bool, err error) {
	held, err := pool.Conn(ctx)
	if err != nil {
		return true, err
	}
	defer func() { _ = held.Close() }() // whether it is of any use is asked when it is used next
	undone = true
	refused := held.Raw(func(conn any) error {
		undone, err = transactOn(ctx, conn.(*stdlib.Conn).Conn(), fn)
		return nil
	})
	return undone, firstOf(err, refused)
}

func transactOn(ctx context.Context, conn *pgx.Conn, fn func(runner) error) (undone bool, err error) {
	p := &pipeline{conn: conn}
	if err = fn(p); err == nil {
		err = ctx.Err()
	}
	if err == nil && p.begun {
		return p.commit(ctx)
	}
	p.rollback(ctx)
	return true, err
}

// pipeline is a transaction whose statements are sent without waiting for the answer to each. The first ones begin it.
type pipeline struct {
	conn  *pgx.Conn
	begun bool
}

func (p *pipeline) run(ctx context.Context, all []*statement) error {
	batch := &pgx.Batch{}
	first := !p.begun
	if first {
		batch.Queue("begin")
	}
	for _, s := range all {
		batch.Queue(s.query, s.args...)
	}
	p.begun = true
	results := p.conn.SendBatch(ctx, batch)
	err := receive(results, first, all)
	return firstOf(err, results.Close())
}

// receive reads what came of each, up to the first error.
func receive(results pgx.BatchResults, first bool, all []*statement) error {
	if first {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	for _, s := range all {
		if s.each == nil {
			tag, err := results.Exec()
			if err != nil {
				return err
			}
			s.touched = tag.RowsAffected()
			continue
		}
		rows, err := results.Query()
		if err != nil {
			return err
		}
		for s.err == nil && rows.Next() {
			s.err = s.each(rows)
		}
		rows.Close()
		if err := rows.Err(); s.err == nil && err != nil { // what cannot be scanned is an error of rows, too
			return err
		}
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// commit goes on when ctx is cancelled, so that it can say what has happened, and ends with its deadline.
func (p *pipeline) commit(ctx context.Context) (undone bool, err error) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	tag, err := p.conn.Exec(ctx, "commit")
	if err == nil && tag.String() == "ROLLBACK" {
		return true, pgx.ErrTxCommitRollback
	}
	if err == nil {
		return false, nil
	}
	p.rollback(ctx)
	failed, answered := errors.AsType[*pgconn.PgError](err)
	return pgconn.SafeToRetry(err) || answered && failed.SeverityUnlocalized == "ERROR", err
}

// rollback closes a connection that cannot do it, or it would keep others off what the transaction has locked.
func (p *pipeline) rollback(ctx context.Context) {
	if p.conn.IsClosed() || p.conn.PgConn().TxStatus() == 'I' {
		return
	}
	if _, err := p.conn.Exec(ctx, "rollback"); err != nil || p.conn.PgConn().TxStatus() != 'I' {
		_ = p.conn.Close(ctx) // it is of no use either way
	}
}

// lasting is a ctx with the deadline of another that nobody can cancel.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(CallLimit)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
