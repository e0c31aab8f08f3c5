package redisevents

import (
	"fmt"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	channelPrefix   = "tenant-events:"
	heartbeatPrefix = "tenant-heartbeat:"
	streamPrefix    = "tenant-events-stream:"
	streamField     = "event"   // of an entry; it has the event's JSON
	noEnvironment   = "default" // where a heartbeat and a stream have to name one
)

// ChannelPattern matches every channel that carries lifecycle events.
const ChannelPattern = channelPrefix + "*"

// EnvironmentChannelName returns the channel that carries the events of one environment. The colon at its end belongs
// to the name. This function and those below first put the environment into the form that [tenant.ParseEnvironment]
// returns.
func EnvironmentChannelName(environment string) string {
	return channelPrefix + normal(environment) + ":"
}

// TenantChannelName returns the channel that carries the events of one tenant. The spelling of the id is not changed.
func TenantChannelName(tenantID string) string { return channelPrefix + tenantID }

// HeartbeatChannelName returns the channel that carries the heartbeats of one environment. An empty environment stands
// for a manager without one.
func HeartbeatChannelName(environment string) string { return heartbeatPrefix + orDefault(environment) }

// StreamKey returns the key of the stream with the events of one environment. An empty environment stands for the
// events that name none.
func StreamKey(environment string) string { return streamPrefix + orDefault(environment) }

func orDefault(environment string) string {
	if environment = normal(environment); environment == "" {
		return noEnvironment
	}
	return environment
}

// normal leaves what no environment can be called as it is; the constructors refuse it.
func normal(environment string) string {
	if name, err := tenant.ParseEnvironment(environment); err == nil {
		return name
	}
	return environment
}

// Channels says on which channels a [Publisher] announces an event.
type Channels uint8

// The values of [Channels]. The zero value is EnvironmentChannel.
const (
	// EnvironmentChannel means one channel for each environment. An event without an environment goes to its tenant's
	// channel.
	EnvironmentChannel Channels = iota
	// TenantChannel means one channel for each tenant.
	TenantChannel
	// BothChannels means both. It reaches readers with an environment and readers without one. A reader without one
	// receives each event twice, and recognises the second by its id.
	BothChannels
)

// ParseChannels reads "env", "tenant" or "both".
func ParseChannels(s string) (Channels, error) {
	for _, c := range []Channels{EnvironmentChannel, TenantChannel, BothChannels} {
		if s == c.String() {
			return c, nil
		}
	}
	return 0, fmt.Errorf("channels %q: it is one of env, tenant and both", s)
}

// String returns the word that [ParseChannels] reads.
func (c Channels) String() string {
	switch c {
	case EnvironmentChannel:
		return "env"
	case TenantChannel:
		return "tenant"
	case BothChannels:
		return "both"
	default:
		return fmt.Sprintf("Channels(%d)", uint8(c))
	}
}

// of returns the names of the channels for an event.
func (c Channels) of(environment, tenantID string) []string {
	byEnvironment, byTenant := EnvironmentChannelName(environment), TenantChannelName(tenantID)
	switch {
	case c == TenantChannel || normal(environment) == "":
		return []string{byTenant}
	case c == BothChannels:
		return []string{byEnvironment, byTenant}
	default:
		return []string{byEnvironment}
	}
}
