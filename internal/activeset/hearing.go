package activeset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// firstHeardWithin is how long the first heartbeat or event of a subscription may take: two intervals of the manager's
	// heartbeats, and a second.
	firstHeardWithin = 2*tenant.HeartbeatInterval + time.Second
	// epochsHeard is how many epochs are remembered of what came by one subscription.
	epochsHeard = 8
)

// hearing knows what has come by the present subscription: that it was confirmed does not say that it is at the Redis, and on
// the channel, to which the manager of the lists publishes. It is pure.
type hearing struct {
	expected bool      // the feed has confirmed that it hears heartbeats
	since    time.Time // from then on one is expected
	began    time.Time // the subscription
	epochs   []string  // of what came, newest last
}

func (h *hearing) subscribed(now time.Time, heartbeats bool) {
	*h = hearing{expected: heartbeats, since: now, began: now}
}

// listed restarts the time when the list is of another data set.
func (h *hearing) listed(now time.Time) { h.since = now }

// hear takes note of a heartbeat or an event. What names no epoch may be anybody's, and counts for nothing: a manager whose
// list has one names it in all that it sends. It returns true for the first of an epoch that comes later than one was
// expected: until then nothing showed that the subscription carries anything.
func (h *hearing) hear(now time.Time, epoch string) (late bool) {
	if epoch == "" || len(epoch) > tenant.MaxNameBytes || slices.Contains(h.epochs, epoch) {
		return false
	}
	h.epochs = append(h.epochs[max(0, len(h.epochs)+1-epochsHeard):], epoch)
	return h.expected && now.Sub(h.began) >= firstHeardWithin
}

// silent reports whether something of the epoch, which is that of the list, is expected and has not come. A manager without
// versions sends no heartbeats.
func (h *hearing) silent(epoch string) bool {
	return h.expected && epoch != "" && !slices.Contains(h.epochs, epoch)
}

// UnheardError is why a subscription that is up is of no use.
type UnheardError struct {
	channel, place, environment string
	others                      []string // epochs of what was heard
	epoch                       string   // of the list
}

// Error names the channel, the Redis and the environment, one of which is the wrong one.
func (e *UnheardError) Error() string {
	text := fmt.Sprintf("subscribed at %s, but neither a heartbeat on channel %q nor an event came within %v; the environment is %q",
		e.place, e.channel, firstHeardWithin, e.environment)
	if len(e.others) > 0 {
		text += fmt.Sprintf("; what came is of another manager's data (%s) than the list (%s)", strings.Join(e.others, ", "), e.epoch)
	}
	return text
}

// Is reports whether target is [tenant.ErrNoHeartbeat].
func (e *UnheardError) Is(target error) bool { return target == tenant.ErrNoHeartbeat }

// silent reports whether the subscription is up and nothing has come by it although it should.
func (c *Core) silent() bool { return c.feedUp && c.hearing.silent(c.memory.known().Epoch) }

// heard takes in that something came by the feed from a manager that was at the version then. After a silence that was too
// long it is a gap, as a subscription is: a list has to be asked for after it.
func (c *Core) heard(now time.Time, v tenant.Version) {
	c.differences.reached(v, now)
	if c.hearing.hear(now, v.Epoch) {
		c.losses++
		c.openGap(now, "the manager is heard at last, and what it published before may have been missed")
	}
}

// heardEvent is heard for an event of the feed.
func (c *Core) heardEvent(now time.Time, v *verdict) {
	if v.outcome != outcomeOtherEnvironment && v.outcome != outcomeBad {
		c.heard(now, v.version)
	}
}

// linked reports whether the subscription is of use.
func (c *Core) linked() bool { return c.feedUp && c.unheard == nil }

// linkError is why it is not.
func (c *Core) linkError() error {
	if c.feedUp && c.unheard != nil {
		return c.unheard
	}
	return c.feedErr
}

// listen notices that nothing has come in time, and that something has come at last.
func (c *Core) listen(now time.Time) {
	switch late := c.silent() && now.Sub(c.hearing.since) >= firstHeardWithin; {
	case !late:
		c.unheard = nil
	case c.unheard == nil && c.phase == phaseStarted:
		environment := c.environmentNow()
		c.unheard = &UnheardError{
			channel: c.cfg.Channel(environment), place: c.cfg.Place, environment: environment,
			others: slices.Clone(c.hearing.epochs), epoch: c.memory.known().Epoch,
		}
		c.plan.feedLost(now, c.cfg.PollInterval)
	}
}

// hearEnvironment warns once when events of two environments arrive and none was configured.
func (c *Core) hearEnvironment(v *verdict) {
	switch {
	case v.env == "" || v.outcome == outcomeOtherEnvironment || c.alarms.twoHeard || v.env == c.alarms.environment:
	case c.alarms.environment == "":
		c.alarms.environment = v.env
	default:
		c.alarms.twoHeard = true
		c.log(Warn, "events of two environments arrive; set Environment so that only one counts",
			"first", c.alarms.environment, "second", v.env, "event_id", v.eventID)
	}
}

// environmentNow is the one that is configured, else that of the list.
func (c *Core) environmentNow() string { return cmp.Or(c.cfg.Environment, c.environment) }
