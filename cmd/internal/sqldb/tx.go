package sqldb

import (
	"context"
	"database/sql"
	"strings"
)

// Tx runs statements, written with the placeholders ?1, ?2 …: in one transaction, or each by itself.
type Tx struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	dialect dialect
}

// Exec returns how many rows it touched.
func (t Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.on.ExecContext(ctx, t.dialect.rebind(query), clean(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Row returns the first row, or one whose Scan says that there is none.
func (t Tx) Row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.on.QueryRowContext(ctx, t.dialect.rebind(query), clean(args)...)
}

// Each calls fn for every row; fn scans it.
func (t Tx) Each(ctx context.Context, fn func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.on.QueryContext(ctx, t.dialect.rebind(query), clean(args)...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// LockRow is the end of a SELECT that keeps others off its row until the transaction ends.
func (t Tx) LockRow() string { return t.dialect.lockRow() }

// Contains is where in a column of bytes others are, in SQL; 0 if nowhere.
func (t Tx) Contains(column, what string) string { return t.dialect.contains(column, what) }

// Alone keeps others from the [Leadership] of that number until the transaction ends, or returns ErrInUse.
func (t Tx) Alone(ctx context.Context, number int64) error { return t.dialect.alone(ctx, t, number) }

// clean replaces what PostgreSQL takes for no text. What is stored was checked before; what is looked for is not there.
func clean(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
		}
	}
	return args
}
