package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

// errNothing ends a transaction in which nothing was changed.
var errNothing = errors.New("nothing was changed")

// lead makes the changes of m and of those that wait, tells them, and lets the next one lead. It returns what m would be told.
func (s *Store) lead(m *member) (v verdict) {
	all := []*member{m}
	v = byItself // should this call end in the middle, as a goroutine of a test does
	defer func() {
		for _, other := range all[1:] {
			other.told <- v
		}
		if next := s.line.next(); next != nil {
			next.told <- leads
		}
	}()
	// Those whose changes were committed a moment ago are about to go on. If they come with another one, it is made with this.
	runtime.Gosched()
	all = append(all, s.line.take(s.together-1)...)
	undone, err := s.commit(all)
	if err != nil && undone && len(all) > 1 {
		return byItself // so that each has an error of its own
	}
	if err != nil {
		for _, m := range all {
			m.err = err
		}
	}
	return ended
}

// commit makes changes in one transaction. Without an error each has its own. undone reports that none of them was made.
func (s *Store) commit(all []*member) (undone bool, err error) {
	ctx, cancel := shared(all)
	defer cancel()
	undone, err = s.db.Change(ctx, func(ctx context.Context, t sqldb.Tx) error {
		b := &book{Tx: t, store: s}
		if err := b.open(ctx, all); err != nil {
			return err
		}
		for _, m := range all {
			if err := b.enter(ctx, m, len(all) > 1); err != nil {
				return err
			}
		}
		return b.close()
	})
	if errors.Is(err, errNothing) {
		err = nil
	}
	return undone, err
}

// book is a transaction of changes.
type book struct {
	sqldb.Tx
	counters

	store  *Store
	free   map[string]bool // slugs that nobody has
	before uint64          // the newest revision before the transaction
	wrote  bool
}

// open locks the counters, and asks for all slugs at once. The answer is of a time after the lock, because each statement sees
// what was committed before it began.
func (b *book) open(ctx context.Context, all []*member) error {
	b.Later(func(row sqldb.Row) error { return row.Scan(&b.epoch, &b.revision, &b.tenants) },
		`SELECT epoch, revision, tenants FROM environments WHERE id = ?1`+b.LockRow(), b.store.env)
	b.askForSlugs(all)
	if err := b.Flush(ctx); err != nil {
		return err
	}
	if b.epoch == "" {
		return sql.ErrNoRows // nobody deletes an environment
	}
	b.before = b.revision
	return nil
}

// askForSlugs takes those for free that the answer does not have.
func (b *book) askForSlugs(all []*member) {
	b.free = map[string]bool{}
	args := []any{b.store.env}
	for _, m := range all {
		for _, slug := range m.slugs {
			if !b.free[slug] && utf8.ValidString(slug) {
				b.free[slug] = true
				args = append(args, slug)
			}
		}
	}
	n := len(args) - 1
	if n == 0 {
		return
	}
	for n&(n-1) != 0 { // a few texts of the statement, so that the database knows them
		args = append(args, args[n])
		n++
	}
	// A SELECT for each of the values goes by the index, whatever the database knows of the table.
	b.Later(func(row sqldb.Row) error {
		var taken sql.NullString
		err := row.Scan(&taken)
		delete(b.free, taken.String)
		return err
	}, `SELECT (SELECT t.slug FROM tenants t WHERE t.env = ?1 AND t.slug = asked.column1) FROM (VALUES (`+
		strings.ReplaceAll(placeholders(2, n), ", ", "), (")+`)) AS asked`, args...)
}

// enter makes the change of m. An error ends the transaction; a refusal, after which nothing of the change is left in it, is m's.
func (b *book) enter(ctx context.Context, m *member, others bool) error {
	m.done, m.err = Deed{}, m.ctx.Err()
	if m.err != nil {
		return nil //nolint:nilerr // it is that of m
	}
	c := &change{Tx: b.Tx, counters: b.counters, store: b.store, free: b.free, now: time.Now().UTC().Truncate(time.Microsecond)} // as exact as it is stored
	mark := b.Mark()
	m.err = c.run(ctx, m, others)
	switch {
	case b.Failed() != nil:
		return b.Failed()
	case m.err != nil && b.TakeBack(mark):
		return nil
	case m.err != nil:
		return m.err
	case c.target == "":
		return nil
	}
	m.done = c.done(m.ctx, m.what, b.revision)
	b.store.audit(b.Tx, time.Now(), m.done)
	b.counters, b.wrote = c.counters, true
	return nil
}

// run calls what makes the change. Where it would make it for another call, a panic is an error, and that call has it again.
func (c *change) run(ctx context.Context, m *member, others bool) (err error) {
	defer func() {
		if !others {
			return
		}
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%s: %v", m.what, reason)
		}
	}()
	return m.fn(ctx, c)
}

// close writes how far the counters are.
func (b *book) close() error {
	switch {
	case !b.wrote:
		return errNothing
	case b.revision != b.before:
		b.Later(nil, `UPDATE environments SET revision = ?1, tenants = ?2 WHERE id = ?3`, b.revision, b.tenants, b.store.env)
	}
	return nil
}
