package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// wantCounting wants nobody to know the count of a list, and then wants it counted.
func wantCounting(t *testing.T, s *Store, service string) {
	t.Helper()
	if got, err := s.Changes(t.Context(), service, version(t, s), everything); err != nil || got.Counted {
		t.Errorf("%+v, counted %t, %v", got.Count, got.Counted, err)
	}
	do(t, s.CountActive(t.Context(), service))
	ids, v := listed(t, s, service)
	wantChanges(t, s, service, ids, v)
}

// TestM13ChangesOfOldData: they reach back to before there were counts, and the count is kept from then on.
func TestM13ChangesOfOldData(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, _ string) {
		s, err := openOld(t, dsn, "staging") // which had an upper-case letter
		do(t, err)
		begin := tenant.Version{Epoch: version(t, s).Epoch}
		wantCounting(t, s, "ledger")
		wantChanges(t, s, "ledger", map[string]bool{}, begin)
		page, err := s.Tenants(t.Context(), TenantFilter{Service: "ledger"})
		do(t, err)
		do(t, s.ReactivateTenant(t.Context(), page.Tenants[2].ID))
		associate(t, s, page.Tenants[0].ID, "payments")
		do(t, s.SuspendTenant(t.Context(), page.Tenants[0].ID))
		wantChanges(t, s, "ledger", map[string]bool{}, begin)
		wantChanges(t, s, "payments", map[string]bool{}, begin)
	})
}

// TestM13TheFirstChangeOfOldDataIsNotACount: what is added to an unknown count stays unknown.
func TestM13TheFirstChangeOfOldDataIsNotACount(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, _ string) {
		s, err := openOld(t, dsn, "production")
		do(t, err)
		associate(t, s, create(t, s, named("new")).ID, "ledger")
		wantCounting(t, s, "ledger")
	})
}

// TestM13ChangesAcrossATakeover: what was sent names the former environment, and no reader of this one would take it.
func TestM13ChangesAcrossATakeover(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.open(t)
		associate(t, s, create(t, s, acme()).ID, "ledger")
		do(t, s.MarkSent(t.Context(), ref(t, s, 2)))
		beginAs(t, s, "default")
		do(t, s.Close())
		s, err := Open(t.Context(), db.dsn, Options{Environment: "production", Formerly: "default", Key: testKey})
		do(t, err)
		t.Cleanup(func() { do(t, s.Close()) })
		before, v := listed(t, s, "ledger")
		if got, err := s.Changes(t.Context(), "ledger", tenant.Version{Epoch: v.Epoch}, everything); !errors.Is(err, ErrGone) {
			t.Errorf("what was sent under the former name: %+v, %v", got, err)
		}
		wantChanges(t, s, "ledger", before, v)
		associate(t, s, create(t, s, named("second")).ID, "ledger")
		wantChanges(t, s, "ledger", before, v)
	})
}

// TestM13ChangesAfterARestore: events that were not sent are the first of the new epoch, and lead to nothing that the backup does not have.
func TestM13ChangesAfterARestore(t *testing.T) {
	s := sqliteFile(t).open(t)
	first := create(t, s, named("first")).ID
	associate(t, s, first, "ledger")
	old := version(t, s)
	copied := filepath.Join(t.TempDir(), "backup.db")
	do(t, s.Backup(t.Context(), copied))
	associate(t, s, create(t, s, named("later")).ID, "ledger")
	restored := database{dsn: "sqlite:" + copied}.open(t)
	do(t, restored.NewEpoch(t.Context()))
	for _, since := range []tenant.Version{old, {Epoch: old.Epoch}} {
		if _, err := restored.Changes(t.Context(), "ledger", since, everything); !errors.Is(err, ErrGone) {
			t.Errorf("since %s: %v", since, err)
		}
	}
	wantCounting(t, restored, "ledger")
	begin := tenant.Version{Epoch: version(t, restored).Epoch}
	wantChanges(t, restored, "ledger", map[string]bool{}, begin)
	do(t, restored.Disassociate(t.Context(), first, "ledger", true))
	associate(t, restored, first, "ledger")
	wantChanges(t, restored, "ledger", map[string]bool{}, begin)
}

// TestM13ChangesBesideAProgramOfBefore that writes to the same database: it raises the revision of a list and nothing else.
func TestM13ChangesBesideAProgramOfBefore(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		for n := range 3 {
			associate(t, s, create(t, s, named(fmt.Sprint("ours ", n))).ID, "ledger")
		}
		theirs := create(t, s, named("theirs")).ID
		associate(t, s, theirs, "ledger")
		before, v := listed(t, s, "ledger")
		// What it does in one change: it suspends the tenant, and has an event without services.
		run(t, s, `UPDATE tenants SET status = 'suspended' WHERE id = '`+theirs+`'`)
		run(t, s, `UPDATE environments SET revision = revision + 1`)
		run(t, s, fmt.Sprintf(`INSERT INTO outbox (env, revision, data, committed_at) SELECT id, revision,
			'{"event_type":"tenant.suspended","tenant_id":"%s"}', 0 FROM environments`, theirs))
		run(t, s, `UPDATE active_sets SET revision = (SELECT revision FROM environments)`)
		do(t, s.ReactivateTenant(t.Context(), theirs)) // ours, on top of a count that is not known any more
		wantCounting(t, s, "ledger")
		wantChanges(t, s, "ledger", before, v)
		do(t, s.DeleteTenant(t.Context(), theirs))
		wantChanges(t, s, "ledger", before, v)
	})
}
