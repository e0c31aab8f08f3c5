package main

import (
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// TestChurnKnowsWhatItHasDone: it asks for no list, so what it believes has to be what the manager has.
func TestChurnKnowsWhatItHasDone(t *testing.T) {
	m := tenanttest.NewManager(tenanttest.WithEnvironment("dev"))
	served := httptest.NewServer(m)
	defer served.Close()
	api, err := managerapi.NewClient(managerapi.Config{BaseURL: served.URL, APIKey: managerapi.StaticKey(m.APIKey()), BearerToken: managerapi.StaticKey(m.Token())})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	ids, err := m.Seed(t.Context(), "ledger", 10)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers every time
	c := &churn{
		api: api, service: "ledger", environment: "dev", target: len(ids), active: slices.Clone(ids), intn: random.IntN,
		failed: func(context.Context, error) {},
	}
	steps := func() {
		t.Helper()
		for i := range 400 {
			if err := c.step(t.Context()); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
	}
	steps()
	if got, want := slices.Sorted(slices.Values(c.active)), activeIDs(m); !slices.Equal(got, want) {
		t.Errorf("it believes in %q, the manager has %q", got, want)
	}
	if c.made > c.target+10 {
		t.Errorf("%d tenants were made, since those whose association was ended are forgotten", c.made)
	}

	// Somebody else's changes are not errors, and what it did not know of it learns by being refused.
	victims := slices.Clone(c.active[:3])
	for _, err := range []error{
		m.Suspend(t.Context(), victims[0]), m.Delete(t.Context(), victims[1]), m.Disassociate(t.Context(), victims[2], "ledger", false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	steps()
	if n := len(m.Active("ledger")); n < 3 || n > 2*c.target {
		t.Errorf("%d tenants are left", n)
	}
}

func activeIDs(m *tenanttest.Manager) []string {
	var ids []string
	for _, summary := range m.Active("ledger") {
		ids = append(ids, summary.ID)
	}
	slices.Sort(ids)
	return ids
}
