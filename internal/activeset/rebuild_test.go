package activeset

import (
	"testing"
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
