package redisevents

import (
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// PubSub is the [tenant.Feed] over Redis Pub/Sub.
type PubSub struct {
	source

	channel string
	pattern bool

	beats    *beatChannel
	patience time.Duration // without anything, where heartbeats are expected
}

var _ tenant.EnvironmentFeed = (*PubSub)(nil)

// NewPubSub returns a feed of the events of one environment. With an empty environment it reads all channels that carry
// events. It does not connect before Run. The error is that of [Config.Validate], or says what is wrong with the name
// of the environment or with the files of a certificate.
func NewPubSub(cfg Config, environment string) (*PubSub, error) {
	from, environment, err := newSource(cfg, environment)
	if err != nil {
		return nil, err
	}
	p := &PubSub{
		source: from, channel: EnvironmentChannelName(environment),
		beats: newBeatChannel(environment), patience: heartbeatPatience,
	}
	if environment == "" {
		p.channel, p.pattern = ChannelPattern, true
	}
	return p, nil
}

// UseEnvironment tells a feed without an environment of its own whose heartbeats to listen to, because a manager sends
// them on the channel of its environment. It does nothing when the feed has an environment, or when no environment can
// have that name. If a subscription is up, Run reports it once more when the channel of the heartbeats is confirmed.
func (p *PubSub) UseEnvironment(name string) { p.beats.use(name) }

// Run subscribes and delivers until ctx ends. It then returns the error of ctx almost at once, whatever the connection
// is doing. Run gives the sink:
//
//   - SignalSubscribed for every confirmed subscription. Its field Heartbeats is true when the channel of the
//     heartbeats is confirmed too, that channel belongs to the manager's environment, and Config.NoHeartbeats is not
//     set;
//   - SignalEvent or SignalBadEvent for every message, and SignalHeartbeat for every heartbeat;
//   - SignalLost for every attempt that failed and for every subscription that broke, with the reason: [ErrSilent],
//     [ErrRefused], [ErrUnsubscribed], [ErrProtocol], [ErrNoHeartbeat] or an error of the network.
//
// Heartbeats are optional for both the manager and the reader. Once this Run has received one it expects more. When
// neither a heartbeat nor an event arrives for two intervals and a second (11 s), the link counts as lost, and Run does
// not report the next subscriptions until something has arrived by one of them. When Redis does not allow the channel
// of the heartbeats, events arrive all the same. The one SignalSubscribed after the refusal has it as Err, and p does
// not ask for the channel again.
//
// If the only configured address is that of a node of a Cluster, p remembers the other nodes, and connects to them
// while nothing answers at that address. For this the user needs +cluster|slots.
//
// After each loss Run waits a random time. The bound of the wait begins at 50 ms and doubles up to 800 ms, and up to 5
// s after a minute of failures. A subscription that lasted for Config.SilenceLimit resets it. Several calls of Run at
// the same time do not disturb each other.
func (p *PubSub) Run(ctx context.Context, sink func(tenant.Signal)) error {
	var known pulse
	return p.keepUp(ctx, sink, func(ctx context.Context, try *attempt) (time.Duration, error) {
		return p.session(ctx, try, sink, &known)
	})
}
