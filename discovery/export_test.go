package discovery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
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
	sizes := d.core.Sizes()
	return sizes.Marks, sizes.Beyond
}

// Core is the core of a discovery that has no goroutines, clock and I/O: the simulation plays those. It is subscribed and
// bootstrapped by Apply and Answer.
type Core struct {
	*TenantDiscovery

	asked         activeset.Set // what readers saw when the request began
	worn, rebuilt activeset.Set // what is being rebuilt, and what comes of it
	building      bool
	digests       activeset.Digests
}

// NewCore begins one. Its dice always give half of what they could.
func NewCore(cfg Config, many, slack int) *Core {
	cfg.TMClient, cfg.Feed, cfg.Logger = &nobody{}, &nobody{}, slog.New(slog.DiscardHandler)
	d, err := NewTenantDiscovery(cfg)
	if err != nil {
		panic(err)
	}
	d.dice = func(most time.Duration) time.Duration { return most / 2 }
	d.Bound(many, slack)
	d.OnTenantAdded(func(context.Context, string) {}) // else nothing is kept for callbacks
	d.core.Begin()
	return &Core{TenantDiscovery: d}
}

// Bound sets, for a discovery that is not started yet, how many changes of one list are told together, and how many tenants may have changed
// before the set is rebuilt. Zero leaves what there is.
func (d *TenantDiscovery) Bound(many, slack int) {
	if many > 0 {
		d.many = many
	}
	if slack > 0 {
		d.slack = slack
	}
	d.core = activeset.New(d.deciding())
}

// Apply takes in what the feed delivers at once.
func (c *Core) Apply(now time.Time, batch ...tenant.Signal) {
	judged := make([]activeset.Judged, len(batch))
	for i := range batch {
		entered(&batch[i])
		judged[i] = c.judge(&batch[i])
	}
	c.core.Apply(now, judged)
	c.next(now)
}

// Handle takes in an event that did not come by the feed, as HandleEvent does, and waits for nothing.
func (c *Core) Handle(now time.Time, evt tenant.Event) error {
	judged := c.judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
	err := c.usable()
	if err == nil {
		c.core.Handle(now, judged)
	}
	c.next(now)
	return err
}

// Ask begins a request.
func (c *Core) Ask(now time.Time) activeset.Request {
	req := c.core.Ask(now)
	c.next(now)
	c.asked = c.set()
	return req
}

// Answer ends it. Before the first that succeeds the core is starting.
func (c *Core) Answer(now time.Time, req activeset.Request, list []tenant.Summary, with tenant.Snapshot, err error) {
	ans := activeset.Answer{Snapshot: with, Err: err}
	if c.cfg.Names {
		ans.Rows.KeepNames()
	}
	for _, row := range list {
		ans.Rows.Add(tenant.RowOf(row))
	}
	_ = c.take(now, req, c.checked(ans)) // the status has it
}

// AnswerChanges ends it by the events since its Since, and what they lead to. It returns false when the list is to be asked for.
func (c *Core) AnswerChanges(now time.Time, req activeset.Request, events []tenant.Event, to tenant.Changes) bool {
	changes := req.Changes()
	for _, evt := range events {
		changes.Add(c.judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: evt}))
	}
	changes.End(to)
	ans := c.checked(activeset.Answer{Snapshot: tenant.Snapshot{Environment: to.Environment}, Changes: changes})
	return !errors.Is(c.take(now, req, ans), activeset.ErrAskWhole)
}

// Refuse ends it without changes, for the reason.
func (c *Core) Refuse(now time.Time, req activeset.Request, reason activeset.Refusal) {
	_ = c.take(now, req, activeset.Answer{Refused: reason})
}

// take prepares the answer with the set of when the request began, which may have changed since, as a discovery's does.
func (c *Core) take(now time.Time, req activeset.Request, ans activeset.Answer) error {
	c.deciding().Prepare(&ans, c.asked, &c.digests)
	err := c.core.Answer(now, req, ans)
	c.next(now)
	return err
}

// Held reports whether the removals of the last snapshot are held.
func (c *Core) Held() bool { return c.core.Held() }

// Due is when the next request is to begin.
func (c *Core) Due() time.Time { return c.due }

// Case is what the memory tells the event from others by.
func (c *Core) Case(evt tenant.Event) uint64 { return c.core.Case(evt) }

// Want asks for a request at once, as Refresh does, and waits for nothing.
func (c *Core) Want(now time.Time) {
	c.core.Want()
	c.next(now)
}

// Sizes are how much the core holds of what is bounded.
func (c *Core) Sizes() activeset.Sizes { return c.core.Sizes() }

// NextLook is when what is missing by then is a gap; zero when nothing is.
func (c *Core) NextLook() time.Time { return c.core.NextLook() }

// Look lets the core look whether something is due.
func (c *Core) Look(now time.Time) { c.next(now) }

// Stop closes the core.
func (c *Core) Stop(now time.Time) {
	c.core.Close()
	c.next(now)
}

// next does what update does, without a lock, a clock and bells.
func (c *Core) next(now time.Time) {
	next := c.core.Next(now)
	if c.building {
		c.core.Rebuild(c.worn, c.rebuilt)
		c.building = false
		next.Set = c.core.Set()
	} else if next.Rebuild {
		c.worn, c.rebuilt, c.building = next.Set, next.Set.Rebuilt(), true
	}
	c.publish(next)
	c.deliver(next, false)
	for _, box := range c.withMail(next) {
		box.trim()
	}
	c.due, c.turn = next.Due, next.Turn
}

// Mail is a mailbox.
type Mail struct{ box *mailbox }

// Watch returns a new mailbox, with the set in it.
func (c *Core) Watch() Mail { return Mail{c.watch()} }

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
func SizeOf(sig tenant.Signal) int { return sizeOf(&sig) }
