package discovery_test

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// TestNames: a name comes with the list, changes with an event, goes with the tenant, and is not kept where nobody wants it.
func TestNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		rename := func(name string) {
			t.Helper()
			if _, err := f.manager.Update(t.Context(), "acme", managerapi.UpdateTenantRequest{Name: &name}); err != nil {
				t.Fatal(err)
			}
			settle()
		}
		rename("Acme Inc.")
		f.cfg.Names = true
		d := f.start(t)
		want := func(want string) {
			t.Helper()
			if name, known := d.Name("acme"); name != want || known != (want != "") {
				t.Errorf("it is called %q, %t; want %q", name, known, want)
			}
		}
		want("Acme Inc.")
		rename("Acme Ltd.")
		want("Acme Ltd.")
		f.feed.Drop(1)
		rename("Acme GmbH")
		want("Acme Ltd.")
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("Acme GmbH")
		f.suspend(t, "acme")
		settle()
		want("")
		f.cfg.Names = false
		if name, known := f.start(t).Name("acme"); known {
			t.Errorf("a name that nobody wants is kept: %q", name)
		}
		pass(time.Second)
	})
}
