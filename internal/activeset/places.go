package activeset

import (
	"math/bits"
	"slices"
)

const (
	wordPlaces  = 64
	blockWords  = 64
	blockPlaces = blockWords * wordPlaces
)

// places is a persistent set of places of a base: with returns a new one, which shares all but one block with the old one. A nil places
// is empty.
type places struct {
	blocks []*block // nil where none of them is in the set
	by     *draft   // see node
}

// block are blockPlaces places, a bit for each.
type block struct {
	words [blockWords]uint64
	by    *draft
}

func (p *places) has(place int) bool {
	b := p.block(place / blockPlaces)
	return b != nil && b[place/wordPlaces%blockWords]>>(place%wordPlaces)&1 == 1
}

// block returns the bits of the n-th, nil where there is nothing in it.
func (p *places) block(n int) *[blockWords]uint64 {
	if p == nil || n >= len(p.blocks) || p.blocks[n] == nil {
		return nil
	}
	return &p.blocks[n].words
}

func (p *places) with(place int, by *draft) *places {
	n := place / blockPlaces
	next := p
	if p == nil || by == nil || p.by != by {
		next = &places{by: by}
		if p != nil {
			next.blocks = slices.Clone(p.blocks)
		}
	}
	if missing := n + 1 - len(next.blocks); missing > 0 {
		next.blocks = append(next.blocks, make([]*block, missing)...)
	}
	b := next.blocks[n]
	if b == nil || by == nil || b.by != by {
		b = &block{by: by}
		if old := next.blocks[n]; old != nil {
			b.words = old.words
		}
		next.blocks[n] = b
	}
	b.words[place/wordPlaces%blockWords] |= 1 << (place % wordPlaces)
	return next
}

// len is how many they are.
func (p *places) len() (n int) {
	if p == nil {
		return 0
	}
	for _, block := range p.blocks {
		if block == nil {
			continue
		}
		for _, word := range &block.words {
			n += bits.OnesCount64(word)
		}
	}
	return n
}

// differing yields the places that are in one of the two and not in the other.
func (p *places) differing(other *places, yield func(place int)) {
	if p == other {
		return
	}
	blocks := 0
	for _, q := range []*places{p, other} {
		if q != nil {
			blocks = max(blocks, len(q.blocks))
		}
	}
	var none [blockWords]uint64
	for n := range blocks {
		a, b := p.block(n), other.block(n)
		if a == b {
			continue
		}
		if a == nil {
			a = &none
		}
		if b == nil {
			b = &none
		}
		for i := range a {
			for diff := a[i] ^ b[i]; diff != 0; diff &= diff - 1 {
				yield(n*blockPlaces + i*wordPlaces + bits.TrailingZeros64(diff))
			}
		}
	}
}
