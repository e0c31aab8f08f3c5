package discovery

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Load makes the dice of the discovery, which is not started yet, fall alike for a seed.
func (d *TenantDiscovery) Load(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // to be repeated
	var mu sync.Mutex
	d.dice = func(most time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(random.Int64N(int64(most)))
	}
}

// Remembered returns how many tenants the memory has marks of, and how many revisions are beyond a hole.
func (d *TenantDiscovery) Remembered() (marks, ahead int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.core.memory.marked(), len(d.core.memory.world(d.core.memory.epoch).ahead)
}

// Core is what a discovery decides by, without its goroutines, clock and I/O: the simulation plays those. It is
// subscribed and bootstrapped by Apply and Answer.
type Core struct {
	*TenantDiscovery

	run *run
}

// Request is a question for the snapshot that has begun.
type Request struct{ request }

// Have is the version that the request asks with.
func (r Request) Have() tenant.Version { return r.have }

// NewCore begins one. Its dice always give half of what they could.
func NewCore(cfg Config) *Core {
	cfg.TMClient, cfg.Feed, cfg.Logger = &nobody{}, &nobody{}, slog.New(slog.DiscardHandler)
	d, err := NewTenantDiscovery(cfg)
	if err != nil {
		panic(err)
	}
	d.dice = func(most time.Duration) time.Duration { return most / 2 }
	c := &Core{TenantDiscovery: d, run: newRun(func() {}, func() error { return nil })}
	if err := d.begin(c.run); err != nil {
		panic(err)
	}
	return c
}

// Apply takes in what the feed delivers at once.
func (c *Core) Apply(now time.Time, batch ...tenant.Signal) {
	for i := range batch {
		batch[i] = entered(batch[i])
	}
	verdicts := c.judgeAll(batch)
	c.at(now, func() { c.applyJudged(now, batch, verdicts, c.run) })
}

// Handle takes in an event that did not come by the feed, as HandleEvent does, and waits for nothing.
func (c *Core) Handle(now time.Time, evt tenant.Event) (err error) {
	v := judge(evt, c.cfg.ServiceName, c.cfg.Environment)
	c.at(now, func() { err = c.handle(now, v, &waiter{}) })
	return err
}

// Ask begins a request.
func (c *Core) Ask(now time.Time) (req Request) {
	c.at(now, func() { req.request = c.core.request(now) })
	return req
}

// Answer ends it. Before the first that succeeds the core is starting.
func (c *Core) Answer(now time.Time, req Request, list []tenant.Summary, v tenant.Version, unchanged bool, err error) {
	ans := answer{version: v, unchanged: unchanged, err: enter(err)}
	for _, row := range list {
		ans.rows.add(row)
	}
	if ans = c.checked(ans); ans.err != nil {
		err = ans.err
	}
	c.at(now, func() {
		switch {
		case c.core.phase == phaseStarted:
			_ = c.finish(now, req.request, ans)
		case err == nil:
			c.started(now, nil, req.request, ans)
		}
	})
}

// Held reports whether the removals of the last snapshot are held.
func (c *Core) Held() bool { return c.core.held }

// Due is when the next request is to begin.
func (c *Core) Due() time.Time { return c.core.plan.due() }

// Case is by what the memory tells the event from others, packed into 31 bits: two of one case go the same way through it.
func (c *Core) Case(evt tenant.Event) (packed uint64) {
	m, v := &c.core.memory, judge(evt, c.cfg.ServiceName, c.cfg.Environment)
	w := m.world(v.epoch())
	known := w.marks[v.key]
	_, there := c.core.set.lookup(v.key)
	dated := m.dated(v)
	put := func(values ...int) {
		for _, value := range values {
			packed = packed<<2 | uint64(value&3)
		}
	}
	is := func(yes ...bool) (bits int) {
		for _, bit := range yes {
			bits <<= 1
			if bit {
				bits |= 1
			}
		}
		return bits
	}
	put(int(v.effect)>>1, int(v.effect)<<1|is(v.versioned()), int(v.outcome))
	put(compareSaid(v.revision(), known.said), compareSaid(v.revision(), known.asked))
	put(is(v.revision() <= w.prefix, v.revision() == w.prefix+1), is(m.epoch != "", m.isForeign(v)))
	put(is(there, known.active), is(c.core.gaps == c.core.closed, c.core.phase == phaseStarted))
	put(is(!dated.IsZero(), v.at.Before(dated)), is(w.lost, len(w.ahead) > 0))
	put(is(m.marked() > len(w.marks), m.left != nil))
	return packed & (1<<31 - 1)
}

// compareSaid is 0 when nothing was said, 1 when an event of the revision is older, 2 when it is the same, 3 when it is newer.
func compareSaid(revision uint64, said word) int {
	if said.tick == 0 {
		return 0
	}
	return 2 + cmp.Compare(revision, said.revision)
}

// Want asks for a request at once, as Refresh does, and waits for nothing.
func (c *Core) Want(now time.Time) { c.at(now, func() { c.core.plan.refresh = true }) }

// Sizes are how much the memory holds of what is bounded: tenants, revisions of one epoch, events, and epochs.
func (c *Core) Sizes() (marks, ahead, ids, worlds int) {
	m := &c.core.memory
	for _, w := range m.worlds {
		ahead = max(ahead, len(w.ahead))
	}
	return m.marked(), ahead, len(m.ids.known), len(m.worlds)
}

// The bounds of [Core.Sizes], but for the tenants, of which there may be twice as many as in the set besides.
const (
	MostMarks  = memorySlack
	MostAhead  = memorySlack
	MostIDs    = idsRemembered
	MostWorlds = worldsRemembered + 2
)

// NextLook is when what is missing by then is a gap; zero when nothing is.
func (c *Core) NextLook() time.Time { return c.core.nextLook }

// Look lets the core look whether something is due.
func (c *Core) Look(now time.Time) { c.at(now, func() {}) }

// Stop closes the core.
func (c *Core) Stop(now time.Time) {
	c.at(now, func() { c.core.phase, c.core.feedUp = phaseClosed, false })
}

func (c *Core) at(now time.Time, change func()) {
	c.updateAt(func() time.Time { return now }, func(time.Time) { change() })
}

// Mail is a mailbox.
type Mail struct{ box *mailbox }

// Watch returns a new mailbox, with the set in it.
func (c *Core) Watch(now time.Time) Mail {
	mail := Mail{newMailbox()}
	c.at(now, func() { c.core.handOver(mail.box) })
	return mail
}

// Callbacks returns the mailbox of the callbacks.
func (c *Core) Callbacks() Mail { return Mail{c.box} }

// Take returns the changes of the oldest item, false if there is none.
func (m Mail) Take() ([]tenant.Change, bool) {
	it := m.box.take()
	if it == nil {
		return nil, false
	}
	it.done()
	return slices.Clone(it.changes), true
}

// SizeOf is about what a signal takes in the inbox.
func SizeOf(sig tenant.Signal) int { return sizeOf(sig) }
