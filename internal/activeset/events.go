package activeset

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	badEventLogEvery  = 10 * time.Second
	unknownTypeLength = 128 // bytes of an unknown type that are kept
	unknownTypesKept  = 64  // types that are logged once each; further ones are counted only
)

// ErrFeedEnded is a feed that was lost for no reason that it gave.
var ErrFeedEnded = errors.New("the feed ended by itself")

// Judged is a signal of which it is known what it means.
type Judged struct {
	signal  *tenant.Signal
	verdict verdict // of an event
}

// Err is why the event cannot be used, nil if it can.
func (j Judged) Err() error { return j.verdict.err }

// Judge works out what a signal, whose error has been looked at, means for the service in the environment. That is most of the
// work, and needs no [Core]. The signal stays what it is for as long as what comes of it is used.
func Judge(sig *tenant.Signal, service, environment string) Judged {
	j := Judged{signal: sig}
	if sig.Kind == tenant.SignalEvent {
		j.verdict.read(&sig.Event, service, environment)
	}
	return j
}

// Apply takes in what the feed has delivered, in its order.
func (c *Core) Apply(now time.Time, signals []Judged) {
	for i := range signals {
		if j := &signals[i]; j.signal.Kind == tenant.SignalEvent {
			c.heardEvent(now, &j.verdict)
			c.reachedBefore(&j.verdict)
			c.applyVerdict(now, &j.verdict)
		} else {
			c.applyLink(now, *j.signal)
		}
	}
}

// Handle takes in an event that did not come by the feed, and says nothing of it therefore.
func (c *Core) Handle(now time.Time, evt Judged) { c.applyVerdict(now, &evt.verdict) }

// Overflow takes in that so many signals could not be delivered.
func (c *Core) Overflow(now time.Time, dropped uint64) {
	c.missed()
	c.status.Counters.EventsDropped += dropped
	c.log(Warn, "events arrived faster than they could be applied; a snapshot is asked for", "dropped", dropped)
	c.openHole(now, "events arrived faster than they could be applied")
}

// applyVerdict counts an event and does what it says.
func (c *Core) applyVerdict(now time.Time, v *verdict) {
	c.status.LastEvent = now
	c.hearEnvironment(v)
	what := old
	if v.outcome != outcomeOtherEnvironment && v.outcome != outcomeBad {
		c.differences.announced(v.key, v.effect)
		what = c.compare(now, v)
	}
	c.status.Counters.count(v.outcome)
	switch v.outcome {
	case outcomeBad:
		c.badEvent(now, v.err)
	case outcomeUnknown:
		c.losses++
		c.unknownType(v)
		c.openGap(now, "an event of a type that is not known")
	case outcomeApplied:
		c.applyEffect(now, v)
	default:
	}
	if v.tenantName != "" && c.cfg.Names && (what == fresh || what == foreign) {
		c.memory.tick++
		c.names.hear(v, c.memory.tick, what == fresh && c.set.Has(v.key))
	}
}

// compare looks whether the event is news, and makes an old one of it where it is not. What it proves to be missing is a
// gap.
func (c *Core) compare(now time.Time, v *verdict) freshness {
	overflowed := c.memory.overflowed
	what := c.memory.judge(v, c.set.size, now)
	if what != fresh {
		v.outcome = outcomeOld
	}
	switch what {
	case late:
		c.openGap(now, "an event that is older than what is known of its tenant")
	case foreign:
		c.openGap(now, "an event of another epoch: "+v.version.String())
	default:
	}
	if c.memory.overflowed && !overflowed {
		c.openGap(now, "more events than can be remembered") // from now on old ones may seem new
	}
	return what
}

func (c *Core) applyEffect(now time.Time, v *verdict) {
	if v.effect == effectRecheck && !c.set.Has(v.key) {
		c.doubt(now, v)
	}
	if c.phase != phaseStarted {
		return // the bootstrap takes it from the memory
	}
	set, change, by := apply(c.set, c.draft, v, now)
	if change.Kind == "" {
		return
	}
	c.set = set
	if change.Kind != tenant.Reconfigured {
		c.have = tenant.Snapshot{}
	}
	if c.logs(Info) { // else what is logged is not even put together
		c.log(Info, "tenant "+string(change.Kind), "tenant_id", change.TenantID,
			"cause", string(change.Cause), "event_type", string(v.eventType), "event_id", v.eventID)
	}
	c.tell(v.key, change, by)
}

// applyLink takes in what the feed says of itself.
func (c *Core) applyLink(now time.Time, sig tenant.Signal) {
	if c.phase == phaseClosed {
		return
	}
	switch sig.Kind {
	case tenant.SignalSubscribed:
		c.subscribed(now, sig)
	case tenant.SignalLost:
		c.feedLost(now, sig.Err)
	case tenant.SignalBadEvent:
		c.status.LastEvent = now
		c.status.Counters.EventsBad++
		c.badEvent(now, sig.Err)
	case tenant.SignalGap:
		c.missed()
		c.openHole(now, text(sig.Err, "the feed missed events"))
	case tenant.SignalEvent: // applied elsewhere
	case tenant.SignalHeartbeat:
		c.heard(now, sig.Version)
		c.reached(sig.Version)
		if c.memory.behind(sig.Version) {
			c.openHole(now, fmt.Sprintf("the manager is at %s, the set is not", sig.Version))
		}
	}
}

func (c *Core) subscribed(now time.Time, sig tenant.Signal) {
	c.feedUp, c.feedErr, c.unheard = true, nil, nil
	c.hearing.subscribed(now, sig.Heartbeats)
	c.status.Counters.Subscriptions++
	if sig.Err != nil {
		c.log(Warn, "subscribed, but not to everything", "error", sig.Err)
	}
	if c.spans(sig) {
		return
	}
	c.losses++
	c.openHole(now, "subscribed, and what was published before may have been missed")
}

func (c *Core) feedLost(now time.Time, err error) {
	if c.feedUp && c.phase == phaseStarted {
		c.plan.feedLost(now, c.cfg.PollInterval)
	}
	if err == nil {
		err = ErrFeedEnded
	}
	level := Debug
	if reason := Known(err).Lost; reason != c.alarms.lost {
		if c.phase == phaseStarted && !c.feedUp { // else the change of state says it
			level = Warn
		}
		c.alarms.lost = reason
	}
	c.losses++
	c.feedUp, c.feedErr, c.span = false, err, span{}
	c.log(level, "no subscription", "error", err)
}

// badEvent notes an event that cannot be used. In a flood of them one line is logged every ten seconds.
func (c *Core) badEvent(now time.Time, err error) {
	c.missed()
	level := Debug
	if c.alarms.lastBad.IsZero() || now.Sub(c.alarms.lastBad) >= badEventLogEvery {
		level, c.alarms.lastBad = Warn, now
	}
	args := []any{"bad_events", c.status.Counters.EventsBad, "error", err}
	if seen := Known(err); seen.EventType != "" || seen.EventID != "" {
		args = append(args, "event_type", string(seen.EventType), "event_id", seen.EventID)
	}
	c.log(level, "an event could not be used; a snapshot is asked for", args...)
	c.openHole(now, "an event that could not be used")
}

// unknownType warns once for each type.
func (c *Core) unknownType(v *verdict) {
	v.eventType = tenant.EventType(strings.Clone(string(v.eventType[:min(len(v.eventType), unknownTypeLength)]))) // not a piece of a long one
	if c.alarms.unknownTypes[v.eventType] || len(c.alarms.unknownTypes) >= unknownTypesKept {
		return
	}
	if c.alarms.unknownTypes == nil {
		c.alarms.unknownTypes = make(map[tenant.EventType]bool)
	}
	c.alarms.unknownTypes[v.eventType] = true
	c.log(Warn, "an event of a type that this version does not know; a snapshot is asked for, and the type is not logged again",
		"event_type", string(v.eventType), "event_id", v.eventID)
}
