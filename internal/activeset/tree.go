package activeset

import "slices"

const (
	treeBits   = 4             // bits of the hash that one level of the tree uses
	treeFanout = 1 << treeBits // children of a branch
	treeDepth  = 64 / treeBits // levels until the hash is used up
	leafLength = 8             // tenants of a leaf before it is split
)

// entry is one tenant of a tree.
type entry struct {
	hash   uint64
	id     string  // the spelling that is handed out
	origin *origin // of which list it came; nil where it came by itself
}

// node is a persistent tree of tenants: with and without return a new one that shares all but one path with the old one, which stays
// as it is. It is a branch when kids is set, and a leaf otherwise. A nil node is empty.
type node struct {
	kids *[treeFanout]*node
	leaf []entry
	by   *draft // nodes of a draft that nobody else has seen are changed in place
}

// draft is what makes nodes and blocks known again that were made for a set which nobody has been given yet. A nil draft has none.
type draft struct{ _ byte }

// isOf reports whether the node may be changed in place.
func (n *node) isOf(by *draft) bool { return by != nil && n.by == by }

// find returns the tenant, nil when it is not in the tree.
func (n *node) find(q *ident) *entry {
	for hash := q.hash; n != nil; hash >>= treeBits {
		if n.kids != nil {
			n = n.kids[hash%treeFanout]
			continue
		}
		for i := range n.leaf {
			if e := &n.leaf[i]; e.hash == q.hash && q.is(e.id) {
				return e
			}
		}
		return nil
	}
	return nil
}

// with returns the tree with e, which must not be in it.
func (n *node) with(e entry, by *draft) *node { return n.withAt(e, 0, by) }

func (n *node) withAt(e entry, depth int, by *draft) *node {
	switch {
	case n == nil:
		leaf := newLeaf(nil, by)
		leaf.leaf = append(leaf.leaf, e)
		return leaf
	case n.kids != nil:
		branch := n.branch(by)
		kid := &branch.kids[e.digit(depth)]
		*kid = (*kid).withAt(e, depth+1, by)
		return branch
	case len(n.leaf) < leafLength || depth == treeDepth:
		if n.isOf(by) {
			n.leaf = append(n.leaf, e)
			return n
		}
		leaf := newLeaf(n.leaf, by)
		leaf.leaf = append(leaf.leaf, e)
		return leaf
	}
	branch := newBranch([treeFanout]*node{}, by)
	for _, old := range n.leaf {
		kid := &branch.kids[old.digit(depth)]
		*kid = (*kid).withAt(old, depth+1, by)
	}
	return branch.withAt(e, depth, by)
}

// branch is the node itself where it may be changed in place, and a copy of it otherwise.
func (n *node) branch(by *draft) *node {
	if n.isOf(by) {
		return n
	}
	return newBranch(*n.kids, by)
}

// newLeaf allocates the node and room for its tenants as one.
func newLeaf(tenants []entry, by *draft) *node {
	both := &struct {
		node

		array [leafLength]entry
	}{}
	both.node = node{leaf: append(both.array[:0], tenants...), by: by}
	return &both.node
}

// newBranch allocates the node and its kids as one.
func newBranch(kids [treeFanout]*node, by *draft) *node {
	both := &struct {
		node

		array [treeFanout]*node
	}{array: kids}
	both.node = node{kids: &both.array, by: by}
	return &both.node
}

// digit is the part of the hash that the level uses.
func (e *entry) digit(depth int) uint64 { return e.hash >> (depth * treeBits) % treeFanout }

// without returns the tree without the tenant, which must be in it.
func (n *node) without(q *ident, by *draft) *node { return n.withoutAt(q, q.hash, by) }

func (n *node) withoutAt(q *ident, hash uint64, by *draft) *node {
	if n.kids == nil {
		return n.leafWithout(q, by)
	}
	branch := n.branch(by)
	kid := &branch.kids[hash%treeFanout]
	*kid = (*kid).withoutAt(q, hash>>treeBits, by)
	if *branch.kids == [treeFanout]*node{} {
		return nil
	}
	return branch
}

func (n *node) leafWithout(q *ident, by *draft) *node {
	if len(n.leaf) == 1 {
		return nil
	}
	gone := func(e entry) bool { return e.hash == q.hash && q.is(e.id) }
	if n.isOf(by) {
		n.leaf = slices.DeleteFunc(n.leaf, gone)
		return n
	}
	leaf := newLeaf(n.leaf, by)
	leaf.leaf = slices.DeleteFunc(leaf.leaf, gone)
	return leaf
}

// walk yields every entry, in no particular order, until yield returns false, and returns what it returned last.
func (n *node) walk(yield func(*entry) bool) bool {
	if n == nil {
		return true
	}
	for i := range n.leaf {
		if !yield(&n.leaf[i]) {
			return false
		}
	}
	if n.kids == nil {
		return true
	}
	for _, kid := range n.kids {
		if !kid.walk(yield) {
			return false
		}
	}
	return true
}

// differing yields the tenants of the two trees in which they may differ: those that are in both may be among them.
func differing(a, b *node, yield func(id string)) {
	if a == b {
		return
	}
	if a != nil && b != nil && a.kids != nil && b.kids != nil {
		for i := range a.kids {
			differing(a.kids[i], b.kids[i], yield)
		}
		return
	}
	every := func(e *entry) bool { yield(e.id); return true }
	a.walk(every)
	b.walk(every)
}
