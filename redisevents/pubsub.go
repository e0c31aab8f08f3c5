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
}

var _ tenant.Feed = (*PubSub)(nil)

// NewPubSub returns a feed of the events of one environment or, with an empty environment, of all channels that
// carry events. It connects to nothing before Run. The error is that of Config.Validate.
func NewPubSub(cfg Config, environment string) (*PubSub, error) {
	from, err := newSource(cfg)
	if err != nil {
		return nil, err
	}
	p := &PubSub{source: from, channel: EnvironmentChannelName(environment)}
	if environment == "" {
		p.channel, p.pattern = ChannelPattern, true
	}
	return p, nil
}

// Run subscribes and delivers until ctx ends, and returns ctx's error within moments of that, whatever the connection
// is doing. It tells the sink:
//
//   - SignalSubscribed for every confirmed subscription,
//   - SignalEvent or SignalBadEvent for every message,
//   - SignalLost for every attempt that failed and for every subscription that broke, with the reason: [ErrSilent],
//     [ErrRefused], [ErrUnsubscribed], [ErrProtocol] or what the network said.
//
// After each loss it waits a random time of at most 50 ms, doubling up to 800 ms, and up to 5 s after a minute of
// failures. A subscription that lived for Config.SilenceLimit ends the row of failures. Several calls at once do not
// disturb each other.
func (p *PubSub) Run(ctx context.Context, sink func(tenant.Signal)) error {
	return p.keepUp(ctx, sink, func(ctx context.Context) (time.Duration, error) { return p.session(ctx, sink) })
}
