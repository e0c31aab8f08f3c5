package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func everything(Event) (bool, error) { return true, nil }

// listed are the canonical ids of a list, which nobody compares with what is kept, and the version.
func listed(t testing.TB, s *Store, service string) (ids map[string]bool, v tenant.Version) {
	t.Helper()
	ids = map[string]bool{}
	do(t, s.db.Read(t.Context(), "look", func(ctx context.Context, tx sqldb.Tx) error {
		k, err := s.keptList(ctx, tx, service)
		v = k.Version
		if err != nil {
			return err
		}
		return tx.Each(ctx, func(row sqldb.Row) error {
			var id, name string
			err := row.Scan(&id, &name)
			ids[tenant.CanonicalID(id)] = true
			return err
		}, activeList, s.env, service)
	}))
	return ids, v
}

// countOf counts what the test knows.
func countOf(ids map[string]bool) (n Count) {
	for id := range ids {
		n.add(id)
	}
	return n
}

// follow changes a list as a reader does that is told of these events.
func follow(t testing.TB, ids map[string]bool, service string, events []Event) {
	t.Helper()
	for _, e := range events {
		evt, err := tenant.ParseEvent(e.Data)
		do(t, err)
		if named, err := evt.ServiceName(); evt.EventType.PerService() && (err != nil || named != service) {
			continue
		}
		switch id := tenant.CanonicalID(evt.TenantID); evt.EventType { //nolint:exhaustive // the others change no list
		case tenant.EventServiceAssociated, tenant.EventServiceReactivated:
			ids[id] = true
		case tenant.EventServiceDisassociated, tenant.EventServiceSuspended, tenant.EventServicePurged, tenant.EventSuspended, tenant.EventDeleted:
			delete(ids, id)
		}
	}
}

// wantChanges wants the list of before and the events after it to be the current list, with the count that is kept.
func wantChanges(t testing.TB, s *Store, service string, before map[string]bool, since tenant.Version) {
	t.Helper()
	want, v := listed(t, s, service)
	got, err := s.Changes(t.Context(), service, since, everything)
	if err != nil || !got.Counted || got.Version != v || got.Count != countOf(want) {
		t.Errorf("%s since %s: %+v at %s, counted %t, %v; want %+v at %s", service, since, got.Count, got.Version, got.Counted, err, countOf(want), v)
		return
	}
	ids := maps.Clone(before)
	follow(t, ids, service, got.Events)
	if !maps.Equal(ids, want) {
		t.Errorf("%s since %s: the list becomes %v, want %v", service, since, ids, want)
	}
}

// spelled gives ids in all spellings, one after the other.
func spelled(n int64) string {
	id := uuid.NewString()
	switch n % 4 {
	case 0:
		return strings.ReplaceAll(id, "-", "")
	case 1:
		return id
	case 2:
		return strings.ToUpper(id)
	}
	return fmt.Sprintf("Tenant_%d", n)
}

func (db database) openSpelled(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: testKey, TenantID: spelled})
	do(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestM13ChangesLeadFromAnyListToThisOne makes changes at random and asks after each one for what has changed since an earlier one.
func TestM13ChangesLeadFromAnyListToThisOne(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.openSpelled(t)
		seed := uint64(time.Now().UnixNano())
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
		t.Logf("seed %d", seed)
		services := []string{"ledger", "ledger.eu-1", "Ledger_2"}
		type past struct {
			at   tenant.Version
			list map[string]map[string]bool
		}
		var before []past
		w := wild{t: t, s: s, random: random, services: services}
		for range 150 {
			w.step()
			now := past{at: version(t, s), list: map[string]map[string]bool{}}
			for _, service := range services {
				now.list[service], _ = listed(t, s, service)
			}
			before = append(before, now)
			then := before[random.IntN(len(before))]
			for _, service := range services {
				wantChanges(t, s, service, then.list[service], then.at)
			}
		}
	})
}

// wild makes changes at random. One that is refused is none.
type wild struct {
	t        *testing.T
	s        *Store
	random   *rand.Rand
	services []string
	name     string // before the numbers of its tenants
	ids      []string
}

func (w *wild) step() {
	ctx, s := w.t.Context(), w.s
	if len(w.ids) < 3 || w.random.IntN(8) == 0 {
		w.ids = append(w.ids, create(w.t, s, named(fmt.Sprint(w.name, "tenant ", len(w.ids)))).ID)
		return
	}
	id, service := w.ids[w.random.IntN(len(w.ids))], w.services[w.random.IntN(len(w.services))]
	var err error
	switch w.random.IntN(12) {
	case 0, 1, 2, 3:
		_, err = s.Associate(ctx, id, service, NewAssociation{IsolationMode: "isolated"})
	case 4:
		err = s.SuspendAssociation(ctx, id, service)
	case 5:
		err = s.ReactivateAssociation(ctx, id, service)
	case 6:
		err = s.Disassociate(ctx, id, service, w.random.IntN(2) == 0)
	case 7:
		err = s.SuspendTenant(ctx, id)
	case 8, 9:
		err = s.ReactivateTenant(ctx, id)
	case 10:
		err = rename(ctx, s, id, fmt.Sprint("renamed ", w.random.IntN(3)))
	case 11:
		err = errors.Join(s.DeleteTenant(ctx, id))
	}
	_, conflict := errors.AsType[*Conflict](err)
	_, inactive := errors.AsType[*Inactive](err)
	if err != nil && !conflict && !inactive && !errors.Is(err, ErrNotFound) {
		w.t.Fatal(err)
	}
}

func TestM13ChangesThatAreGone(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		v := version(t, s)
		wantGone := func(name string, since tenant.Version) {
			t.Helper()
			if got, err := s.Changes(t.Context(), "ledger", since, everything); !errors.Is(err, ErrGone) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		wantGone("another epoch", tenant.Version{Epoch: "another", Revision: v.Revision})
		wantGone("no epoch", tenant.Version{Revision: v.Revision})
		wantGone("ahead", tenant.Version{Epoch: v.Epoch, Revision: v.Revision + 1})
		wantGone("far ahead", tenant.Version{Epoch: v.Epoch, Revision: 1<<64 - 1})
		wantChanges(t, s, "ledger", map[string]bool{}, tenant.Version{Epoch: v.Epoch})

		do(t, s.MarkSent(t.Context(), ref(t, s, 1)))
		_, err := s.Prune(t.Context(), time.Now().Add(time.Hour))
		do(t, err)
		wantGone("pruned", tenant.Version{Epoch: v.Epoch})
		wantChanges(t, s, "ledger", map[string]bool{}, tenant.Version{Epoch: v.Epoch, Revision: 1})

		do(t, s.Quarantine(t.Context(), ref(t, s, 2), "no way"))
		wantChanges(t, s, "ledger", map[string]bool{}, tenant.Version{Epoch: v.Epoch, Revision: 1})

		run(t, s, `UPDATE outbox SET data = '{"event_type":"tenant.service.associated","tenant_id":"a","payload":{}}'`)
		wantGone("one that names no service", tenant.Version{Epoch: v.Epoch, Revision: 1})
		run(t, s, `UPDATE outbox SET data = 'no event'`)
		wantGone("one that nobody can read", tenant.Version{Epoch: v.Epoch, Revision: 1})
		refused := errors.New("not for you")
		if _, err := s.Changes(t.Context(), "ledger", tenant.Version{Epoch: v.Epoch, Revision: 1},
			func(Event) (bool, error) { return true, refused }); !errors.Is(err, refused) {
			t.Errorf("what the caller says becomes %v", err)
		}
		do(t, s.NewEpoch(t.Context()))
		wantGone("a new epoch", v)
	})
}

func TestM13ChangesHaveABound(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		associate(t, s, create(t, s, acme()).ID, "ledger")
		begin := version(t, s)
		const same = `{"event_type":"tenant.updated","tenant_id":"a"}`
		fill := func(n int, data string) {
			run(t, s, fmt.Sprintf(`DELETE FROM outbox WHERE revision > %d`, begin.Revision))
			run(t, s, fmt.Sprintf(`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)
				INSERT INTO outbox (env, revision, data, committed_at) SELECT 1, n + %d, '%s', 0 FROM numbers`, n, begin.Revision, data))
			run(t, s, fmt.Sprintf(`UPDATE environments SET revision = %d`, begin.Revision+uint64(n))) //nolint:gosec // never negative
		}
		for _, tt := range []struct {
			name  string
			n     int
			data  string
			of    bool
			taken bool
		}{
			{"the most", tenant.MaxChanges, same, true, true},
			{"one more", tenant.MaxChanges + 1, same, true, false},
			{"of others", tenant.MaxChanges + 1, same, false, true},
			{"very many of others", maxRevisions + 1, same, false, false},
			{"large ones", 17, `{"event_type":"tenant.updated","tenant_id":"a","more":"` + strings.Repeat("x", 500<<10) + `"}`, true, false},
		} {
			fill(tt.n, tt.data)
			got, err := s.Changes(t.Context(), "ledger", begin, func(Event) (bool, error) { return tt.of, nil })
			if tt.taken && (err != nil || tt.of != (len(got.Events) == tt.n)) || !tt.taken && !errors.Is(err, ErrGone) {
				t.Errorf("%s: %d events, %v", tt.name, len(got.Events), err)
			}
		}
	})
}

// TestM13WhatIsKeptOfAListIsNotBelieved where a program of before has made changes, in a new epoch, and where it is wrong.
func TestM13WhatIsKeptOfAListIsNotBelieved(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		log := &strings.Builder{}
		s, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: testKey, Logger: textLogger(log)})
		do(t, err)
		t.Cleanup(func() { _ = s.Close() })
		first := create(t, s, named("first")).ID
		associate(t, s, first, "ledger")
		wantCounted := func(name string, want bool) {
			t.Helper()
			got, err := s.Changes(t.Context(), "ledger", version(t, s), everything)
			ids, _ := listed(t, s, "ledger")
			if err != nil || got.Counted != want || want && got.Count != countOf(ids) {
				t.Errorf("%s: %+v, counted %t, %v", name, got.Count, got.Counted, err)
			}
		}
		wantCounted("as it began", true)

		// A program of before: it suspends the association, and knows of the revision alone.
		run(t, s, `UPDATE associations SET status = 'suspended'`)
		run(t, s, `UPDATE environments SET revision = revision + 1`)
		run(t, s, `UPDATE active_sets SET revision = (SELECT revision FROM environments)`)
		wantCounted("after a change by a program of before", false)
		associate(t, s, create(t, s, named("second")).ID, "ledger")
		wantCounted("after a change on top of it", false)
		do(t, s.CountActive(t.Context(), "ledger"))
		wantCounted("counted", true)

		do(t, s.NewEpoch(t.Context()))
		wantCounted("in a new epoch", false)
		for version(t, s).Revision < 4 { // as many as the count was kept at
			create(t, s, named(fmt.Sprint("more ", version(t, s).Revision)))
		}
		run(t, s, `UPDATE active_sets SET revision = counted_at`)
		wantCounted("in a new epoch, at the revision of before", false)
		if strings.Contains(log.String(), "ERROR") {
			t.Errorf("the log says %s", log)
		}
		list(t, s, "ledger")
		wantCounted("after a reading of the list", true)

		run(t, s, `UPDATE active_sets SET tenants = tenants + 1`)
		list(t, s, "ledger")
		wantCounted("corrected by a reading of the list", true)
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "service=ledger") {
			t.Errorf("the log says %s", log)
		}
	})
}

// TestM13AWrongCountIsForgotten where the list has changed while it was read.
func TestM13AWrongCountIsForgotten(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		associate(t, s, create(t, s, named("first")).ID, "ledger")
		run(t, s, `UPDATE active_sets SET digest = 7`)
		do(t, s.Active(t.Context(), "ledger", func(ActiveVersion) error {
			associate(t, s, create(t, s, named("second")).ID, "ledger")
			return nil
		}, func(tenant.Summary) error { return nil }))
		got, err := s.Changes(t.Context(), "ledger", version(t, s), everything)
		if err != nil || got.Counted {
			t.Errorf("%+v, counted %t, %v", got.Count, got.Counted, err)
		}
		do(t, s.CountActive(t.Context(), "ledger"))
		ids, _ := listed(t, s, "ledger")
		wantChanges(t, s, "ledger", ids, version(t, s))
	})
}

// TestM13AListWithoutARowIsCounted although nothing of ours makes one that has tenants.
func TestM13AListWithoutARowIsCounted(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		wantChanges(t, s, "nobody", map[string]bool{}, version(t, s))
		do(t, s.CountActive(t.Context(), "nobody"))
		associate(t, s, create(t, s, named("first")).ID, "ledger")
		run(t, s, `DELETE FROM active_sets`)
		if got, err := s.Changes(t.Context(), "ledger", version(t, s), everything); err != nil || got.Counted {
			t.Errorf("%+v, counted %t, %v", got.Count, got.Counted, err)
		}
		do(t, s.CountActive(t.Context(), "ledger"))
		ids, _ := listed(t, s, "ledger")
		wantChanges(t, s, "ledger", ids, version(t, s))
		names := slices.Sorted(maps.Keys(ids))
		if len(names) != 1 {
			t.Errorf("the list has %v", names)
		}
	})
}

func BenchmarkChangesOfNothing(b *testing.B) {
	s := sqliteFile(b).open(b)
	associate(b, s, create(b, s, acme()).ID, "ledger")
	v := version(b, s)
	for b.Loop() {
		if got, err := s.Changes(b.Context(), "ledger", v, everything); err != nil || !got.Counted {
			b.Fatal(got, err)
		}
	}
}
