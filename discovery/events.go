package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	applyAtOnce       = 4096 // signals that are applied, and published, together
	feedRestart       = time.Second
	badEventLogEvery  = 10 * time.Second
	unknownTypeLength = 128 // bytes of an unknown type that are kept
	unknownTypesKept  = 64  // types that are logged once each; further ones are counted only
)

var (
	errFeedEnded = errors.New("the feed ended by itself")
	errLongEpoch = fmt.Errorf("a heartbeat whose epoch has more than %d bytes", tenant.MaxNameBytes)
)

// HandleEvent applies an event like one that came by the feed, and waits until the callbacks of its change have run, or
// it was folded to nothing with a later one. From inside a callback, known by the ctx that the callback was given, it does
// not wait. The event says nothing of the feed, which is not [Live] by it where heartbeats are expected.
//
// An event that cannot be used is a [tenant.EventError]; a snapshot is asked for then. When ctx ends while callbacks are
// pending the error says so; the event has been applied. It returns [ErrNotStarted] before Start has succeeded and
// [ErrClosed] after Close, also when that comes while it waits.
func (d *TenantDiscovery) HandleEvent(ctx context.Context, evt tenant.Event) error {
	v := judge(evt, d.cfg.ServiceName, d.cfg.Environment)
	var wait waiter
	var err error
	d.update(func(now time.Time) { err = d.handle(now, v, &wait) })
	switch {
	case err != nil:
		return err
	case v.err != nil:
		return fmt.Errorf("discovery: handle event: %w", v.err)
	case wait.told == nil || ctx.Value(callbackKey{}) == d:
		return nil
	}
	select {
	case <-wait.told:
		return nil
	case <-d.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("discovery: event %q applied, callbacks pending: %w", evt.EventID, ended(ctx))
	}
}

// handle applies an event that did not come by the feed, and says nothing of it therefore.
func (d *TenantDiscovery) handle(now time.Time, v verdict, wait *waiter) error {
	if err := d.core.usable(); err != nil {
		return err
	}
	d.applyVerdict(now, v, wait)
	return nil
}

// usable returns why HandleEvent and Refresh cannot be served.
func (c *core) usable() error {
	switch c.phase {
	case phaseStarted:
		return nil
	case phaseClosed:
		return ErrClosed
	default:
		return ErrNotStarted
	}
}

// applyVerdict counts an event and does what it says. wait is nil if nobody waits for its change.
func (d *TenantDiscovery) applyVerdict(now time.Time, v verdict, wait *waiter) {
	c := &d.core
	c.status.LastEvent = now
	c.hearEnvironment(v)
	if v.outcome != outcomeOtherEnvironment && v.outcome != outcomeBad {
		c.differences.announced(v.key, v.effect)
		d.compare(now, &v)
	}
	c.status.Counters.count(v.outcome)
	switch v.outcome {
	case outcomeBad:
		d.badEvent(now, v.err)
	case outcomeUnknown:
		c.losses++
		c.unknownType(v)
		d.openGap(now, "an event of a type that is not known")
	case outcomeApplied:
		d.applyEffect(now, v, wait)
	default:
	}
}

// compare looks whether the event is news, and makes an old one of it where it is not. What it proves to be missing is a
// gap.
func (d *TenantDiscovery) compare(now time.Time, v *verdict) {
	c := &d.core
	what, overflowed := c.memory.weigh(*v), c.memory.overflowed
	c.memory.hear(*v, what, now)
	switch what {
	case old:
		v.outcome = outcomeOld
	case late:
		v.outcome = outcomeOld
		d.openGap(now, "an event that is older than what is known of its tenant")
	case foreign:
		c.memory.record(*v, c.set.size) // a snapshot of its epoch may be older than it
		v.outcome = outcomeOld
		d.openGap(now, "an event of another epoch: "+v.version.String())
	case fresh:
		c.memory.record(*v, c.set.size)
	}
	if c.memory.overflowed && !overflowed {
		d.openGap(now, "more events than can be remembered") // from now on old ones may seem new
	}
}

func (d *TenantDiscovery) applyEffect(now time.Time, v verdict, wait *waiter) {
	c := &d.core
	_, there := c.set.lookup(v.key)
	if v.effect == effectRecheck && !there {
		d.doubt(now, v)
	}
	if c.phase != phaseStarted {
		return // the bootstrap takes it from the memory
	}
	set, changes := apply(c.set, v, now)
	c.set = set
	for _, change := range changes {
		if change.Kind != tenant.Reconfigured {
			c.have = tenant.Version{}
		}
		c.note(slog.LevelInfo, "tenant "+string(change.Kind), slog.String("tenant_id", change.TenantID),
			slog.String("cause", string(change.Cause)), slog.String("event_type", string(v.eventType)), slog.String("event_id", v.eventID))
	}
	d.publish(changes, wait)
}

func (n *Counters) count(o outcome) {
	switch o {
	case outcomeIgnored:
		n.EventsIgnored++
	case outcomeOtherService:
		n.EventsOtherService++
	case outcomeOtherEnvironment:
		n.EventsOtherEnvironment++
	case outcomeUnknown:
		n.EventsUnknown++
	case outcomeOld:
		n.EventsOld++
	case outcomeBad:
		n.EventsBad++
	default:
		n.EventsApplied++
	}
}

// follow runs the feed until ctx ends.
func (d *TenantDiscovery) follow(ctx context.Context, r *run) {
	for ctx.Err() == nil {
		err := d.runFeed(ctx, r)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errFeedEnded
		}
		r.inbox.put(tenant.Signal{Kind: tenant.SignalLost, Err: enter(err)})
		sleep(ctx, d.dice.about(feedRestart))
	}
}

// runFeed is the feed's Run. That it panics, or ends its goroutine, is a lost link and ends nothing else.
func (d *TenantDiscovery) runFeed(ctx context.Context, r *run) (err error) {
	failure := guarded(func() { err = d.feed.Run(ctx, func(sig tenant.Signal) { r.inbox.put(entered(sig)) }) })
	if failure != nil {
		return fmt.Errorf("the Feed's Run did not return: %w", failure)
	}
	return err
}

// applySignals applies what the feed delivers until ctx ends.
func (d *TenantDiscovery) applySignals(ctx context.Context, r *run) {
	look := time.NewTimer(never)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.inbox.wake:
		case <-look.C:
			d.update(func(time.Time) {}) // which looks
		}
		signals, dropped := r.inbox.drain()
		for batch := range slices.Chunk(signals, applyAtOnce) {
			d.applyBatch(batch, r)
		}
		r.inbox.applied()
		if dropped > 0 {
			d.update(func(now time.Time) {
				if d.core.run == r {
					d.overflow(now, dropped)
				}
			})
		}
		look.Reset(d.untilLook())
	}
}

// untilLook is how long nobody has to look, for a timer.
func (d *TenantDiscovery) untilLook() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.core.nextLook.IsZero() {
		return never
	}
	return max(time.Until(d.core.nextLook), 0)
}

const never = 1 << 62 * time.Nanosecond

// applyBatch applies signals in their order and publishes once.
func (d *TenantDiscovery) applyBatch(batch []tenant.Signal, r *run) {
	verdicts := d.judgeAll(batch)
	d.update(func(now time.Time) {
		if d.core.run != r {
			return // that start has failed, and a new one may be under way
		}
		d.applyJudged(now, batch, verdicts, r)
	})
}

func (d *TenantDiscovery) judgeAll(batch []tenant.Signal) []verdict {
	verdicts := make([]verdict, len(batch))
	for i, sig := range batch {
		if sig.Kind == tenant.SignalEvent {
			verdicts[i] = judge(sig.Event, d.cfg.ServiceName, d.cfg.Environment)
		}
	}
	return verdicts
}

func (d *TenantDiscovery) applyJudged(now time.Time, batch []tenant.Signal, verdicts []verdict, r *run) {
	for i, sig := range batch {
		if sig.Kind == tenant.SignalEvent {
			d.heardEvent(now, verdicts[i])
			d.applyVerdict(now, verdicts[i], nil)
		} else {
			d.applyLink(now, sig, r)
		}
	}
}

// applyLink takes in what the feed says of itself.
func (d *TenantDiscovery) applyLink(now time.Time, sig tenant.Signal, r *run) {
	c := &d.core
	if c.phase == phaseClosed {
		return
	}
	switch sig.Kind {
	case tenant.SignalSubscribed:
		c.feedUp, c.feedErr, c.unheard = true, nil, nil
		c.losses++
		c.hearing.subscribed(now, sig.Heartbeats)
		c.status.Counters.Subscriptions++
		if sig.Err != nil {
			c.note(slog.LevelWarn, "subscribed, but not to everything", slog.Any("error", sig.Err))
		}
		d.openGap(now, "subscribed, and what was published before may have been missed")
		r.firstLink()
	case tenant.SignalLost:
		d.feedLost(now, sig.Err)
		r.firstLink()
	case tenant.SignalBadEvent:
		c.status.LastEvent = now
		c.status.Counters.EventsBad++
		d.badEvent(now, sig.Err)
	case tenant.SignalGap:
		c.losses++
		d.openGap(now, text(sig.Err, "the feed missed events"))
	case tenant.SignalEvent: // applied elsewhere
	case tenant.SignalHeartbeat:
		d.heard(now, sig.Version)
		if c.memory.behind(sig.Version) {
			d.openGap(now, fmt.Sprintf("the manager is at %s, the set is not", sig.Version))
		}
	}
}

// firstLink lets Start go on.
func (r *run) firstLink() {
	select {
	case <-r.linked:
	default:
		close(r.linked)
	}
}

func (d *TenantDiscovery) feedLost(now time.Time, err error) {
	c := &d.core
	if c.feedUp && c.phase == phaseStarted {
		c.plan.feedLost(now, d.cfg.PollInterval)
	}
	if err == nil {
		err = errFeedEnded
	}
	level := slog.LevelDebug
	if reason := known(err).lost; reason != c.alarms.lost {
		if c.phase == phaseStarted && !c.feedUp { // else the change of state says it
			level = slog.LevelWarn
		}
		c.alarms.lost = reason
	}
	c.losses++
	c.feedUp, c.feedErr = false, err
	c.note(level, "no subscription", slog.Any("error", err))
}

// kindOf sorts the reasons for which a feed is lost, so that a new one is warned of, and a new port number is not.
func kindOf(err error) string {
	for _, kind := range []error{redisevents.ErrRefused, redisevents.ErrSilent, redisevents.ErrProtocol, redisevents.ErrUnsubscribed, redisevents.ErrNoHeartbeat} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "the network"
}

func (d *TenantDiscovery) overflow(now time.Time, dropped uint64) {
	d.core.losses++
	d.core.status.Counters.EventsDropped += dropped
	d.core.note(slog.LevelWarn, "events arrived faster than they could be applied; a snapshot makes it good", slog.Uint64("dropped", dropped))
	d.openGap(now, "events arrived faster than they could be applied")
}

// badEvent notes an event that cannot be used. In a flood of them one line is logged every ten seconds.
func (d *TenantDiscovery) badEvent(now time.Time, err error) {
	c := &d.core
	c.losses++
	level := slog.LevelDebug
	if c.alarms.lastBad.IsZero() || now.Sub(c.alarms.lastBad) >= badEventLogEvery {
		level, c.alarms.lastBad = slog.LevelWarn, now
	}
	attrs := []slog.Attr{slog.Uint64("bad_events", c.status.Counters.EventsBad), slog.Any("error", err)}
	if seen := known(err); seen.event != "" || seen.eventID != "" {
		attrs = append(attrs, slog.String("event_type", string(seen.event)), slog.String("event_id", seen.eventID))
	}
	c.note(level, "an event could not be used; a snapshot makes it good", attrs...)
	d.openGap(now, "an event that could not be used")
}

// unknownType warns once for each type.
func (c *core) unknownType(v verdict) {
	v.eventType = tenant.EventType(strings.Clone(string(v.eventType[:min(len(v.eventType), unknownTypeLength)]))) // not a piece of a long one
	if c.alarms.unknownTypes[v.eventType] || len(c.alarms.unknownTypes) >= unknownTypesKept {
		return
	}
	if c.alarms.unknownTypes == nil {
		c.alarms.unknownTypes = make(map[tenant.EventType]bool)
	}
	c.alarms.unknownTypes[v.eventType] = true
	c.note(slog.LevelWarn, "an event of a type that this version does not know; a snapshot is asked for, and the type is not logged again",
		slog.String("event_type", string(v.eventType)), slog.String("event_id", v.eventID))
}

// ended is why ctx has: its error, and the cause where that says more.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if context.Cause(ctx) == err { //nolint:errorlint // there is no other cause
		return err
	}
	cause := enter(context.Cause(ctx))
	if known(cause).ended {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
