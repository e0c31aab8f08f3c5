package discovery

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// firstHeardWithin is how long the first heartbeat or event of a subscription may take: two intervals of the manager's
	// heartbeats, and a second.
	firstHeardWithin = 2*redisevents.HeartbeatInterval + time.Second
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

// unheardError is why a subscription that is up is of no use.
type unheardError struct {
	channel, place, environment string
	others                      []string // epochs of what was heard
	epoch                       string   // of the list
}

// Error names the channel, the Redis and the environment, one of which is the wrong one.
func (e *unheardError) Error() string {
	text := fmt.Sprintf("subscribed at %s, but neither a heartbeat on channel %q nor an event came within %v; the environment is %q",
		e.place, e.channel, firstHeardWithin, e.environment)
	if len(e.others) > 0 {
		text += fmt.Sprintf("; what came is of another manager's data (%s) than the list (%s)", strings.Join(e.others, ", "), e.epoch)
	}
	return text
}

// Is reports whether target is [redisevents.ErrNoHeartbeat].
func (e *unheardError) Is(target error) bool { return target == redisevents.ErrNoHeartbeat }

// silent reports whether the subscription is up and nothing has come by it although it should.
func (c *core) silent() bool { return c.feedUp && c.hearing.silent(c.memory.known().Epoch) }

// heard takes in that something came by the feed from a manager that was at the version then. After a silence that was too
// long it is a gap, as a subscription is: a list has to be asked for after it.
func (d *TenantDiscovery) heard(now time.Time, v tenant.Version) {
	c := &d.core
	c.differences.reached(v, now)
	if c.hearing.hear(now, v.Epoch) {
		c.losses++
		d.openGap(now, "the manager is heard at last, and what it published before may have been missed")
	}
}

// heardEvent is heard for an event of the feed.
func (d *TenantDiscovery) heardEvent(now time.Time, v verdict) {
	if v.outcome != outcomeOtherEnvironment && v.outcome != outcomeBad {
		d.heard(now, v.version)
	}
}

// linked reports whether the subscription is of use.
func (c *core) linked() bool { return c.feedUp && c.unheard == nil }

// linkError is why it is not.
func (c *core) linkError() error {
	if c.feedUp && c.unheard != nil {
		return c.unheard
	}
	return c.feedErr
}

// listen notices that nothing has come in time, and that something has come at last.
func (d *TenantDiscovery) listen(now time.Time) {
	c := &d.core
	switch late := c.silent() && now.Sub(c.hearing.since) >= firstHeardWithin; {
	case !late:
		c.unheard = nil
	case c.unheard == nil && c.phase == phaseStarted:
		environment := c.environmentNow(d.cfg.Environment)
		c.unheard = &unheardError{
			channel: redisevents.HeartbeatChannelName(environment), place: d.place, environment: environment,
			others: slices.Clone(c.hearing.epochs), epoch: c.memory.known().Epoch,
		}
		c.plan.feedLost(now, d.cfg.PollInterval)
	}
}

// hearEnvironment warns once when events of two environments arrive and none was configured.
func (c *core) hearEnvironment(v verdict) {
	switch {
	case v.env == "" || v.outcome == outcomeOtherEnvironment || c.alarms.twoHeard || v.env == c.alarms.environment:
	case c.alarms.environment == "":
		c.alarms.environment = v.env
	default:
		c.alarms.twoHeard = true
		c.note(slog.LevelWarn, "events of two environments arrive; set Environment so that only one counts",
			slog.String("first", c.alarms.environment), slog.String("second", v.env), slog.String("event_id", v.eventID))
	}
}

// environmentNow is the one that is configured, else that of the list.
func (c *core) environmentNow(configured string) string {
	if configured != "" {
		return configured
	}
	return c.environment
}

// placeOf says where the events come from, without any credentials.
func placeOf(cfg *Config) string {
	switch {
	case cfg.Feed != nil:
		return "the configured Feed"
	case cfg.RedisConfig.Host != "":
		return "Redis " + redacted(cfg.RedisConfig.Host) + ":" + cmp.Or(cfg.RedisConfig.Port, "6379")
	}
	addrs := make([]string, len(cfg.RedisConfig.Addrs))
	for i, addr := range cfg.RedisConfig.Addrs {
		addrs[i] = redacted(addr)
	}
	return "Redis " + strings.Join(addrs, ", ")
}

// redacted leaves out what stands before an @, which does not belong there and may be a password.
func redacted(addr string) string { return addr[strings.LastIndex(addr, "@")+1:] }
