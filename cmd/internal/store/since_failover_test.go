package store

import (
	"fmt"
	"maps"
	"testing"
)

// TestM13ChangesAfterAFailoverThatLostSome: the new primary gives the revisions of lost changes to others, in the same epoch. A reader that
// has the lost ones sees by count and digest that the events do not lead to the list.
func TestM13ChangesAfterAFailoverThatLostSome(t *testing.T) {
	p := startPair(t)
	s := p.db.open(t)
	for n := range 3 {
		associate(t, s, create(t, s, named(fmt.Sprint("kept ", n))).ID, "ledger")
	}
	both, v := listed(t, s, "ledger")
	p.caughtUp(t)
	p.standby.Promote(t)
	associate(t, s, create(t, s, named("lost")).ID, "ledger")
	lost, ahead := listed(t, s, "ledger")
	if len(lost) != len(both)+1 {
		t.Fatalf("%d tenants on the old primary", len(lost))
	}
	p.lead(p.standby, false)
	fresh := database{dsn: through(t, p.standby.Addr(), p.db.dsn)}.open(t)
	wantChanges(t, fresh, "ledger", both, v)
	for n := range 3 {
		associate(t, fresh, create(t, fresh, named(fmt.Sprint("new ", n))).ID, "ledger")
	}
	wantChanges(t, fresh, "ledger", both, v)
	got, err := fresh.Changes(t.Context(), "ledger", ahead, everything)
	do(t, err)
	reader := maps.Clone(lost)
	follow(t, reader, "ledger", got.Events)
	if is, _ := listed(t, fresh, "ledger"); got.Epoch != ahead.Epoch || got.Count != countOf(is) || got.Count == countOf(reader) {
		t.Errorf("%+v at %s; the reader makes %+v of %s", got.Count, got.Version, countOf(reader), ahead)
	}
}
