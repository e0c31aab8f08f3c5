package discovery

import (
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
