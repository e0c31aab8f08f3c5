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
	blocks []*[blockWords]uint64 // nil where none of them is in the set
}

func (p *places) has(place int) bool {
	b := p.block(place / blockPlaces)
	return b != nil && b[place/wordPlaces%blockWords]>>(place%wordPlaces)&1 == 1
}

// block returns the n-th, nil where there is nothing in it.
func (p *places) block(n int) *[blockWords]uint64 {
	if p == nil || n >= len(p.blocks) {
		return nil
	}
	return p.blocks[n]
}

func (p *places) with(place int) *places {
	n := place / blockPlaces
	var next places
	if p != nil {
		next.blocks = slices.Clone(p.blocks)
	}
	next.blocks = append(next.blocks, make([]*[blockWords]uint64, max(0, n+1-len(next.blocks)))...)
	var block [blockWords]uint64
	if old := next.blocks[n]; old != nil {
		block = *old
	}
	block[place/wordPlaces%blockWords] |= 1 << (place % wordPlaces)
	next.blocks[n] = &block
	return &next
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
		for _, word := range block {
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
