package discovery

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

type phase uint8

const (
	phaseIdle phase = iota
	phaseStarting
	phaseStarted
	phaseClosed
)

// core is all that changes. One lock guards it, held for the time of a few copies, and for a whole
// list for some tenths of a second at 200,000 tenants; whoever changes it does so through
// [TenantDiscovery.update], which publishes, tells and logs what came of it.
type core struct {
	phase    phase
	run      *run
	set      tree
	history  history
	watchers map[*mailbox]struct{} // of Changes; the one of the callbacks is always told

	feedUp  bool
	feedErr error
	// gaps counts the times that something may have been missed; closed is the newest of them that a snapshot, asked
	// for after it, has made good. closed < gaps means that one is open.
	gaps, closed uint64
	lastGap      string
	// losses counts the times that events were missed for a reason that is known, and covered is the newest of them that a
	// snapshot has made good: what it showed needs no other reason.
	losses, covered uint64
	hearing         hearing
	unheard         *unheardError // the subscription is up, and nothing has come by it in time
	differences     differences
	environment     string // of the last list; empty where it named none
	held            bool   // the last snapshot's removals are held, the next one is applied as it is

	memory       memory    // tells old events and snapshots from new
	nextLook     time.Time // when what is missing by then is a gap; zero when nothing is
	doubts       []doubt
	plan         schedule
	waiting      []chan error   // those who wait for a Refresh that has not begun
	have         tenant.Version // of the set, while it is exactly that of the last snapshot
	snapshotErr  error
	fromFile     bool // the set is that of the snapshot file, and no snapshot has come since
	failingSince time.Time
	refused      int       // snapshots in a row that were older than what had been heard of
	refusedSince time.Time // when the first of them came

	status Status           // the counters and times in it; settle fills in the rest
	warned [Closed + 1]bool // of which states, since it was Live
	alarms alarms

	news  []delivery // for the mailboxes, once the set is published
	mail  bool       // the mailboxes have got something since the last update
	notes []note     // to be logged once the lock is released
}

// alarms keep what arrives in floods from flooding the log.
type alarms struct {
	lastBad      time.Time
	lost         string // the kind of reason for which the feed was lost last
	skipped      uint64 // rows of the last list
	unknownTypes map[tenant.EventType]bool
	environment  string
	twoHeard     bool
}

// delivery is a change on its way to the mailboxes.
type delivery struct {
	key    string
	change tenant.Change
	wait   *waiter // nil if nobody waits
}

// waiter is one who waits until the callbacks have dealt with a change; told is closed then, and nil without a change.
type waiter struct{ told <-chan struct{} }

// note is a line for the log, kept until the lock is released.
type note struct {
	level slog.Level
	msg   string
	attrs []slog.Attr
}

// begin forgets what an earlier Start that failed has left.
func (c *core) begin(r *run) {
	*c = core{phase: phaseStarting, run: r, watchers: c.watchers, status: Status{Since: c.status.Since}}
}

// update lets change work on the core and then publishes the set and the status, wakes whoever has mail, and logs. The
// set and the mailboxes change in one critical section; nothing that could wait happens in it.
func (d *TenantDiscovery) update(change func(now time.Time)) { d.updateAt(time.Now, change) }

func (d *TenantDiscovery) updateAt(clock func() time.Time, change func(now time.Time)) {
	d.mu.Lock()
	now := clock()
	due, turn, saved, look := d.core.plan.due(), d.core.turn(now, d.cfg.PollInterval), d.core.savedState(), d.core.nextLook
	change(now)
	d.look(now)
	d.settle(now)
	boxes, notes, r := d.withMail(), d.core.notes, d.core.run
	d.core.mail, d.core.notes = false, nil
	kick := r != nil && !(d.core.plan.due().Equal(due) && d.core.turn(now, d.cfg.PollInterval).Equal(turn))
	looks := r != nil && !d.core.nextLook.Equal(look)
	unsaved := r != nil && d.core.savedState() != saved
	tenants := d.core.set.size
	d.mu.Unlock()
	for _, box := range boxes {
		box.ring()
	}
	if kick {
		nudge(r.kick)
	}
	if looks {
		nudge(r.inbox.wake) // there the timer is
	}
	if unsaved {
		nudge(r.save)
	}
	for _, n := range notes {
		d.log(n, tenants)
	}
}

// withMail returns the mailboxes to ring.
func (d *TenantDiscovery) withMail() []*mailbox {
	if !d.core.mail {
		return nil
	}
	return append(slices.Collect(maps.Keys(d.core.watchers)), d.box)
}

// nudge lets the one who waits on a channel of size one look again.
func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it will look anyway
	}
}

func (d *TenantDiscovery) log(n note, tenants int) {
	attrs := append([]slog.Attr{slog.String("service", d.cfg.ServiceName), slog.Int("tenant_count", tenants)}, n.attrs...)
	d.cfg.Logger.LogAttrs(context.Background(), n.level, n.msg, attrs...)
}

func (c *core) note(level slog.Level, msg string, attrs ...slog.Attr) {
	c.notes = append(c.notes, note{level: level, msg: msg, attrs: attrs})
}

// settle works out the state and publishes the set and the status.
func (d *TenantDiscovery) settle(now time.Time) {
	c := &d.core
	if *d.view.Load() != c.set {
		set := c.set
		d.view.Store(&set)
	}
	d.deliver()
	d.listen(now)
	d.warnUnannounced(now)
	before, s := c.status.State, &c.status
	s.State = c.state(now, d.cfg.PollInterval)
	s.Tenants, s.FeedConnected, s.FeedError, s.SnapshotError = c.set.size, c.feedUp, c.linkError(), c.snapshotErr
	if s.State != before {
		s.Since = now
		c.stateChanged(before)
	}
	_, reason, advice := c.reason()
	s.Reason = reason + "; " + advice
	status := *s
	d.status.Store(&status)
	if s.State != before && c.phase == phaseStarted {
		d.box.putStatus(status)
		c.mail = true
	}
}

func (c *core) state(now time.Time, patience time.Duration) State {
	switch {
	case c.phase == phaseClosed:
		return Closed
	case c.phase != phaseStarted:
		return Starting
	case c.fromFile, !c.linked() && c.snapshotErr != nil:
		return Stale
	case !c.linked():
		return Polling
	case c.gaps == c.closed && c.silent():
		return Syncing
	case c.gaps == c.closed:
		return Live
	case c.snapshotErr != nil && now.Sub(c.failingSince) > patience:
		return Stale
	default:
		return Syncing
	}
}

// turn is when the state changes next because time passes; zero if it does not.
func (c *core) turn(now time.Time, patience time.Duration) (next time.Time) {
	for _, t := range []struct {
		waits bool
		at    time.Time
	}{
		{c.snapshotErr != nil, c.failingSince.Add(patience + 1)},
		{c.silent() && c.unheard == nil, c.hearing.since.Add(firstHeardWithin)},
		{len(c.differences.pending) > 0, c.differences.due},
	} {
		if t.waits && t.at.After(now) && (next.IsZero() || t.at.Before(next)) {
			next = t.at
		}
	}
	return next
}

// stateChanged notes the new state with its reason and what to do. While a link comes and goes only the first line is a
// warning, until the state was good again.
func (c *core) stateChanged(before State) {
	level, reason, advice := c.reason()
	switch {
	case c.status.State == Live:
		c.warned, c.alarms.lost = [Closed + 1]bool{}, ""
	case c.warned[c.status.State], c.status.State == Syncing && (c.warned[Polling] || c.warned[Stale]):
		level = slog.LevelDebug
	case level == slog.LevelWarn:
		c.warned[c.status.State] = true
	}
	c.note(level, "discovery is "+c.status.State.String(),
		slog.String("before", before.String()), slog.String("reason", reason), slog.String("advice", advice))
}

func (c *core) reason() (level slog.Level, reason, advice string) {
	switch c.status.State {
	case Live:
		return slog.LevelInfo, "subscribed and reconciled", "nothing to do"
	case Syncing:
		if c.gaps == c.closed {
			return slog.LevelInfo, "subscribed and reconciled, and nothing has been heard of the manager yet", "nothing to do, its first heartbeat is expected"
		}
		return slog.LevelInfo, cmp.Or(c.lastGap, "subscribed"), "nothing to do, a snapshot is on its way"
	case Polling:
		return c.reasonToPoll()
	case Stale:
		return slog.LevelWarn, "no snapshot: " + text(c.snapshotErr, "none yet"),
			"check the tenant manager and the API key; the last known set is kept"
	case Starting:
		return slog.LevelInfo, "the start failed", "see its error"
	default:
		return slog.LevelInfo, "Close was called", "nothing to do"
	}
}

func (c *core) reasonToPoll() (level slog.Level, reason, advice string) {
	switch {
	case c.feedUp && c.unheard != nil:
		return slog.LevelWarn, c.unheard.Error(), "check that the tenant manager runs, publishes to the same Redis, and in the same environment; " +
			"changes are found by polling until it is heard"
	case known(c.feedErr).beatless:
		advice = "check that the tenant manager runs and reaches the same Redis; changes are found by polling until it is heard again"
	default:
		advice = "check Redis and its ACLs; changes are found by polling until it is back"
	}
	return slog.LevelWarn, "no subscription: " + text(c.feedErr, "not confirmed yet"), advice
}

// text is what an error says that was looked at when it entered.
func text(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}

// openGap notes that something may have been missed, and asks for a reconcile.
func (d *TenantDiscovery) openGap(now time.Time, reason string) {
	d.core.gaps++
	d.core.lastGap = reason
	d.core.plan.gapOpened(now, d.cfg.ResyncSpread)
}

// publish puts the changes into the history and on their way to the mailboxes. wait is nil if nobody waits for them.
func (d *TenantDiscovery) publish(changes []tenant.Change, wait *waiter) {
	c := &d.core
	for _, change := range changes {
		key := tenant.CanonicalID(change.TenantID)
		if change.Cause != tenant.CauseBootstrap {
			c.history.record(key, change, c.set.size)
		}
		c.news = append(c.news, delivery{key: key, change: change, wait: wait})
	}
}

// deliver puts the news into the mailboxes. The set has to be published by then: a reader that is at its mailbox already
// waits for no bell.
func (d *TenantDiscovery) deliver() {
	c := &d.core
	for _, n := range c.news {
		for box := range c.watchers {
			box.put(n.key, n.change)
		}
		initial := n.change.Cause == tenant.CauseBootstrap || n.change.Cause == tenant.CauseSnapshotFile
		switch {
		case initial && !d.cfg.NotifyInitial:
		case n.wait != nil:
			n.wait.told = d.box.putAwaited(n.key, n.change)
		default:
			d.box.put(n.key, n.change)
		}
	}
	c.mail = c.mail || len(c.news) > 0
	c.news = nil
}
