package activeset

import (
	"hash/maphash"
	"iter"
	"slices"
)

const (
	treeBits   = 4             // bits of the hash that one level of the tree uses
	treeFanout = 1 << treeBits // children of a branch
	treeDepth  = 64 / treeBits // levels until the hash is used up
	leafLength = 8             // tenants of a leaf before it is split
)

var treeSeed = maphash.MakeSeed()

// Entry is one tenant of the set.
type Entry struct {
	Key string // canonical id
	ID  string // the spelling that is handed out
}

// Tree is a persistent map from canonical ids to entries: with and without return a new tree that shares all but one
// path with the old one, which stays as it is. So a reader keeps a consistent view for nothing, and a change costs the
// same in a set of a hundred tenants and in one of a million. The zero Tree is empty.
type Tree struct {
	root *node
	size int
}

// Len is the number of tenants.
func (t Tree) Len() int { return t.size }

// node is a branch when kids is set, and a leaf otherwise.
type node struct {
	kids *[treeFanout]*node
	leaf []Entry
}

// Lookup returns the tenant of the canonical id, and whether it is in the set.
func (t Tree) Lookup(key string) (Entry, bool) {
	n, hash := t.root, maphash.String(treeSeed, key)
	for n != nil && n.kids != nil {
		n, hash = n.kids[hash%treeFanout], hash>>treeBits
	}
	if n == nil {
		return Entry{}, false
	}
	for i := range n.leaf {
		if n.leaf[i].Key == key {
			return n.leaf[i], true
		}
	}
	return Entry{}, false
}

// with returns the tree with e, which must not be in it.
func (t Tree) with(e Entry) Tree {
	return Tree{root: t.root.with(e, maphash.String(treeSeed, e.Key), 0), size: t.size + 1}
}

// without returns the tree without key, which must be in it.
func (t Tree) without(key string) Tree {
	return Tree{root: t.root.without(key, maphash.String(treeSeed, key)), size: t.size - 1}
}

// All yields every entry, in no particular order.
func (t Tree) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) { t.root.walk(yield) }
}

func (n *node) with(e Entry, hash uint64, depth int) *node {
	switch {
	case n == nil:
		return &node{leaf: []Entry{e}}
	case n.kids != nil:
		kids := *n.kids
		kid := &kids[hash%treeFanout]
		*kid = (*kid).with(e, hash>>treeBits, depth+1)
		return &node{kids: &kids}
	case len(n.leaf) < leafLength || depth == treeDepth:
		return &node{leaf: append(slices.Clip(n.leaf), e)}
	}
	branch := &node{kids: new([treeFanout]*node)}
	for _, old := range n.leaf {
		branch = branch.with(old, maphash.String(treeSeed, old.Key)>>(depth*treeBits), depth)
	}
	return branch.with(e, hash, depth)
}

func (n *node) without(key string, hash uint64) *node {
	if n.kids == nil {
		if len(n.leaf) == 1 {
			return nil
		}
		return &node{leaf: slices.DeleteFunc(slices.Clone(n.leaf), func(e Entry) bool { return e.Key == key })}
	}
	kids := *n.kids
	kid := &kids[hash%treeFanout]
	*kid = (*kid).without(key, hash>>treeBits)
	if kids == [treeFanout]*node{} {
		return nil
	}
	return &node{kids: &kids}
}

func (n *node) walk(yield func(Entry) bool) bool {
	if n == nil {
		return true
	}
	for _, e := range n.leaf {
		if !yield(e) {
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
