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

// NewPubSub returns a feed of the events of one environment or, with an empty environment, of all channels that
// carry events. It connects to nothing before Run. The error is that of Config.Validate, or what is wrong with the name of
// the environment, or with the files of a certificate.
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

// UseEnvironment has a feed without an environment of its own listen to the heartbeats of one, since a manager sends them by
// the channel of its environment. A feed that has one, and names that no environment can have, are left as they are. A
// subscription that is up is told once more when the channel is confirmed.
func (p *PubSub) UseEnvironment(name string) { p.beats.use(name) }

// Run subscribes and delivers until ctx ends, and returns ctx's error within moments of that, whatever the connection
// is doing. It tells the sink:
//
//   - SignalSubscribed for every confirmed subscription; its Heartbeats is true where the channel of heartbeats is confirmed
//     too, it is that of the manager's environment, and Config.NoHeartbeats is not set,
//   - SignalEvent or SignalBadEvent for every message, SignalHeartbeat for every heartbeat,
//   - SignalLost for every attempt that failed and for every subscription that broke, with the reason: [ErrSilent],
//     [ErrRefused], [ErrUnsubscribed], [ErrProtocol], [ErrNoHeartbeat] or what the network said.
//
// Heartbeats are optional on both sides. Once this Run has heard one it expects more: when for two intervals and a second
// (11 s) neither one nor an event comes, the link is lost, and the subscriptions that follow are not told before something
// has come by one of them. A user that may not hear heartbeats gets events all the same: the one SignalSubscribed after
// the refusal has it as Err, and they are not asked for again as long as p lives.
//
// Where one address is given, and it is that of a node of a Cluster, p remembers the others. They are connected to while that
// address leads to nobody. The user needs +cluster|slots for it.
//
// After each loss it waits a random time of at most 50 ms, doubling up to 800 ms, and up to 5 s after a minute of
// failures. A subscription that lived for Config.SilenceLimit ends the row of failures. Several calls at once do not
// disturb each other.
func (p *PubSub) Run(ctx context.Context, sink func(tenant.Signal)) error {
	var known pulse
	return p.keepUp(ctx, sink, func(ctx context.Context, try *attempt) (time.Duration, error) {
		return p.session(ctx, try, sink, &known)
	})
}
