package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// BenchmarkCreateTenant compares changes that share transactions with those that are made one by one, each statement by itself
// (hand), and with those that are made one by one as the store does it (alone). An iteration is a round, in which each of them has a quarter of a
// second; what is reported are medians.
func BenchmarkCreateTenant(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprint(kind, "/", writers), func(b *testing.B) {
				db := sqliteFile(b)
				if kind == "postgres" {
					db = database{dsn: testserver.SharedPostgres(b).Database(b)}
				}
				compareCreates(b, db, writers)
			})
		}
	}
}

const roundTime = time.Second / 10

func compareCreates(b *testing.B, db database, writers int) {
	b.Helper()
	s := db.open(b)
	h := byHand(b, db, s)
	store := func(ctx context.Context, name string) error {
		_, _, err := s.CreateTenant(ctx, named(name))
		return err
	}
	rates := map[string][]float64{}
	for range b.N {
		rates["floor"] = append(rates["floor"], rate(b, writers, h.commit))
		rates["hand"] = append(rates["hand"], rate(b, writers, h.create))
		s.together = 1
		rates["alone"] = append(rates["alone"], rate(b, writers, store))
		s.together = together
		rates["ours"] = append(rates["ours"], rate(b, writers, store))
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range rates {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name+"/s")
	}
	b.ReportMetric(rates["ours"][b.N/2]/rates["hand"][b.N/2], "times-hand")
	b.ReportMetric(rates["ours"][b.N/2]/rates["alone"][b.N/2], "times-alone")
}

var benchName atomic.Int64

// rate is how many tenants the writers make in a second.
func rate(b *testing.B, writers int, create func(ctx context.Context, name string) error) float64 {
	b.Helper()
	var made atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range writers {
		all.Go(func() {
			for time.Since(began) < roundTime {
				if err := create(b.Context(), fmt.Sprint("tenant ", benchName.Add(1))); err != nil {
					b.Error(err)
					return
				}
				made.Add(1)
			}
		})
	}
	all.Wait()
	return float64(made.Load()) / time.Since(began).Seconds()
}

// hand makes a tenant as one writes it: a transaction for each, and its statements one after the other.
type hand struct {
	db    *sql.DB
	store *Store
	tail  string // of the SELECT that locks
}

func byHand(b *testing.B, db database, s *Store) *hand {
	b.Helper()
	driver, dsn, h := "pgx", db.dsn, &hand{store: s, tail: " FOR UPDATE"}
	if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn, h.tail = "sqlite", "file:"+file+"?_txlock=immediate&_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1", ""
	}
	pool, err := sql.Open(driver, dsn)
	do(b, err)
	b.Cleanup(func() { do(b, pool.Close()) })
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	if driver == "sqlite" {
		pool.SetMaxOpenConns(1)
	}
	h.db = pool
	return h
}

// commit is the least that is written: what a transaction costs whatever is in it.
func (h *hand) commit(ctx context.Context, _ string) error {
	_, err := h.db.ExecContext(ctx, `UPDATE relays SET pinged = pinged + 1 WHERE env = $1`, h.store.env)
	return err
}

func (h *hand) create(ctx context.Context, name string) (err error) {
	n, err := named(name).Check(testEnvironment)
	if err != nil {
		return err
	}
	t, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	c := &change{store: h.store, now: time.Now().UTC().Truncate(time.Microsecond)}
	row := t.QueryRowContext(ctx, `SELECT epoch, revision, tenants FROM environments WHERE id = $1`+h.tail, h.store.env) //nolint:gosec // one of two texts of this file
	if err := row.Scan(&c.epoch, &c.revision, &c.tenants); err != nil {
		return err
	}
	n.Slug = n.Slugs()[0]
	var taken int
	if err := t.QueryRowContext(ctx, `SELECT COUNT(*) FROM tenants WHERE env = $1 AND slug = $2`, h.store.env, n.Slug).Scan(&taken); err != nil {
		return err
	}
	c.tenants++
	c.revision++
	made, happened := lifecycle.New(h.store.tenantID(c.tenants), n, c.now)
	r := &record{seq: c.tenants, Record: made}
	metadata, err := json.Marshal(r.Metadata)
	if err != nil {
		return err
	}
	owner, err := h.store.sealJSON(r.Owner, ownerOf(r.ID)...)
	if err != nil {
		return err
	}
	data, target, err := c.event(happened[0])
	if err != nil {
		return err
	}
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO tenants (env, seq, id, canonical, name, slug, status, isolation, metadata, owner, search, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)`, []any{h.store.env, r.seq, r.ID, tenant.CanonicalID(r.ID), r.Name, r.Slug, r.Status, r.Isolation, string(metadata), owner, r.search(), micros(c.now)}},
		{`INSERT INTO outbox (env, revision, data, committed_at, services) VALUES ($1, $2, $3, $4, '[]')`, []any{h.store.env, int64(c.revision), data, micros(c.now)}}, //nolint:gosec // small
		{`UPDATE environments SET revision = $1, tenants = $2 WHERE id = $3`, []any{int64(c.revision), c.tenants, h.store.env}},                                        //nolint:gosec // small
		{`INSERT INTO audit (env, at, actor, request, address, call, target, result) VALUES ($1, $2, 'operator', '', '', 'create-tenant', $3, $4)`, []any{h.store.env, micros(c.now), target, uuid.NewString()}},
	} {
		if _, err := t.ExecContext(ctx, statement.query, statement.args...); err != nil {
			return err
		}
	}
	return t.Commit()
}
