package activeset

import (
	"math/bits"
	"slices"
)

// idsPerChunk is how many ids share one text. Whoever keeps one of them keeps all of these, 36 KiB of UUIDs, and not those of
// a million tenants.
const idsPerChunk = 1024

// base is an immutable set of tenants, each with a place. It takes about 57 bytes for a tenant whose id is a UUID: 36 of its text,
// 16 of the string, and a slot of the table. A nil base is empty.
type base struct {
	ids []string // by place
	// chunks are the texts of idsPerChunk ids each, with nothing in between. Where all ids are stride bytes long one is found in them by
	// its place, which spares the look at its string. stride is zero where they are not.
	chunks []string
	stride int
	// slots is an open-addressed table. A slot is zero, or place+1 in the bits of mask and some bits of the hash in the others.
	slots []uint32
	mask  uint32
	runs  []run // by place
}

// run says of which list the tenants came from a place on, up to the next run.
type run struct {
	from   int
	origin *origin
}

func (b *base) len() int {
	if b == nil {
		return 0
	}
	return len(b.ids)
}

// find returns the place of the tenant, or -1.
func (b *base) find(q *ident) int {
	if b == nil || len(b.slots) == 0 {
		return -1
	}
	slots, mask, tag := b.slots, b.mask, uint32(q.hash)&^b.mask //nolint:gosec // the low bits are meant
	for at := b.home(q.hash); ; at++ {
		if at == len(slots) {
			at = 0
		}
		slot := slots[at]
		if slot == 0 {
			return -1
		}
		if slot&^mask == tag {
			if place := int(slot&mask) - 1; q.is(b.id(place)) {
				return place
			}
		}
	}
}

// home is the slot at which the search for the hash begins.
func (b *base) home(hash uint64) int {
	at, _ := bits.Mul64(hash, uint64(len(b.slots)))
	return int(at) //nolint:gosec // less than the number of slots
}

// id is ids[place], by way of the text where that is quicker.
func (b *base) id(place int) string {
	if b.stride == 0 {
		return b.ids[place]
	}
	at := place % idsPerChunk * b.stride
	return b.chunks[place/idsPerChunk][at : at+b.stride]
}

// origin is that of the tenant at the place.
func (b *base) origin(place int) *origin {
	after, _ := slices.BinarySearchFunc(b.runs, place+1, func(r run, to int) int { return r.from - to })
	if after == 0 {
		return nil
	}
	return b.runs[after-1].origin
}

// from is the same base, all of whose tenants came by the origin.
func (b *base) from(o *origin) *base {
	if b == nil {
		return nil
	}
	all := *b
	all.runs = []run{{origin: o}}
	return &all
}

// builder makes a base. The zero builder has nothing in it.
type builder struct {
	text   []byte   // of the chunk that is being filled
	ends   []uint32 // of the ids in it
	chunks []chunk
	runs   []run
	n      int
}

// chunk is one that is full, or the last one.
type chunk struct {
	text   string
	n      int
	stride int      // of all its ids; zero where they differ
	ends   []uint32 // nil where they do not
}

// add takes an id, whose bytes it copies.
func (b *builder) add(id []byte) {
	b.text = append(b.text, id...)
	b.added()
}

// addFrom takes an id that came by the origin.
func (b *builder) addFrom(id string, o *origin) {
	if len(b.runs) == 0 || b.runs[len(b.runs)-1].origin != o {
		b.runs = append(b.runs, run{from: b.n, origin: o})
	}
	b.text = append(b.text, id...)
	b.added()
}

func (b *builder) added() {
	b.n++
	b.ends = append(b.ends, uint32(len(b.text))) //nolint:gosec // 1,024 ids of 256 bytes are far below
	if len(b.ends) == idsPerChunk {
		b.seal()
	}
}

// seal ends the chunk. The buffers are used again.
func (b *builder) seal() {
	if len(b.ends) == 0 {
		return
	}
	c := chunk{text: string(b.text), n: len(b.ends), stride: int(b.ends[0])}
	for i, end := range b.ends {
		if int(end) != (i+1)*c.stride {
			c.stride, c.ends = 0, slices.Clone(b.ends)
			break
		}
	}
	b.chunks = append(b.chunks, c)
	b.text, b.ends = b.text[:0], b.ends[:0]
}

// finish returns the base, and how many ids were in it already when they came. Those are left out. The builder is empty then.
func (b *builder) finish() (made *base, twice int) {
	b.seal()
	if b.n == 0 {
		return nil, 0
	}
	made = &base{ids: make([]string, 0, b.n), chunks: make([]string, 0, len(b.chunks)), stride: b.chunks[0].stride, runs: b.runs}
	for _, c := range b.chunks {
		made.ids = c.cut(made.ids)
		made.chunks = append(made.chunks, c.text)
		if c.stride != made.stride {
			made.stride = 0
		}
	}
	*b = builder{}
	if made.stride == 0 {
		made.chunks = nil
	}
	if again := made.index(); len(again) > 0 {
		return made.omitting(again), len(again)
	}
	return made, 0
}

// cut appends the ids of the chunk.
func (c *chunk) cut(ids []string) []string {
	at := 0
	for i := range c.n {
		end := at + c.stride
		if c.ends != nil {
			end = int(c.ends[i])
		}
		ids = append(ids, c.text[at:end])
		at = end
	}
	return ids
}

// index fills the table. It returns the places of the ids that are in it already, in their order.
func (b *base) index() (again []int) {
	b.slots = make([]uint32, len(b.ids)+len(b.ids)/3+4)
	b.mask = 1<<bits.Len(uint(len(b.ids))) - 1
	for place := range b.ids {
		q := identOf(b.id(place))
		if !b.put(&q, place) {
			again = append(again, place)
		}
	}
	return again
}

// put gives the place a slot, unless the tenant has one.
func (b *base) put(q *ident, place int) bool {
	tag := uint32(q.hash) &^ b.mask //nolint:gosec // the low bits are meant
	at := b.home(q.hash)
	for b.slots[at] != 0 {
		if slot := b.slots[at]; slot&^b.mask == tag && q.is(b.id(int(slot&b.mask)-1)) {
			return false
		}
		if at++; at == len(b.slots) {
			at = 0
		}
	}
	b.slots[at] = tag | uint32(place+1) //nolint:gosec // a base of four billion tenants does not fit into memory
	return true
}

// omitting is the base without the places, which are in order.
func (b *base) omitting(places []int) *base {
	var rest builder
	for place, id := range b.ids {
		if len(places) > 0 && places[0] == place {
			places = places[1:]
			continue
		}
		rest.addFrom(id, b.origin(place))
	}
	made, _ := rest.finish()
	return made
}

// all returns the ids by place. They are not to be changed.
func (b *base) all() []string {
	if b == nil {
		return nil
	}
	return b.ids
}
