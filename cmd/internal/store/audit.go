package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

// Deed is what somebody asked for, and, once it is done, what it was done to. It goes with the ctx of a call and becomes a
// row of the audit, in the transaction of what it is about.
type Deed struct {
	Actor   string // "key ID" or "token ID"; Operator for this process itself
	Request string // the id of the request
	Address string // of the client
	Call    string // such as suspend-tenant, as the API calls it; empty for that of the store's method

	// Target and Result are set by the store once the row is committed, and empty when nothing was done that needs one.
	Target, Result string
}

// Operator is the actor of what is done with the database itself: by serve, restore and the making of the first token.
const Operator = "operator"

// What has no call of the API.
const (
	callNewEpoch = "begin-epoch"
	callRename   = "rename-environment"
)

// ResultRead is the result of a reading; all others are changes. In the table a reading that repeats one of the same minute is
// counted there, as in "read 3 times".
const ResultRead = "read"

type deedKey struct{}

// WithDeed returns a ctx for one call of the store.
func WithDeed(ctx context.Context, d *Deed) context.Context {
	return context.WithValue(ctx, deedKey{}, d)
}

// deedOf is one of this process itself where ctx has none.
func deedOf(ctx context.Context) *Deed {
	if d, ok := ctx.Value(deedKey{}).(*Deed); ok {
		return d
	}
	return &Deed{Actor: Operator}
}

// Audited is a row of the audit.
type Audited struct {
	Deed

	ID int64
	At time.Time
}

// Audit returns the rows after an id, oldest first, at most limit.
func (s *Store) Audit(ctx context.Context, after int64, limit int) ([]Audited, error) {
	var out []Audited
	err := s.db.Query(ctx, "read the audit", func(ctx context.Context, t sqldb.Tx) error {
		return t.Each(ctx, func(row sqldb.Row) error {
			var a Audited
			var at int64
			err := row.Scan(&a.ID, &at, &a.Actor, &a.Request, &a.Address, &a.Call, &a.Target, &a.Result)
			a.At = fromMicros(at)
			out = append(out, a)
			return err
		}, `SELECT id, at, actor, request, address, call, target, result FROM audit
			WHERE env = ?1 AND id > ?2 ORDER BY id LIMIT ?3`, s.env, after, limit)
	})
	return out, err
}

// PruneAudit deletes the rows from before a time, some at once so that nobody waits for long, and returns how many.
func (s *Store) PruneAudit(ctx context.Context, before time.Time) (int64, error) {
	var pruned int64
	for {
		var n int64
		err := s.db.Write(ctx, "prune the audit", func(ctx context.Context, t sqldb.Tx) (err error) {
			n, err = t.Exec(ctx, `DELETE FROM audit WHERE id IN
				(SELECT id FROM audit WHERE env = ?1 AND at < ?2 ORDER BY at LIMIT ?3)`, s.env, micros(before), atOnce)
			return err
		})
		pruned += n
		if err != nil || n < atOnce {
			return pruned, err
		}
	}
}

// row is a deed that is done, with the words for a call that has no name.
func (d *Deed) row(what, target, result string) Deed {
	out := *d
	if out.Call == "" {
		out.Call = callOf(what)
	}
	out.Target, out.Result = target, result
	return out
}

// callOf makes of what a method does the name that the API has for it: of "revoke a key" revoke-key.
func callOf(what string) string {
	return strings.NewReplacer(" an ", "-", " a ", "-", " ", "-").Replace(what)
}

const insertAudit = `INSERT INTO audit (env, at, actor, request, address, call, target, result)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`

// audit writes a row together with what follows in the transaction.
func (s *Store) audit(t sqldb.Tx, at time.Time, d Deed) {
	t.Later(nil, insertAudit, auditArgs(s.env, at, d)...)
}

func auditOf(ctx context.Context, t sqldb.Tx, env int64, at time.Time, d Deed) (id int64, err error) {
	err = t.Row(ctx, insertAudit+` RETURNING id`, auditArgs(env, at, d)...).Scan(&id)
	return id, err
}

func auditArgs(env int64, at time.Time, d Deed) []any {
	return []any{env, micros(at), d.Actor, d.Request, d.Address, d.Call, d.Target, d.Result}
}

// audited is write for what belongs in the audit. fn returns what it has done, without a result for nothing.
func (s *Store) audited(ctx context.Context, what string, fn func(context.Context, sqldb.Tx) (Deed, error)) error {
	var done Deed
	err := s.db.Write(ctx, what, func(ctx context.Context, t sqldb.Tx) (err error) {
		if done, err = fn(ctx, t); err != nil || done.Result == "" {
			return err
		}
		s.audit(t, time.Now(), done)
		return nil
	})
	if err == nil && done.Result != "" {
		d := deedOf(ctx)
		d.Target, d.Result = done.Target, done.Result
	}
	return err
}

// touch notes what a change is done to. Of several it counts those after the first, and not what is part of the one before.
func (c *change) touch(target string) {
	switch {
	case c.target == "":
		c.target = target
	case partOf(target, c.target) || partOf(target, c.last):
		return
	default:
		c.more++
	}
	c.last = target
}

func partOf(target, of string) bool { return target == of || strings.HasPrefix(target, of+"/") }

// done is the row of a change: what was done to what, and which revisions tell of it.
func (c *change) done(ctx context.Context, what string, before uint64) Deed {
	target, result := c.target, "done"
	if c.more > 0 {
		target += " and " + strconv.Itoa(c.more) + " more"
	}
	switch c.revision - before {
	case 0:
	case 1:
		result = "revision " + strconv.FormatUint(c.revision, 10)
	default:
		result = "revisions " + strconv.FormatUint(before+1, 10) + " to " + strconv.FormatUint(c.revision, 10)
	}
	return deedOf(ctx).row(what, target, result)
}
