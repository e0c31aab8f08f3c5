package discovery

import (
	"cmp"
	"fmt"
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
	nameless bool      // something without an epoch came
	epochs   []string  // of what came, newest last
}

func (h *hearing) subscribed(now time.Time, heartbeats bool) {
	*h = hearing{expected: heartbeats, since: now}
}

// listed restarts the time when the list is of another data set.
func (h *hearing) listed(now time.Time) { h.since = now }

// hear takes note of a heartbeat or an event.
func (h *hearing) hear(epoch string) {
	switch {
	case epoch == "":
		h.nameless = true
	case len(epoch) > tenant.MaxNameBytes: // it is that of no list
	case !slices.Contains(h.epochs, epoch):
		h.epochs = append(h.epochs[max(0, len(h.epochs)+1-epochsHeard):], epoch)
	}
}

// silent reports whether something of the epoch, which is that of the list, is expected and has not come. A manager without
// versions sends no heartbeats.
func (h *hearing) silent(epoch string) bool {
	return h.expected && epoch != "" && !h.nameless && !slices.Contains(h.epochs, epoch)
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

// linked reports whether the subscription is of use.
func (c *core) linked() bool { return c.feedUp && c.deaf == nil }

// linkError is why it is not.
func (c *core) linkError() error {
	if c.feedUp && c.deaf != nil {
		return c.deaf
	}
	return c.feedErr
}

// listen notices that nothing has come in time, and that something has come at last.
func (d *TenantDiscovery) listen(now time.Time) {
	c := &d.core
	switch late := c.silent() && now.Sub(c.hearing.since) >= firstHeardWithin; {
	case !late:
		c.deaf = nil
	case c.deaf == nil && c.phase == phaseStarted:
		environment := c.environmentNow(d.cfg.Environment)
		c.deaf = &unheardError{
			channel: redisevents.HeartbeatChannelName(environment), place: d.place, environment: environment,
			others: slices.Clone(c.hearing.epochs), epoch: c.memory.known().Epoch,
		}
		c.plan.feedLost(now, d.cfg.PollInterval)
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
