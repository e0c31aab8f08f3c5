package sqldb

import (
	"context"
	"database/sql"
	"strings"
)

// Tx runs statements, written with the placeholders ?1, ?2 …: in one transaction, or each by itself.
type Tx struct {
	on      runner
	dialect dialect
	queue   *queue
}

// Row is one row of what a statement returned.
type Row interface {
	Scan(dest ...any) error
}

// runner runs statements, one after the other, with as few round trips as its database allows. Its error is that of the database,
// and then it has not run those that follow.
type runner interface {
	run(ctx context.Context, all []*statement) error
}

// statement is one, and what came of it.
type statement struct {
	query   string
	args    []any
	each    func(Row) error // is called with each row; nil where there is none
	short   bool            // it takes no time, and recurs
	touched int64           // rows, where there is no each
	err     error           // the first of each
}

// queue is what waits to be run with the next statement that somebody waits for.
type queue struct {
	waiting []*statement
	writes  int   // how many statements that write there were
	ran     int   // how many of them were run
	failed  error // the first error of the database
}

func newTx(on runner, dialect dialect) Tx { return Tx{on: on, dialect: dialect, queue: &queue{}} }

// Exec returns how many rows it touched.
func (t Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	s := t.add(nil, query, args)
	err := t.Flush(ctx)
	return s.touched, err
}

// Row returns the first row, or one whose Scan says that there is none. Scan runs the statement.
func (t Tx) Row(ctx context.Context, query string, args ...any) Row {
	return scanner(func(dest ...any) error {
		found := false
		err := t.Each(ctx, func(row Row) error {
			if found {
				return nil
			}
			found = true
			return row.Scan(dest...)
		}, query, args...)
		if err == nil && !found {
			err = sql.ErrNoRows
		}
		return err
	})
}

type scanner func(dest ...any) error

func (s scanner) Scan(dest ...any) error { return s(dest...) }

// Each calls fn for every row until it returns an error; fn scans the row.
func (t Tx) Each(ctx context.Context, fn func(Row) error, query string, args ...any) error {
	t.add(fn, query, args)
	return t.Flush(ctx)
}

// Later runs a statement together with the next one that is waited for, in one round trip, or at the end of the transaction. An
// error of it is that of the next one. fn is nil, or is called for every row. It has to be a statement that takes no time to speak of.
func (t Tx) Later(fn func(Row) error, query string, args ...any) { t.add(fn, query, args).short = true }

// Flush runs what waits.
func (t Tx) Flush(ctx context.Context) error {
	all := t.queue.waiting
	if len(all) == 0 {
		return nil
	}
	t.queue.waiting, t.queue.ran = nil, t.queue.writes
	if err := t.on.run(ctx, all); err != nil {
		if t.queue.failed == nil {
			t.queue.failed = err
		}
		return err
	}
	for _, s := range all {
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

// Failed is the first error that the database has returned, after which nothing of the transaction may be committed.
func (t Tx) Failed() error { return t.queue.failed }

// Mark is a place in the transaction.
func (t Tx) Mark() int { return t.queue.writes }

// TakeBack forgets what waits to be run and was added after the mark. It reports whether nothing that writes was run since.
func (t Tx) TakeBack(mark int) bool {
	q := t.queue
	if mark < q.ran {
		return false
	}
	for q.writes > mark {
		last := len(q.waiting) - 1
		if q.waiting[last].writes() {
			q.writes--
		}
		q.waiting = q.waiting[:last]
	}
	return true
}

func (s *statement) writes() bool { return !strings.HasPrefix(s.query, "SELECT ") }

// LockRow is the end of a SELECT that keeps others off its row until the transaction ends.
func (t Tx) LockRow() string { return t.dialect.lockRow() }

// Contains is where in a column of bytes others are, in SQL; 0 if nowhere.
func (t Tx) Contains(column, what string) string { return t.dialect.contains(column, what) }

// Alone keeps others from the [Leadership] of that number until the transaction ends, or returns ErrInUse.
func (t Tx) Alone(ctx context.Context, number int64) error { return t.dialect.alone(ctx, t, number) }

func (t Tx) add(fn func(Row) error, query string, args []any) *statement {
	s := &statement{query: t.dialect.rebind(query), args: clean(args), each: fn}
	t.queue.waiting = append(t.queue.waiting, s)
	if s.writes() {
		t.queue.writes++
	}
	return s
}

// plain runs statements one by one, as database/sql does: in a transaction of it, or each by itself.
type plain struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (p plain) run(ctx context.Context, all []*statement) error {
	for _, s := range all {
		if err := p.one(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (p plain) one(ctx context.Context, s *statement) error {
	if s.each != nil {
		rows, err := p.on.QueryContext(ctx, s.query, s.args...)
		return s.read(rows, err)
	}
	result, err := p.on.ExecContext(ctx, s.query, s.args...)
	return s.count(result, err)
}

// by runs a statement that is prepared.
func (s *statement) by(ctx context.Context, prepared *sql.Stmt) error {
	if s.each != nil {
		rows, err := prepared.QueryContext(ctx, s.args...)
		return s.read(rows, err)
	}
	result, err := prepared.ExecContext(ctx, s.args...)
	return s.count(result, err)
}

func (s *statement) count(result sql.Result, err error) error {
	if err == nil {
		s.touched, err = result.RowsAffected()
	}
	return err
}

// read hands on the rows, until one is refused.
func (s *statement) read(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	for rows.Next() {
		if s.err = s.each(rows); s.err != nil {
			return nil // the database has done its part
		}
	}
	return rows.Err()
}

// clean replaces what PostgreSQL takes for no text. What is stored was checked before; what is looked for is not there.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
		}
	}
	return args
}
