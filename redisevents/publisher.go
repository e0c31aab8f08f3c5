package redisevents

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	publishTimeout = 5 * time.Second
	publishRetries = 1
	// connectionLife is how long a connection is used, since a name or a balancer may have come to lead elsewhere and the
	// server that it leads to no more need not know.
	connectionLife = time.Minute
	// defaultStreamLength is some megabytes of usual events.
	defaultStreamLength = 10_000
)

// PublisherConfig says where a [Publisher] announces events. Redis is required.
type PublisherConfig struct {
	// Redis says how to reach the server. Required.
	Redis Config
	// Channels says on which channels events are announced. The zero value is [EnvironmentChannel].
	Channels Channels
	// Stream says that each event is also added to the stream of its environment ([StreamKey]).
	Stream bool
	// StreamLength is how many of the newest entries the stream keeps. It may keep a few hundred more, because Redis
	// trims in whole blocks. Zero or less means 10,000. A [Stream] feed misses entries when more than this many are
	// published while it is disconnected. StreamLength has no effect without Stream.
	StreamLength int64
}

// Publisher announces events on Redis Pub/Sub and, with PublisherConfig.Stream, on a stream too. Its methods may be called from any
// goroutine.
type Publisher struct {
	clients  *clients
	channels Channels
	keep     int64 // entries of the stream; zero: there is none
	dial     dialFunc
	secrets  func() []string // a function, so that printing a Publisher does not print them
}

// NewPublisher returns a publisher. It does not connect before the first event. The error is that of [Config.Validate].
func NewPublisher(config PublisherConfig) (*Publisher, error) {
	cfg := config.Redis
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	secure, err := cfg.tlsConfig()
	if err != nil {
		return nil, err
	}
	p := &Publisher{clients: &clients{fixed: cfg.isCluster(), again: joinAgain}, channels: config.Channels, secrets: cfg.secrets, dial: dialAbortive}
	driver := cfg.driverOptions(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if cfg.MasterName != "" {
			master, err := cfg.locate(ctx, p.dial, secure)
			if err != nil {
				return nil, err
			}
			addr = master
		}
		conn, err := connect(ctx, p.dial, secure, nil, network, addr)
		if err != nil {
			return nil, err
		}
		return bounded(conn, nil), nil
	})
	driver.ReadTimeout, driver.WriteTimeout = publishTimeout, publishTimeout
	driver.MaxRetries = publishRetries
	driver.ConnMaxLifetime = connectionLife
	if config.Stream {
		p.keep = defaultStreamLength
		if config.StreamLength > 0 {
			p.keep = config.StreamLength
		}
	}
	p.clients.open = func(cluster bool) redis.UniversalClient {
		if cluster {
			return redis.NewClusterClient(driver.Cluster())
		}
		return redis.NewClient(driver.Simple())
	}
	return p, nil
}

// Publish announces one event. It returns nil once Redis has accepted the event on all its channels and in the stream.
// That does not mean that anybody received it.
//
// Publish returns a [tenant.EventError] for an event that no reader would accept. [ErrRefused] means that Redis answered
// with an error on one of the channels or on the stream; the others may have the event. With [ErrUnready] every other event
// would get the same error; with [ErrForbidden] every other event of the same tenant would. After any other error the event
// may have been announced or not. So when you publish an event again, keep its EventID.
//
// In a Cluster the events of a channel go to the node that owns the slot of the channel's name, to keep their order. They
// fail while no node owns the slot. When ctx has a deadline, Publish returns by then. When ctx is cancelled, Publish may
// take some more seconds to return.
func (p *Publisher) Publish(ctx context.Context, evt tenant.Event) error {
	data, err := encode(evt)
	if err != nil {
		return err
	}
	return p.PublishAll(ctx, [][]byte{data})[0]
}

// PublishAll announces events that are given in their JSON form, byte for byte. It returns one error for each event, in
// the same order. The error is nil when Redis has accepted the event on all its channels and in the stream.
//
// The events of one tenant are sent in the given order, each after Redis has accepted the one before it. When an event
// fails, the later events of its tenant get [ErrSkipped]. So do events for which ctx left no time, and all remaining events
// when the server does not answer or is not one to publish to. When only the stream refuses an event, the channels still
// get it and all later ones; in the result that event and the later ones of its tenant have [ErrNotInStream].
//
// Events of different tenants are sent together. Up to 64 events are sent in the given order, whatever their tenants are.
// Among more events, one whose tenant has several may be overtaken by events of other tenants, for about a tenth of a
// second.
//
// An event that [tenant.ParseEvent] refuses is not sent and gets a [tenant.EventError]; the later events of its tenant
// are sent. The other errors are those of [Publisher.Publish]. When ctx has a deadline, PublishAll returns by then.
func (p *Publisher) PublishAll(ctx context.Context, events [][]byte) []error {
	return p.newBatch(events, toChannels|toStream).run(ctx)
}

// AnnounceAll is like [Publisher.PublishAll], but leaves out the stream.
func (p *Publisher) AnnounceAll(ctx context.Context, events [][]byte) []error {
	return p.newBatch(events, toChannels).run(ctx)
}

// AppendAll is like [Publisher.PublishAll], but leaves out the channels. It is for events that got [ErrNotInStream].
func (p *Publisher) AppendAll(ctx context.Context, events [][]byte) []error {
	return p.newBatch(events, toStream).run(ctx)
}

// Heartbeat sends the newest version whose events were announced to the readers of an environment, which may be empty.
// A reader that has missed the last events notices by it. A manager that has sent one heartbeat has to go on and send
// one every [HeartbeatInterval], because readers take missing heartbeats for a loss. A version without an epoch is an
// error. The other errors are those of [Publisher.Publish].
func (p *Publisher) Heartbeat(ctx context.Context, environment string, v tenant.Version) error {
	data, err := encodeHeartbeat(v, time.Now())
	if err == nil {
		environment, err = tenant.ParseEnvironment(environment)
	}
	if err == nil {
		beat := publishing(ctx, HeartbeatChannelName(environment), data)
		err = cmp.Or(p.exchange(ctx, []redis.Cmder{beat}), classify(beat.Err(), p.secrets()))
	}
	if err != nil {
		return fmt.Errorf("publish heartbeat: %w", err)
	}
	return nil
}

// Close closes the connections. A later call of Publish fails.
func (p *Publisher) Close() error {
	if err := p.clients.close(); err != nil {
		return fmt.Errorf("close the Redis client: %w", err)
	}
	return nil
}

// dialAbortive makes a connection that drops what it has not got through when it is closed. Otherwise the kernel would go on
// sending it after a publish was given up, and once the network is back an event of before would come behind those that were
// sent on the next connection.
func dialAbortive(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if plain, ok := conn.(*net.TCPConn); ok {
		if err := plain.SetLinger(0); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// publishing returns the commands that announce an event on its channels.
func (p *Publisher) publishing(ctx context.Context, evt tenant.Event, data []byte) []redis.Cmder {
	var commands []redis.Cmder
	for _, channel := range p.channels.of(evt.Environment, evt.TenantID) {
		commands = append(commands, publishing(ctx, channel, data))
	}
	return commands
}

// publishing returns a PUBLISH. A Cluster takes a message at any node, and two messages that went to two nodes may change
// places. So the driver is told that the channel is a key: one channel, one node.
func publishing(ctx context.Context, channel string, data []byte) redis.Cmder {
	publish := redis.NewIntCmd(ctx, "publish", channel, data)
	publish.SetFirstKeyPos(1)
	return publish
}

// adding returns the command that puts an event into the stream, if there is one.
func (p *Publisher) adding(ctx context.Context, evt tenant.Event, data []byte) []redis.Cmder {
	if p.keep <= 0 {
		return nil
	}
	add := redis.NewStringCmd(ctx, "xadd", StreamKey(evt.Environment), "maxlen", "~", p.keep, "*", streamField, data)
	return []redis.Cmder{add}
}

// encode refuses what [tenant.ParseEvent] would refuse.
func encode(evt tenant.Event) ([]byte, error) {
	if err := evt.Validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(evt)
	if err == nil && len(data) > tenant.MaxEventBytes {
		err = fmt.Errorf("%d bytes, the most is %d", len(data), tenant.MaxEventBytes)
	}
	if err != nil {
		return nil, &tenant.EventError{EventID: evt.EventID, EventType: evt.EventType, Reason: err.Error()}
	}
	return data, nil
}
