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
	// Redis is where. Required.
	Redis Config
	// Channels says on which channels. The zero value is [EnvironmentChannel].
	Channels Channels
	// Stream has each event added to the stream of its environment ([StreamKey]) as well.
	Stream bool
	// StreamLength is how many of the newest entries the stream keeps; up to some hundred more, since Redis trims it by whole
	// blocks. Zero or less means 10,000. A [Stream] feed that is away for longer than it takes to publish that many has missed
	// some. It says nothing without Stream.
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

// NewPublisher returns a publisher. It connects to nothing before the first Publish. The error is that of
// Config.Validate.
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

// Publish announces one event, and returns nil once Redis has taken it on every channel that it goes to, and
// into the stream. That anybody listened is not said.
//
// An event that no reader would accept is an [tenant.EventError]. [ErrRefused] means that Redis answered with an error
// to one of them; the others may have it. With [ErrUnready] it is an error that every event would have got, with
// [ErrForbidden] one that every event of its tenant would have got. After any
// other error the event may have been announced or not, so whoever publishes it again does so with the same EventID. In a
// Cluster a channel's events go to the node that owns the slot of its name, for the sake of their order, and fail while no
// node does. When ctx has a deadline the call ends by then; a cancelled ctx it may outlive by some seconds.
func (p *Publisher) Publish(ctx context.Context, evt tenant.Event) error {
	data, err := encode(evt)
	if err != nil {
		return err
	}
	return p.PublishAll(ctx, [][]byte{data})[0]
}

// PublishAll announces events that are given in their JSON form, byte for byte, and returns an error for each, in the same
// order, which is nil once Redis has taken the event on every channel and into the stream.
//
// Events of different tenants travel together. Those of one tenant are sent in the order given, each once the one before
// it was taken: after one that failed, the tenant's later ones are [ErrSkipped], and so are those that ctx left no time
// for, and all that are left once no answer came or the server is not one to publish to. A stream alone that does not take
// an event stops nothing on the channels: that event, and the tenant's later ones, are [ErrNotInStream]. Up to 64 events
// are sent in the order given, whatever tenants they are of; of more, one whose tenant has several may be overtaken by
// those of others, for about a tenth of a second.
//
// What [tenant.ParseEvent] refuses is an [tenant.EventError] and is not sent; it does not stop the tenant. The other errors
// are those of Publish. When ctx has a deadline the call ends by then.
func (p *Publisher) PublishAll(ctx context.Context, events [][]byte) []error {
	return p.newBatch(events, toChannels|toStream).run(ctx)
}

// AnnounceAll is PublishAll without the stream.
func (p *Publisher) AnnounceAll(ctx context.Context, events [][]byte) []error {
	return p.newBatch(events, toChannels).run(ctx)
}

// AppendAll is PublishAll without the channels, for events that are [ErrNotInStream].
func (p *Publisher) AppendAll(ctx context.Context, events [][]byte) []error {
	return p.newBatch(events, toStream).run(ctx)
}

// Heartbeat tells listeners of the environment, which may be empty, the newest version whose events were announced, so
// that one who has missed the last of them notices. A manager that sends heartbeats sends one every [HeartbeatInterval]
// for as long as it lives: who has heard one takes their absence for a loss. A version without an epoch is an error; the
// others are those of Publish.
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

// Close closes the connections. A Publish after it fails.
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
