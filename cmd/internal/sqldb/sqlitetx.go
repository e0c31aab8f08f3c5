package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// change needs no look at ctx for the commit: database/sql either refuses it or lets it end.
func (l *sqlite) change(ctx context.Context, writer *sql.DB, fn func(runner) error) (undone bool, err error) {
	t, err := writer.BeginTx(ctx, nil)
	if err != nil {
		return true, err
	}
	p := &prepared{t: t, known: &l.known, missed: map[string]bool{}}
	if err := fn(p); err != nil {
		_ = t.Rollback() // what err says tells more; a connection that cannot roll back is thrown away
		return true, err
	}
	if err = t.Commit(); err == nil {
		l.known.add(ctx, writer, p.missed)
	}
	return ctx.Err() != nil && errors.Is(err, ctx.Err()) || errors.Is(err, sql.ErrTxDone), err
}

// knownStatements are those that changes consist of. To read their text takes SQLite longer than to run them, so that it
// is done once for each. They are closed with the connection.
type knownStatements struct {
	mu  sync.Mutex // guards all
	all map[string]*sql.Stmt
}

// mostKnown bounds them: there are fewer texts that recur.
const mostKnown = 100

func (k *knownStatements) of(query string) *sql.Stmt {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[query]
}

// add prepares what a transaction did not find. That takes the connection, so that it has to be free. What cannot be prepared is tried
// again next time.
func (k *knownStatements) add(ctx context.Context, writer *sql.DB, queries map[string]bool) {
	for query := range queries {
		stmt, err := writer.PrepareContext(ctx, query) //nolint:sqlclosecheck // it is kept for as long as the database is open
		if err != nil {
			return
		}
		k.mu.Lock()
		if k.all[query] == nil && len(k.all) < mostKnown {
			if k.all == nil {
				k.all = map[string]*sql.Stmt{}
			}
			k.all[query], stmt = stmt, nil
		}
		k.mu.Unlock()
		if stmt != nil {
			_ = stmt.Close() // somebody else was faster
		}
	}
}

// prepared is a transaction that runs what is known.
type prepared struct {
	t      *sql.Tx
	known  *knownStatements
	missed map[string]bool
}

func (p *prepared) run(ctx context.Context, all []*statement) error {
	for _, s := range all {
		if err := p.one(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// one lets a short statement end though ctx does. To watch for that takes as long as the statement.
func (p *prepared) one(ctx context.Context, s *statement) error {
	if !s.short {
		return plain{on: p.t}.one(ctx, s)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	stmt := p.known.of(s.query)
	if stmt == nil {
		p.missed[s.query] = true
		return plain{on: p.t}.one(ctx, s)
	}
	return s.by(ctx, p.t.StmtContext(ctx, stmt))
}
