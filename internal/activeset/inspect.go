package activeset

import (
	"cmp"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Sizes are how much a core holds of what is bounded.
type Sizes struct {
	Marks        int // tenants of which something is remembered that no list has covered
	Beyond       int // revisions beyond a hole, of the list's epoch
	MostBeyond   int // the most of one epoch
	IDs          int // events that are known again
	Worlds       int // epochs of which it is known what was heard
	UnknownTypes int // event types that are not logged again
}

// MostSizes are the bounds of [Sizes]. Of Marks there may be twice as many as tenants in the set besides.
func MostSizes() Sizes {
	return Sizes{
		Marks: memorySlack, Beyond: memorySlack, MostBeyond: memorySlack, IDs: idsRemembered, Worlds: worldsRemembered + 2,
		UnknownTypes: unknownTypesKept,
	}
}

// Sizes returns how much the core holds.
func (c *Core) Sizes() Sizes {
	m := &c.memory
	s := Sizes{Marks: m.marked(), Beyond: len(m.world(m.epoch).ahead), IDs: len(m.ids.known), Worlds: len(m.worlds), UnknownTypes: len(c.alarms.unknownTypes)}
	for _, w := range m.worlds {
		s.MostBeyond = max(s.MostBeyond, len(w.ahead))
	}
	return s
}

// Held reports whether the removals of the last snapshot are held.
func (c *Core) Held() bool { return c.held }

// NextLook is when what is missing by then is a gap; zero when nothing is.
func (c *Core) NextLook() time.Time { return c.nextLook }

// Case is by what the memory tells the event from others, packed into 31 bits: two of one case go the same way through it.
func (c *Core) Case(evt tenant.Event) (sum uint64) {
	m, v := &c.memory, new(verdict)
	v.read(&evt, c.cfg.Service, c.cfg.Environment)
	w := m.world(v.epoch())
	known := w.marks[v.key]
	there := c.set.Has(v.key)
	dated := m.dated(v)
	for _, value := range []int{
		int(v.effect) >> 1, int(v.effect)<<1 | packed(v.versioned()), int(v.outcome),
		compareSaid(v.revision(), known.said), compareSaid(v.revision(), known.asked),
		packed(v.revision() <= w.prefix, v.revision() == w.prefix+1), packed(m.epoch != "", m.isForeign(v)),
		packed(there, known.active), packed(c.gaps == c.closed, c.phase == phaseStarted),
		packed(!dated.IsZero(), v.at.Before(dated)), packed(w.lost, len(w.ahead) > 0),
		packed(m.marked() > len(w.marks), m.left != nil),
	} {
		sum = sum<<2 | uint64(value&3)
	}
	return sum & (1<<31 - 1)
}

func packed(yes ...bool) (n int) {
	for _, bit := range yes {
		n <<= 1
		if bit {
			n |= 1
		}
	}
	return n
}

// compareSaid is 0 when nothing was said, 1 when an event of the revision is older, 2 when it is the same, 3 when it is newer.
func compareSaid(revision uint64, said word) int {
	if said.tick == 0 {
		return 0
	}
	return 2 + cmp.Compare(revision, said.revision)
}
