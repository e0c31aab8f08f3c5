package activeset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// uuid is the n-th of some UUIDs, in one of its spellings.
func uuid(n, spelling int) string {
	digits := fmt.Sprintf("%08xabcd4ef08a3b5c6d7e8f9012", n)
	switch spelling {
	case 1:
		return strings.ToUpper(digits)
	case 2:
		return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
	default:
		return digits
	}
}

// drawID is one of some ids: UUIDs of one length, or of several, or other ids.
func drawID(t *rapid.T, kind string) string {
	n := rapid.IntRange(0, 60).Draw(t, "n")
	switch kind {
	case "digits":
		return uuid(n, rapid.IntRange(0, 1).Draw(t, "spelling"))
	case "uuids":
		return uuid(n, rapid.IntRange(0, 2).Draw(t, "spelling"))
	case "equal":
		return fmt.Sprintf("tenant-%04d", n)
	default:
		return fmt.Sprint("t", n*n)
	}
}

type setModel map[string]string // the spelling by the canonical id

func (m setModel) check(t *rapid.T, s Set, kind string) {
	ids := s.IDs()
	all := slices.Collect(s.All())
	slices.Sort(ids)
	slices.Sort(all)
	want := slices.Sorted(maps.Values(m))
	if s.Len() != len(m) || !slices.Equal(ids, want) || !slices.Equal(all, want) {
		t.Fatalf("%d tenants, IDs %v, All %v, want %v", s.Len(), ids, all, want)
	}
	for range 20 {
		id := drawID(t, kind)
		spelled, there := s.Lookup(id)
		if known, in := m[tenant.CanonicalID(id)]; there != in || spelled != known || s.Has(id) != in {
			t.Fatalf("Lookup(%q) = %q, %v, Has %v; want %q, %v", id, spelled, there, s.Has(id), known, in)
		}
	}
}

// TestSetIsAMap compares the Set with Go's map over random histories, in which it is rebuilt now and then, and holds every Set of
// the history to what it was, as readers keep old ones.
func TestSetIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"digits", "uuids", "equal", "any"}).Draw(t, "kind")
		type moment struct {
			set  Set
			want setModel
		}
		now, d := moment{want: setModel{}}, new(draft)
		var past []moment
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			id := drawID(t, kind)
			key := tenant.CanonicalID(id)
			next := maps.Clone(now.want)
			switch _, there := next[key]; {
			case rapid.IntRange(0, 9).Draw(t, "again") == 0:
				now.set = now.set.Rebuilt()
			case there:
				now.set = now.set.withoutIn(d, id)
				delete(next, key)
			default:
				now.set = now.set.withIn(d, id, nil)
				next[key] = id
			}
			now.want = next
			if rapid.Bool().Draw(t, "given away") { // until then what was made may be changed in place
				past, d = append(past, now), new(draft)
			}
		}
		for _, m := range append(past, now) {
			m.want.check(t, m.set, kind)
		}
		if len(now.want) == 0 && now.set.added != nil {
			t.Fatal("an empty Set holds on to nodes")
		}
		for _, earlier := range past {
			if earlier.set.base == now.set.base {
				checkSince(t, earlier.set, now.set)
			}
		}
	})
}

// checkSince holds since to what differs.
func checkSince(t *rapid.T, earlier, now Set) {
	told := map[string]bool{}
	now.since(earlier, func(id string) { told[tenant.CanonicalID(id)] = true })
	for _, set := range []Set{earlier, now} {
		for id := range set.All() {
			a, _ := earlier.Lookup(id)
			if b, _ := now.Lookup(id); a != b && !told[tenant.CanonicalID(id)] {
				t.Fatalf("%q became %q, and since does not say so", a, b)
			}
		}
	}
}

// TestRowsTwice: a tenant that is listed twice, in whichever spelling, counts once, as it is spelled first, in lists of every size
// about that of a chunk.
func TestRowsTwice(t *testing.T) {
	for _, n := range []int{1, 2, idsPerChunk - 1, idsPerChunk, idsPerChunk + 1, 3 * idsPerChunk} {
		for _, again := range []int{0, 1, 2} {
			var r Rows
			want := map[string]bool{}
			for i := range n {
				r.Add(tenant.Row{ID: []byte(uuid(i, 2))})
				want[uuid(i, 2)] = true
				if i%7 == 0 {
					r.Add(tenant.Row{ID: []byte(uuid(i/2, again))})
				}
			}
			r.Seal()
			got := map[string]bool{}
			for id := range r.set.All() {
				got[id] = true
			}
			if twice := (n + 6) / 7; !maps.Equal(got, want) || r.skipped != uint64(twice) { //nolint:gosec // a count is never negative
				t.Errorf("%d rows, spelled %d: %d tenants, %d skipped, want %d", n, again, len(got), r.skipped, twice)
			}
			for i := range n {
				if spelled, there := r.set.Lookup(uuid(i, 0)); !there || spelled != uuid(i, 2) {
					t.Fatalf("%d rows: Lookup(%d) = %q, %v", n, i, spelled, there)
				}
			}
		}
	}
}

// TestOrigins: each tenant keeps by what it came, whatever is rebuilt.
func TestOrigins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := []*origin{nil, {cause: tenant.CauseBootstrap}, {cause: tenant.CauseReconcile}}
		var set Set
		want := map[string]*origin{}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			id := drawID(t, "any")
			_, there := want[id]
			switch {
			case rapid.IntRange(0, 7).Draw(t, "again") == 0:
				set = set.Rebuilt()
			case there:
				set = set.without(id)
				delete(want, id)
			default:
				want[id] = rapid.SampledFrom(lists).Draw(t, "origin")
				set = set.with(id, want[id])
			}
		}
		for id, by := range want {
			if _, got, _ := set.find(id); got != by {
				t.Fatalf("%s came by %v, want %v", id, got, by)
			}
		}
	})
}

func TestLoopCanBeLeft(t *testing.T) {
	for _, build := range []func(Set) Set{func(s Set) Set { return s }, Set.Rebuilt} {
		var full Set
		for i := range 1000 {
			full = full.with(fmt.Sprint(i), nil)
		}
		seen := 0
		for range build(full).All() {
			if seen++; seen == 3 {
				break
			}
		}
		if seen != 3 {
			t.Fatalf("the loop went on to %d", seen)
		}
	}
}

// TestTreeHoldsEqualHashes puts more tenants under one hash than a leaf holds, as nothing but luck prevents.
func TestTreeHoldsEqualHashes(t *testing.T) {
	var n *node
	for i := range 3 * leafLength {
		n = n.with(entry{id: fmt.Sprint(i)}, nil)
	}
	for i := range leafLength {
		q := ident{id: fmt.Sprint(i)}
		n = n.without(&q, nil)
	}
	seen := 0
	n.walk(func(e *entry) bool { seen++; q := ident{id: e.id}; return n.find(&q) == e })
	if seen != 2*leafLength {
		t.Fatalf("%d of %d entries are left", seen, 2*leafLength)
	}
}

// TestBaseHoldsEqualHashes does the same to the table, whose search wraps at its end.
func TestBaseHoldsEqualHashes(t *testing.T) {
	b := &base{slots: make([]uint32, 8), mask: 7}
	for i := range 6 {
		b.ids = append(b.ids, fmt.Sprint(i))
		q := ident{id: b.ids[i], hash: 1<<64 - 1} // the last slot
		if !b.put(&q, i) || b.put(&q, i) {
			t.Fatalf("the %d-th was not put once", i)
		}
	}
	for i := range 8 {
		q := ident{id: fmt.Sprint(i), hash: 1<<64 - 1}
		if place := b.find(&q); place != i && i < 6 || place != -1 && i >= 6 {
			t.Errorf("%d is found at %d", i, place)
		}
	}
}

// TestReadsAllocateNothing holds what the documents say of the hot reads.
func TestReadsAllocateNothing(t *testing.T) {
	var set Set
	for i := range 3000 {
		set = set.with(uuid(i, 2), nil)
	}
	set = set.Rebuilt().without(uuid(5, 2)).with(uuid(5000, 2), nil)
	upper := uuid(7, 1)
	for name, read := range map[string]func(){
		"Has": func() { set.Has(upper) },
		"All": func() {
			for range set.All() {
			}
		},
		"Find": func() { set.Lookup(upper) },
	} {
		if n := testing.AllocsPerRun(100, read); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { set.IDs() }); n != 1 {
		t.Errorf("IDs allocates %v times, want once", n)
	}
}
