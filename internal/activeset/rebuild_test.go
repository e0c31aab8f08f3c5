package activeset

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestRebuild: what has changed while a set was rebuilt is changed in the new one, too, and one that was built of a set from before a list
// takes the place of nothing.
func TestRebuild(t *testing.T) {
	c := New(Config{Slack: 1})
	c.set = setOf("a", "b", "c")
	was := c.set
	if !c.cfg.Worn(was) || c.cfg.Worn(was.Rebuilt()) {
		t.Error("three tenants beside the base are no reason to rebuild it, or none are a reason")
	}
	c.set = c.set.without("b").with("d", nil)
	if c.Rebuild(was, was.Rebuilt()); idsOf(c.set) != "a c d" || c.set.base == was.base {
		t.Errorf("the set is %q, with the same base %v", idsOf(c.set), c.set.base == was.base)
	}
	listed := setOf("x").Rebuilt()
	c.set = listed
	if c.Rebuild(was, was.Rebuilt()); c.set != listed {
		t.Errorf("the set of before the list is back: %q", idsOf(c.set))
	}
}

// TestRebuildKeepsOrigins: a tenant that left and came back while the set was rebuilt is there by what brought it back.
func TestRebuildKeepsOrigins(t *testing.T) {
	c := New(Config{Slack: 1})
	by := &origin{cause: tenant.CauseReconcile, at: time.Unix(1, 0)}
	c.set = setOf("b").with("a", by).Rebuilt()
	was := c.set
	c.set = c.set.without("a").with("a", nil)
	c.Rebuild(was, was.Rebuilt())
	if _, from, there := c.set.find("a"); !there || from != nil {
		t.Errorf("there %v, by %v; want the event that brought it back", there, from)
	}
}

// TestHistoryOfOneThatCameBack: what a list removed with many others and an event brought back has both in its history.
func TestHistoryOfOneThatCameBack(t *testing.T) {
	var h history
	at := time.Unix(1, 0)
	gone := rowsOf("a", "b")
	h.wave(&Wave{removed: gone.base, by: &origin{tenant.CauseReconcile, at}}, 0)
	h.record("a", tenant.Change{Kind: tenant.Added, TenantID: "a", Cause: tenant.CauseEvent, At: at.Add(time.Second)}, nil, 1)
	if got := tell(h.of("a", "a", nil)); got != "removed a, added a" {
		t.Errorf("the history is %q", got)
	}
}

// TestHistoryOfAWave: whether many have a history or few have, a wave goes on with those of its tenants, and with no other.
func TestHistoryOfAWave(t *testing.T) {
	for _, size := range []int{1, 3} {
		var h history
		at := time.Unix(1, 0)
		for _, id := range []string{"a", "b", "c"}[:size] {
			h.record(id, tenant.Change{Kind: tenant.Added, TenantID: id, At: at}, nil, 3)
		}
		gone := rowsOf("a", "x")
		h.wave(&Wave{removed: gone.base, by: &origin{tenant.CauseReconcile, at.Add(time.Second)}}, 3)
		if got := tell(h.tenants["a"].changes); got != "added a, removed a" || len(h.tenants) != size || h.left != 1 {
			t.Errorf("of %d: the history is %q, %d have one and %d left", size, got, len(h.tenants), h.left)
		}
	}
}
