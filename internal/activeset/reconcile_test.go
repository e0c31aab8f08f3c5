package activeset

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func setOf(ids ...string) Set {
	var s Set
	for _, id := range ids {
		s = s.with(id, nil)
	}
	return s
}

func idsOf(s Set) string {
	ids := s.IDs()
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func rowsOf(ids ...string) Set {
	var r Rows
	for _, id := range ids {
		r.Add(tenant.Row{ID: []byte(id), Status: []byte("active")})
	}
	r.Seal()
	return r.set
}

// merge makes the set what is listed, as a Core does, and holds removals with hold.
func merge(set, listed Set, hold bool, slack int) (next Set, changes []tenant.Change, held int) {
	m := reconcile(set, listed, compare(set, listed, slack), nil, origin{cause: tenant.CauseReconcile})
	if hold {
		held = m.removals()
		m.keepAll()
	}
	return m.result(), changesOf(m.few()), held
}

func changesOf(news []News) (changes []tenant.Change) {
	for _, n := range news {
		changes = append(changes, n.Change)
	}
	return changes
}

func tell(changes []tenant.Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, string(c.Kind)+" "+c.TenantID)
	}
	return strings.Join(words, ", ")
}

func TestReconcile(t *testing.T) {
	for _, tc := range []struct {
		name        string
		set         []string
		list        []string
		wantSet     string
		wantChanges string
		hold        bool
		wantHeld    int
	}{
		{name: "nothing new", set: []string{"a", "b"}, list: []string{"b", "a"}, wantSet: "a b"},
		{name: "first list", list: []string{"b", "a"}, wantSet: "a b", wantChanges: "added a, added b"},
		{name: "both ways", set: []string{"a", "b", "c"}, list: []string{"b", "d"}, wantSet: "b d", wantChanges: "removed a, removed c, added d"},
		{name: "empty list", set: []string{"a", "b"}, wantChanges: "removed a, removed b"},
		{name: "as many come as go", set: []string{"a"}, list: []string{"b"}, wantSet: "b", wantChanges: "removed a, added b"},
		{name: "removals held", set: []string{"a", "b"}, list: []string{"c"}, hold: true, wantSet: "a b c", wantChanges: "added c", wantHeld: 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := setOf(tc.set...)
			set, changes, held := merge(before, rowsOf(tc.list...), tc.hold, 4096)
			if idsOf(set) != tc.wantSet || tell(changes) != tc.wantChanges || held != tc.wantHeld {
				t.Errorf("got %q, %q, %d held; want %q, %q, %d", idsOf(set), tell(changes), held, tc.wantSet, tc.wantChanges, tc.wantHeld)
			}
			if idsOf(before) != strings.Join(tc.set, " ") {
				t.Error("the set before was changed")
			}
		})
	}
}

// TestReconcileFolds checks for random sets and lists that applying the changes to the one gives the other.
func TestReconcileFolds(t *testing.T) {
	ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a-z0-9]{1,3}`), rapid.ID[string])
	rapid.Check(t, func(t *rapid.T) {
		have, list := ids.Draw(t, "set"), ids.Draw(t, "list")
		set, changes, _ := merge(setOf(have...), rowsOf(list...), false, rapid.IntRange(0, 8).Draw(t, "slack"))
		slices.Sort(list)
		if got := idsOf(set); got != strings.Join(list, " ") {
			t.Fatalf("the set is %q", got)
		}
		told := map[string]bool{}
		for _, id := range have {
			told[id] = true
		}
		for _, c := range changes {
			if told[c.TenantID] == (c.Kind == tenant.Added) {
				t.Fatalf("%s %s changes nothing", c.Kind, c.TenantID)
			}
			told[c.TenantID] = c.Kind == tenant.Added
		}
		for _, id := range list {
			if !told[id] {
				t.Fatalf("%s was not told of", id)
			}
		}
	})
}

func TestSpellingIsKept(t *testing.T) {
	const dashed, plain = "6F1C2A9E-4b7d-4e0f-8a3b-5c6d7e8f9012", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012"
	set, changes, _ := merge(setOf(dashed), rowsOf(plain), false, 4096)
	if idsOf(set) != dashed || len(changes) != 0 {
		t.Errorf("the list's spelling made %q of it, %v", idsOf(set), changes)
	}
	_, change, _ := apply(set, nil, &verdict{effect: effectRemove, key: plain, id: plain}, time.Time{})
	if tell([]tenant.Change{change}) != "removed "+dashed {
		t.Errorf("told %q", tell([]tenant.Change{change}))
	}
}

func TestApply(t *testing.T) {
	for _, tc := range []struct {
		effect      effect
		id          string
		wantSet     string
		wantChanges string
	}{
		{effectAdd, "b", "a b", "added b"},
		{effectAdd, "a", "a", ""},
		{effectRemove, "a", "", "removed a"},
		{effectRemove, "b", "a", ""},
		{effectReconfigure, "a", "a", "reconfigured a"},
		{effectReconfigure, "b", "a", ""},
		{effectNone, "b", "a", ""},
		{effectRecheck, "b", "a", ""},
		{effectUnknown, "a", "a", ""},
	} {
		set, change, _ := apply(setOf("a"), nil, &verdict{effect: tc.effect, key: tc.id, id: tc.id}, time.Time{})
		changes := []tenant.Change{change}
		if change.Kind == "" {
			changes = nil
		}
		if idsOf(set) != tc.wantSet || tell(changes) != tc.wantChanges {
			t.Errorf("effect %d on %s: got %q, %q; want %q, %q", tc.effect, tc.id, idsOf(set), tell(changes), tc.wantSet, tc.wantChanges)
		}
	}
}

// TestHeldWithWhatHasChangedMeanwhile: what the guard holds stays, even when the tenant is looked at by itself because the set has changed
// since the difference was worked out; and what was worked out is corrected where it is not held.
func TestHeldWithWhatHasChangedMeanwhile(t *testing.T) {
	for _, slack := range []int{0, 4096} {
		before, list := setOf("a", "b", "c", "d").Rebuilt(), rowsOf("a", "e", "f")
		ready := compare(before, list, slack)
		now := before.without("b").with("g", nil).without("a").with("f", nil)
		for hold, want := range map[bool]string{false: "a e f", true: "a c d e f g"} {
			m := reconcile(now, list, ready, nil, origin{cause: tenant.CauseReconcile})
			if m.removals() != 3 || m.additions() != 2 {
				t.Errorf("slack %d: %d removals and %d additions, want 3 and 2", slack, m.removals(), m.additions())
			}
			if hold {
				m.keepAll()
			}
			if got := idsOf(m.result()); got != want {
				t.Errorf("slack %d, held %v: the set is %q, want %q", slack, hold, got, want)
			}
			if told := tell(changesOf(m.few())); hold && told != "added a, added e" || !hold && told != "removed c, removed d, removed g, added a, added e" {
				t.Errorf("slack %d, held %v: %s", slack, hold, told)
			}
		}
	}
}
