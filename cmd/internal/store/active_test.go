package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var million = flag.Bool("store.million", false, "read a list of 1,000,000 tenants instead of 100,000")

// list reads a list whole.
func list(t testing.TB, s *Store, service string) (ActiveVersion, []string) {
	t.Helper()
	var v ActiveVersion
	names := []string{}
	do(t, s.Active(t.Context(), service, func(at ActiveVersion) error { v = at; return nil }, func(row tenant.Summary) error {
		if row.Status != "active" || row.ID == "" {
			t.Errorf("row %+v", row)
		}
		names = append(names, row.Name)
		return nil
	}))
	return v, names
}

// TestAListsVersionChangesOnlyWithTheList goes through all that can happen, and knows what is in each list after it.
func TestAListsVersionChangesOnlyWithTheList(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		one, two := create(t, s, named("one")).ID, ""
		for _, step := range []struct {
			name            string
			change          func() error
			ledger, billing []string
			set, other      uint64 // the revisions at which the lists of ledger and billing changed last
		}{
			{"nobody", nil, nil, nil, 0, 0},
			{"one", func() error { associate(t, s, one, "ledger"); return nil }, []string{"one"}, nil, 2, 0},
			{"another tenant", func() error { two = create(t, s, named("two")).ID; return nil }, []string{"one"}, nil, 2, 0},
			{"two", func() error { associate(t, s, two, "billing", "ledger"); return nil }, []string{"one", "two"}, []string{"two"}, 5, 4},
			{"metadata", func() error {
				_, err := s.UpdateTenant(ctx, one, TenantPatch{Metadata: map[string]string{"a": "b"}})
				return err
			}, []string{"one", "two"}, []string{"two"}, 5, 4},
			{"the same name", func() error { return rename(ctx, s, one, "one") }, []string{"one", "two"}, []string{"two"}, 5, 4},
			{"another name", func() error { return rename(ctx, s, one, "uno") }, []string{"uno", "two"}, []string{"two"}, 8, 4},
			{"connections", func() error {
				_, _, err := s.UpdateConnections(ctx, two, "billing", patch(t, `{"maxOpenConns":1}`))
				return err
			}, []string{"uno", "two"}, []string{"two"}, 8, 4},
			{"rotation", func() error { return s.RotateCredentials(ctx, two, "billing") }, []string{"uno", "two"}, []string{"two"}, 8, 4},
			{"suspended", func() error { return s.SuspendTenant(ctx, two) }, []string{"uno"}, nil, 11, 11},
			{"renamed meanwhile", func() error { return rename(ctx, s, two, "uno") }, []string{"uno"}, nil, 11, 11},
			{"association suspended meanwhile", func() error { return s.SuspendAssociation(ctx, two, "ledger") }, []string{"uno"}, nil, 11, 11},
			{"reactivated", func() error { return s.ReactivateTenant(ctx, two) }, []string{"uno"}, []string{"uno"}, 11, 15},
			{"association too", func() error { return s.ReactivateAssociation(ctx, two, "ledger") }, []string{"uno", "uno"}, []string{"uno"}, 16, 15},
			{"disassociated", func() error { return s.Disassociate(ctx, two, "billing", false) }, []string{"uno", "uno"}, nil, 16, 17},
			{"a suspended one purged", func() error {
				return errors.Join(s.SuspendAssociation(ctx, two, "ledger"), s.Disassociate(ctx, two, "ledger", true))
			}, []string{"uno"}, nil, 18, 17},
			{"deleted without a list", func() error { return s.DeleteTenant(ctx, two) }, []string{"uno"}, nil, 18, 17},
			{"deleted", func() error { return s.DeleteTenant(ctx, one) }, nil, nil, 21, 17},
		} {
			t.Run(step.name, func(t *testing.T) {
				if step.change != nil {
					do(t, step.change())
				}
				wantList(t, s, "ledger", step.ledger, step.set)
				wantList(t, s, "billing", step.billing, step.other)
			})
		}
	})
}

func rename(ctx context.Context, s *Store, id, name string) error {
	_, err := s.UpdateTenant(ctx, id, TenantPatch{Name: &name})
	return err
}

func wantList(t *testing.T, s *Store, service string, want []string, set uint64) {
	t.Helper()
	v, names := list(t, s, service)
	if !slices.Equal(names, want) || v.Set != set {
		t.Errorf("%s: %q at %+v, want %q of revision %d", service, names, v, want, set)
	}
	alone, err := s.ActiveVersion(t.Context(), service)
	if err != nil || alone != v {
		t.Errorf("%s: the version alone is %+v, %v, with the list %+v", service, alone, err, v)
	}
	if newest := version(t, s); v.Epoch != newest.Epoch || v.Revision != newest.Revision {
		t.Errorf("%s: %+v, the newest is %+v", service, v, newest)
	}
	if !strings.HasPrefix(v.ETag, `"`+v.Epoch+"-") || !strings.HasSuffix(v.ETag, fmt.Sprintf(`-%d"`, set)) {
		t.Errorf("%s: ETag %s", service, v.ETag)
	}
	if other, err := s.ActiveVersion(t.Context(), service+"2"); err != nil || other.ETag == v.ETag {
		t.Errorf("two services have the ETag %s, %v", v.ETag, err)
	}
}

// TestAListIsOfOneRevision changes, after the version is read, what is in the list.
func TestAListIsOfOneRevision(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		first := create(t, s, named("first")).ID
		associate(t, s, first, "ledger")
		var names []string
		do(t, s.Active(t.Context(), "ledger", func(ActiveVersion) error {
			second := create(t, s, named("second")).ID
			associate(t, s, second, "ledger")
			return s.SuspendTenant(t.Context(), first)
		}, func(row tenant.Summary) error {
			names = append(names, row.Name)
			return nil
		}))
		if want := []string{"first"}; !slices.Equal(names, want) {
			t.Errorf("the list is %v, and was %v at its version", names, want)
		}
		if _, names := list(t, s, "ledger"); !slices.Equal(names, []string{"second"}) {
			t.Errorf("the next list is %v", names)
		}
	})
}

func TestErrorsOfTheReaderOfAListComeBackAsTheyAre(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		associate(t, s, create(t, s, acme()).ID, "ledger")
		theirs := errors.New("the client is gone")
		fine := func(ActiveVersion) error { return nil }
		for name, err := range map[string]error{
			"begin": s.Active(t.Context(), "ledger", func(ActiveVersion) error { return theirs }, func(tenant.Summary) error { return nil }),
			"each":  s.Active(t.Context(), "ledger", fine, func(tenant.Summary) error { return theirs }),
		} {
			if err != theirs { //nolint:errorlint // nothing may be around it
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.Active(ctx, "ledger", fine, func(tenant.Summary) error { return nil })
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// TestALongListIsStreamed reads a list of very many with a heap that does not grow with it.
func TestALongListIsStreamed(t *testing.T) {
	const bound = 8 << 20
	n := 60_000
	if *million {
		n = 1_000_000
	}
	onEachStore(t, func(t *testing.T, s *Store) {
		seed(t, s, n)
		before, most, rows := heap(), uint64(0), 0
		do(t, s.Active(t.Context(), "ledger", func(v ActiveVersion) error { return nil }, func(row tenant.Summary) error {
			if rows++; rows%(n/20) == 0 {
				most = max(most, heap())
			}
			if want := fmt.Sprintf("name of %032x", rows); row.Name != want {
				return fmt.Errorf("row %d is %+v", rows, row)
			}
			return nil
		}))
		if rows != n {
			t.Errorf("%d rows, want %d", rows, n)
		}
		if most > before+bound {
			t.Errorf("the heap grew from %d to %d bytes for %d rows", before, most, n)
		}
		t.Logf("%d rows; the heap grew by %d KiB", rows, (max(most, before)-before)>>10)
		wantPlans(t, s)
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what pools let go of at the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// seed makes n tenants that are active for ledger, without events.
func seed(t *testing.T, s *Store, n int) {
	t.Helper()
	id, name := `printf('%032x', n)`, `'name of ' || printf('%032x', n)`
	if onPostgres(t) {
		id, name = `lpad(to_hex(n), 32, '0')`, `'name of ' || lpad(to_hex(n), 32, '0')`
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the race detector makes SQLite slow
	defer cancel()
	do(t, s.db.Write(ctx, "seed", func(ctx context.Context, tx sqldb.Tx) error {
		numbers := fmt.Sprintf(`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d) `, n)
		if _, err := tx.Exec(ctx, `INSERT INTO tenants (env, seq, id, canonical, name, slug, status, isolation, metadata, owner, search,
			created_at, updated_at) `+numbers+`SELECT 1, n, `+id+`, `+id+`, `+name+`, `+id+`, 'active', '', '{}', '', '', 0, 0 FROM numbers`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE environments SET tenants = ?1`, n); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO associations (env, service, tenant, status, isolation_mode, settings, rotations, created_at, updated_at)
			SELECT 1, 'ledger', seq, 'active', '', '', 0, 0, 0 FROM tenants`)
		return err
	}))
	if onPostgres(t) {
		run(t, s, `ANALYZE`)
	}
	associate(t, s, create(t, s, named("elsewhere")).ID, "billing")
}

// wantPlans looks how the database reads a list and its version.
func wantPlans(t *testing.T, s *Store) {
	t.Helper()
	list, version := plan(t, s, activeList), plan(t, s, activeVersion)
	t.Logf("list:\n%s\nversion:\n%s", list, version)
	if !onPostgres(t) {
		if strings.Contains(list+version, "SCAN") || strings.Contains(list, "TEMP B-TREE") || !strings.Contains(list, "associations_active") {
			t.Error("SQLite does not go along the indexes")
		}
	}
	for _, rows := range []string{"tenants t", "associations"} {
		if strings.Contains(version, rows) {
			t.Errorf("the version is read from %s", rows)
		}
	}
	for _, found := range actualRows.FindAllStringSubmatch(version, -1) {
		if found[1] != "0" && found[1] != "1" {
			t.Errorf("one step of reading the version gives %s rows", found[1])
		}
	}
}

var actualRows = regexp.MustCompile(`actual rows=(\d+)`)

func plan(t *testing.T, s *Store, query string) string {
	t.Helper()
	var lines []string
	do(t, s.db.Read(t.Context(), "explain", func(ctx context.Context, tx sqldb.Tx) error {
		explain, columns := `EXPLAIN QUERY PLAN `, 4
		if onPostgres(t) {
			explain, columns = `EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) `, 1
		}
		return tx.Each(ctx, func(row sqldb.Row) error {
			fields := make([]any, columns)
			for i := range fields {
				fields[i] = new(string)
			}
			if err := row.Scan(fields...); err != nil {
				return err
			}
			lines = append(lines, *fields[columns-1].(*string))
			return nil
		}, explain+query, s.env, "ledger")
	}))
	return strings.Join(lines, "\n")
}
