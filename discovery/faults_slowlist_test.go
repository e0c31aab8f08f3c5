package discovery_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
)

// TestD05SlowSnapshot: the answer takes 30 s, and 500 changes of a few tenants arrive meanwhile. With versions and without,
// in the bootstrap and in a reconcile, nothing is lost and each tenant's changes are told in their order.
func TestD05SlowSnapshot(t *testing.T) {
	for name, fixtureOf := range map[string]func(t *testing.T, tenants ...string) *fixture{
		"versions":    func(t *testing.T, tenants ...string) *fixture { t.Helper(); return newFixture(t, tenants...) },
		"no versions": func(t *testing.T, tenants ...string) *fixture { t.Helper(); return newFixture(t).plain(t, tenants...) },
	} {
		t.Run("bootstrap, "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := fixtureOf(t, "stays", "leaves")
				f.cfg.BootstrapTimeout = time.Minute
				d := f.new(t)
				told := keep(d)
				f.manager.DelayList(1, 30*time.Second)
				started := make(chan error)
				began := time.Now()
				go func() { started <- d.Start(t.Context()) }()
				f.busy(t)
				if err := <-started; err != nil || time.Since(began) != 30*time.Second {
					t.Fatalf("%v after %v", err, time.Since(began))
				}
				f.wantManagers(t, d)
				pass(time.Minute)
				f.wantManagers(t, d)
				wantState(t, d, discovery.Live)
				wantTold(t, told, "")
			})
		})
		t.Run("reconcile, "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := fixtureOf(t, "stays", "leaves")
				f.cfg.BootstrapTimeout = time.Minute
				d := f.start(t)
				told := keep(d)
				f.manager.DelayList(1, 30*time.Second)
				refreshed := make(chan error)
				go func() { refreshed <- d.Refresh(t.Context()) }()
				settle()
				f.busy(t)
				f.wantManagers(t, d) // events do not wait for the answer
				before := told.read()
				if err := <-refreshed; err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				f.wantManagers(t, d)
				wantState(t, d, discovery.Live)
				wantTold(t, told, "") // the old answer changes nothing
				if want := f.toldOfBusy(); before != want {
					t.Errorf("told %q, want %q", before, want)
				}
			})
		})
	}
}

// busyTenants come and go in busy.
const busyTenants = 20

// busy makes 500 changes that are announced, over 29 s: each of the tenants comes and goes a dozen times, half of them are
// there in the end.
func (f *fixture) busy(t *testing.T) {
	t.Helper()
	pass(time.Second / 2)
	f.suspend(t, "leaves")
	for round := range 25 {
		for i := range busyTenants {
			switch id := fmt.Sprint("busy", i); {
			case i%2 == 1 && round == 24: // so that it stays gone
			case round == 0:
				f.add(t, id)
			case round%2 == 1:
				f.suspend(t, id)
			default:
				if err := f.manager.Reactivate(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
		pass(time.Second)
	}
}

// toldOfBusy is what somebody is told who follows busy all the time.
func (f *fixture) toldOfBusy() string {
	all := "-leaves"
	for round := range 25 {
		for i := range busyTenants {
			switch {
			case i%2 == 1 && round == 24:
			case round%2 == 1:
				all += fmt.Sprint(", -busy", i)
			default:
				all += fmt.Sprint(", +busy", i)
			}
		}
	}
	return all
}

// wantManagers compares the set with the manager's truth.
func (f *fixture) wantManagers(t testing.TB, d *discovery.TenantDiscovery) {
	t.Helper()
	want := make([]string, 0, d.Len())
	for _, row := range f.manager.Active(service) {
		want = append(want, row.ID)
	}
	slices.Sort(want)
	wantSet(t, d, want...)
}
