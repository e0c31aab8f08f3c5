package activeset

import (
	"cmp"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// State says how much the set can be trusted to be the manager's.
type State uint8

// The states, as the public package describes them.
const (
	Starting State = iota
	Live
	Syncing
	Polling
	Stale
	Closed
)

// String returns the state in one lower-case word.
func (s State) String() string {
	words := [...]string{Starting: "starting", Live: "live", Syncing: "syncing", Polling: "polling", Stale: "stale", Closed: "closed"}
	if int(s) >= len(words) {
		return "unknown"
	}
	return words[s]
}

// Status is what a [Core] knows of itself at one moment.
type Status struct {
	State         State
	Since         time.Time // when it became that
	Reason        string    // why it is that, and what to do, in words for people
	Tenants       int
	Version       tenant.Version // of the last snapshot; zero when the manager sends none
	LastSnapshot  time.Time      // zero when there was none
	LastEvent     time.Time      // zero when there was none
	FeedConnected bool
	FeedError     error
	SnapshotError error
	Counters      Counters
}

// Counters count since the core began. Their meaning is that of the public package's, field by field.
type Counters struct {
	EventsApplied, EventsIgnored, EventsOtherService, EventsOtherEnvironment uint64
	EventsUnknown, EventsOld, EventsBad, EventsDropped                       uint64
	Reconciles, ReconcilesByChanges, SnapshotsFailed, SnapshotsUnchanged     uint64
	RowsSkipped, DriftFound, Unannounced, RemovalsHeld                       uint64
	Subscriptions, CallbackPanics                                            uint64
}

// count counts an event.
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

func (c *Core) state(now time.Time) State {
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
	case c.snapshotErr != nil && now.Sub(c.failingSince) > c.cfg.PollInterval:
		return Stale
	default:
		return Syncing
	}
}

// turn is when something changes because time passes, though nothing happens: the state, or what is missing for too long. It
// is zero when nothing does.
func (c *Core) turn(now time.Time) (next time.Time) {
	for _, t := range []struct {
		waits bool
		at    time.Time
	}{
		{c.snapshotErr != nil, c.failingSince.Add(c.cfg.PollInterval + 1)},
		{c.silent() && c.unheard == nil, c.hearing.since.Add(firstHeardWithin)},
		{c.differences.any(), c.differences.due},
		{!c.nextLook.IsZero(), c.nextLook},
	} {
		if t.waits && t.at.After(now) && (next.IsZero() || t.at.Before(next)) {
			next = t.at
		}
	}
	return next
}

// stateChanged logs the new state with its reason and what to do. While a link comes and goes only the first line is a
// warning, until the state was good again.
func (c *Core) stateChanged(before State) {
	level, reason, advice := c.reason()
	switch {
	case c.status.State == Live:
		c.warned, c.alarms.lost = [Closed + 1]bool{}, ""
	case c.warned[c.status.State], c.status.State == Syncing && (c.warned[Polling] || c.warned[Stale]):
		level = Debug
	case level == Warn:
		c.warned[c.status.State] = true
	}
	c.log(level, "discovery is "+c.status.State.String(), "before", before.String(), "reason", reason, "advice", advice)
}

func (c *Core) reason() (level Level, reason, advice string) {
	switch c.status.State {
	case Live:
		return Info, "subscribed and reconciled", "nothing to do"
	case Syncing:
		if c.gaps == c.closed {
			return Info, "subscribed and reconciled, and nothing has been heard of the manager yet", "nothing to do, its first heartbeat is expected"
		}
		return Info, cmp.Or(c.lastGap, "subscribed"), "nothing to do, a snapshot is on its way"
	case Polling:
		return c.reasonToPoll()
	case Stale:
		return Warn, "no snapshot: " + text(c.snapshotErr, "none yet"),
			"check the tenant manager and the API key; the last known set is kept"
	case Starting:
		return Info, "the start failed", "see its error"
	default:
		return Info, "Close was called", "nothing to do"
	}
}

func (c *Core) reasonToPoll() (level Level, reason, advice string) {
	switch {
	case c.feedUp && c.unheard != nil:
		return Warn, c.unheard.Error(), "check that the tenant manager runs, publishes to the same Redis, and in the same environment; " +
			"changes are found by polling until it is heard"
	case Known(c.feedErr).NoHeartbeat:
		advice = "check that the tenant manager runs and reaches the same Redis; changes are found by polling until it is heard again"
	default:
		advice = "check Redis and its ACLs; changes are found by polling until it is back"
	}
	return Warn, "no subscription: " + text(c.feedErr, "not confirmed yet"), advice
}
