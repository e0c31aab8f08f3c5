package activeset

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeIsAMap compares the Tree with Go's map over random histories, and holds every Tree of the history to what it
// was, as readers keep old ones.
func TestTreeIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now Tree
		want := map[string]string{}
		type moment struct {
			Tree Tree
			want map[string]string
		}
		var past []moment
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "key"))
			if _, there := want[key]; there {
				now = now.without(key)
				delete(want, key)
			} else {
				now = now.with(Entry{Key: key, ID: "id-" + key})
				want[key] = "id-" + key
			}
			past = append(past, moment{now, maps.Clone(want)})
		}
		for _, m := range past {
			checkTree(t, m.Tree, m.want)
		}
		if len(want) == 0 && now.root != nil {
			t.Fatal("an empty Tree holds on to nodes")
		}
	})
}

func checkTree(t *rapid.T, got Tree, want map[string]string) {
	if got.size != len(want) {
		t.Fatalf("size %d, want %d", got.size, len(want))
	}
	all := map[string]string{}
	for e := range got.All() {
		all[e.Key] = e.ID
	}
	if !maps.Equal(all, want) {
		t.Fatalf("all yields %v, want %v", all, want)
	}
	for i := range 201 {
		key := fmt.Sprint(i)
		e, there := got.Lookup(key)
		if id, expected := want[key]; there != expected || e.ID != id {
			t.Fatalf("lookup(%q) = %v, %v; want %q, %v", key, e, there, id, expected)
		}
	}
}

func TestTreeLoopCanBeLeft(t *testing.T) {
	var full Tree
	for i := range 1000 {
		full = full.with(Entry{Key: fmt.Sprint(i)})
	}
	seen := 0
	for range full.All() {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Fatalf("the loop went on to %d", seen)
	}
}

// TestTreeHoldsEqualHashes puts more tenants under one hash than a leaf holds, as nothing but luck prevents.
func TestTreeHoldsEqualHashes(t *testing.T) {
	var n *node
	for i := range 3 * leafLength {
		n = sameHash(n, Entry{Key: fmt.Sprint(i)}, 0)
	}
	seen := 0
	n.walk(func(Entry) bool { seen++; return true })
	if seen != 3*leafLength {
		t.Fatalf("%d of %d entries are left", seen, 3*leafLength)
	}
}

// sameHash adds at the depth where the hash is used up.
func sameHash(n *node, e Entry, hash uint64) *node { return n.with(e, hash, treeDepth) }
