package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Deed is what somebody asked for, and, once it is done, what it was done to. It goes with the ctx of a call and becomes a
// row of the audit, in the transaction of what it is about.
type Deed struct {
	Actor   string // "key ID" or "token ID"; empty for this process itself
	Request string // the id of the request
	Address string // of the client
	Call    string // such as suspend-tenant; empty for the words of the store

	// Target and Result are set by the store once the row is committed, and empty when nothing was done that needs one.
	Target, Result string
}

// ResultRead is the result of a reading; all others are changes.
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
	return &Deed{}
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
	err := s.look(ctx, "read the audit", func(ctx context.Context, t tx) error {
		return t.each(ctx, func(rows *sql.Rows) error {
			var a Audited
			var at int64
			err := rows.Scan(&a.ID, &at, &a.Actor, &a.Request, &a.Address, &a.Call, &a.Target, &a.Result)
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
		err := s.write(ctx, "prune the audit", func(ctx context.Context, t tx) (err error) {
			n, err = t.exec(ctx, `DELETE FROM audit WHERE id IN
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
		out.Call = what
	}
	out.Target, out.Result = target, result
	return out
}

// audit writes a row in the transaction.
func (s *Store) audit(ctx context.Context, t tx, at time.Time, d Deed) error {
	_, err := t.exec(ctx, `INSERT INTO audit (env, at, actor, request, address, call, target, result)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`, s.env, micros(at), d.Actor, d.Request, d.Address, d.Call, d.Target, d.Result)
	return err
}

// audited is write for what belongs into the audit. fn returns what it has done, without a result for nothing.
func (s *Store) audited(ctx context.Context, what string, fn func(context.Context, tx) (Deed, error)) error {
	var done Deed
	err := s.write(ctx, what, func(ctx context.Context, t tx) (err error) {
		if done, err = fn(ctx, t); err != nil || done.Result == "" {
			return err
		}
		return s.audit(ctx, t, time.Now(), done)
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

// readLog writes the rows of what was read and is secret. Those that come while one transaction is written are written by the
// next, all together, so that however many read at once, changes wait for one more transaction and not for as many.
type readLog struct {
	mu      sync.Mutex // guards waiting
	waiting *readBatch // what the next transaction writes; nil for nothing
	writing chan struct{}
}

type readBatch struct {
	deeds []Deed
	done  chan struct{} // closed when err is there
	err   error
}

func newReadLog() *readLog { return &readLog{writing: make(chan struct{}, 1)} }

// noteReading returns when the row is committed, or the error because of which it is not: then nothing may be handed out.
func (s *Store) noteReading(ctx context.Context, what, target string) error {
	d, ok := ctx.Value(deedKey{}).(*Deed)
	if !ok {
		return nil // this process, for itself
	}
	done := d.row(what, target, ResultRead)
	mine := s.readings.add(done)
	select {
	case s.readings.writing <- struct{}{}: // this one writes for all that wait
		s.writeReadings(ctx, what)
		<-s.readings.writing
	case <-mine.done:
	case <-ctx.Done():
		return s.explain(ctx, what, ctx.Err())
	}
	select {
	case <-mine.done:
	case <-ctx.Done():
		return s.explain(ctx, what, ctx.Err())
	}
	if mine.err == nil {
		d.Target, d.Result = done.Target, done.Result
	}
	return mine.err
}

func (l *readLog) add(d Deed) *readBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = &readBatch{done: make(chan struct{})}
	}
	l.waiting.deeds = append(l.waiting.deeds, d)
	return l.waiting
}

func (l *readLog) next() *readBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.waiting
	l.waiting = nil
	return b
}

// writeReadings goes on although the one that writes goes away, because the others wait for it.
func (s *Store) writeReadings(ctx context.Context, what string) {
	b := s.readings.next()
	if b == nil {
		return // somebody has written it already
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	b.err = s.write(ctx, what, func(ctx context.Context, t tx) error {
		now := time.Now()
		for _, d := range b.deeds {
			if err := s.audit(ctx, t, now, d); err != nil {
				return err
			}
		}
		return nil
	})
	close(b.done)
}
