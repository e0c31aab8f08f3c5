package server

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// benchTenants is how long the list is. What it costs grows with its length and with nothing else.
const benchTenants = 20_000

// BenchmarkList compares a list as it is sent, with and without compression, with the bare reading of its rows (floor). An iteration is a
// round in which each has its turn; what is reported are medians.
func BenchmarkList(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			dsn := "sqlite:" + filepath.Join(b.TempDir(), "tenants.db")
			driver, source := "sqlite", "file:"+strings.TrimPrefix(dsn, "sqlite:")
			if kind == "postgres" {
				dsn = testserver.SharedPostgres(b).Database(b)
				driver, source = "pgx", dsn
			}
			s, err := store.Open(b.Context(), dsn, store.Options{Environment: "staging", Key: []byte("0123456789abcdef0123456789abcdef")})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			fillList(b, s)
			pool, err := sql.Open(driver, source)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = pool.Close() })
			compareLists(b, s, pool)
		})
	}
}

func fillList(b *testing.B, s *store.Store) {
	b.Helper()
	for chunk := range slices.Chunk(slices.Collect(func(yield func(int) bool) {
		for i := range benchTenants {
			if !yield(i) {
				return
			}
		}
	}), 1000) {
		var tenants []store.NewTenant
		for _, i := range chunk {
			tenants = append(tenants, store.NewTenant{Name: fmt.Sprint("Tenant number ", i), Owner: store.Owner{Email: "owner@acme.test"}})
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		if err := s.Seed(ctx, "ledger", tenants); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}

func compareLists(b *testing.B, s *store.Store, pool *sql.DB) {
	b.Helper()
	contenders := map[string]func() error{
		"floor": func() error { return bareList(b.Context(), pool) },
		"rows": func() error {
			return s.Active(b.Context(), "ledger", func(store.ActiveVersion) error { return nil }, func(tenant.Summary) error { return nil })
		},
		"plain": func() error { return sendList(b.Context(), s, false) },
		"gzip":  func() error { return sendList(b.Context(), s, true) },
	}
	took := map[string][]float64{}
	for range b.N {
		for name, run := range contenders {
			began := time.Now()
			if err := run(); err != nil {
				b.Fatal(err)
			}
			took[name] = append(took[name], float64(time.Since(began).Nanoseconds())/benchTenants)
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(all[b.N/2], name+"-ns/row")
	}
	b.ReportMetric(took["floor"][b.N/2]/took["gzip"][b.N/2], "gzip-of-floor")
	b.ReportMetric(took["floor"][b.N/2]/took["plain"][b.N/2], "plain-of-floor")
}

func bareList(ctx context.Context, pool *sql.DB) (err error) {
	rows, err := pool.QueryContext(ctx, `SELECT t.id, t.name FROM associations a JOIN tenants t ON t.env = a.env AND t.seq = a.tenant
		WHERE a.service = 'ledger' AND a.env = 1 AND a.status = 'active' AND t.status = 'active' ORDER BY a.tenant`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		var id, name sql.RawBytes
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		n++
	}
	if n != benchTenants {
		return fmt.Errorf("the list has %d rows", n)
	}
	return rows.Err()
}

type nowhere struct {
	io.Writer

	header http.Header
}

func (n nowhere) Header() http.Header              { return n.header }
func (n nowhere) WriteHeader(int)                  {}
func (n nowhere) SetWriteDeadline(time.Time) error { return nil }

func sendList(ctx context.Context, s *store.Store, compressed bool) error {
	l := &listWriter{w: nowhere{io.Discard, http.Header{}}, compressed: compressed}
	return l.finish(s.Active(ctx, "ledger", l.begin, l.row))
}
