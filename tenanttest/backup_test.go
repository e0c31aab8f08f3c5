package tenanttest_test

import (
	"testing"

	"github.com/tenantwatch/tenantwatch/tenanttest"
)

func TestRestoreGoesBackUnderANewEpoch(t *testing.T) {
	m := tenanttest.NewManager()
	if err := m.Add(t.Context(), "ledger", "acme", "beta"); err != nil {
		t.Fatal(err)
	}
	backup, before := m.Backup(), m.Version()
	for range 2 { // the backup is the same after it was used
		for _, err := range []error{
			m.Suspend(t.Context(), "acme"), m.Disassociate(t.Context(), "beta", "ledger", false), m.Add(t.Context(), "ledger", "gamma"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		m.Restore(backup)
		active := m.Active("ledger")
		if len(active) != 2 || active[0].ID != "acme" || active[1].ID != "beta" {
			t.Errorf("after the restore %v are active", active)
		}
		if v := m.Version(); v.Epoch == before.Epoch || v.Revision != 0 {
			t.Errorf("the version was %v and is %v", before, v)
		}
	}
}
