package redisevents

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// lookups is how many connections in a row it may take to find the right node of a Cluster.
const lookups = 3

// source is what every feed has: where its server is, and how the link to it is kept up.
type source struct {
	cfg    func() Config // a function, so that printing a feed does not print the password
	secure *tls.Config

	cluster *atomic.Bool // a server has said that it is a node of one, although that was not configured
	near    *neighbours

	dial     dialFunc
	backoff  retries
	protocol int // of RESP
}

// newSource returns the environment in its normal form, too.
func newSource(cfg Config, name string) (s source, environment string, err error) {
	if err := cfg.Validate(); err != nil {
		return source{}, "", err
	}
	if environment, err = tenant.ParseEnvironment(name); err != nil {
		return source{}, "", err
	}
	secure, err := cfg.tlsConfig()
	if err != nil {
		return source{}, "", err
	}
	cluster := &atomic.Bool{}
	return source{
		cfg: func() Config {
			cfg := cfg
			cfg.Cluster = cfg.Cluster || cluster.Load()
			return cfg
		},
		secure: secure, cluster: cluster, near: &neighbours{},
		dial: (&net.Dialer{}).DialContext, backoff: defaultBackoff(), protocol: 3,
	}, environment, nil
}

// keepUp runs one session after the other until ctx ends, and tells of each one's end. A session returns how long its
// subscription had lived, and why it ended.
func (s *source) keepUp(
	ctx context.Context, sink func(tenant.Signal), session func(context.Context, *attempt) (time.Duration, error),
) error {
	retry := s.backoff
	for try := new(attempt); ctx.Err() == nil; {
		lived, err := session(ctx, try)
		if ctx.Err() != nil {
			break
		}
		s.learn(err)
		try = try.next(lived > 0)
		sink(tenant.Signal{Kind: tenant.SignalLost, Err: classify(err, s.cfg().secrets())})
		if lived >= s.cfg().silenceLimit() {
			retry.reset()
		}
		pause(ctx, retry.next(time.Now()))
	}
	return ctx.Err()
}

// learn takes note when one server turns out to be a node of a Cluster, and when it says that it is none.
func (s *source) learn(err error) {
	switch {
	case begins(err, []string{"MOVED", "ASK"}) && s.cfg().MasterName == "":
		s.cluster.Store(true)
	case deniesCluster(err):
		s.cluster.Store(false)
		s.near.note(nil)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// link holds the connections of one session and ends it when nothing arrives.
type link struct {
	dials   *dialer
	silence *time.Timer // ends the session with ErrSilent
	end     context.CancelCauseFunc
	closed  chan struct{} // once every connection is
}

// open begins a session over one connection to one server, or over as many as nodes of a Cluster take. They are closed as
// soon as the ctx that is returned ends, which parent, silence and the link's end and close bring about.
func (s *source) open(parent context.Context, try *attempt, one bool) (context.Context, *link) {
	ctx, end := context.WithCancelCause(parent)
	limit := s.cfg().silenceLimit()
	l := &link{
		dials: &dialer{
			plain: s.dial, secure: s.secure, once: one, connected: func() { try.reached.Store(true) },
			routesTo: func(given string) []route { return s.near.routesTo(given, try.ahead) },
		},
		silence: time.AfterFunc(s.setupLimit(one), func() { end(ErrSilent) }),
		end:     end,
		closed:  make(chan struct{}),
	}
	if one {
		l.dials.connected = func() {
			try.reached.Store(true)
			l.silence.Reset(limit)
		}
	}
	context.AfterFunc(ctx, func() {
		defer close(l.closed)
		l.dials.closeAll()
	})
	return ctx, l
}

// setupLimit is how long the way up to the confirmation may take. With one server the dialer shortens it to the silence
// limit once the connection stands.
func (s *source) setupLimit(one bool) time.Duration {
	limit := dialTimeout + s.cfg().silenceLimit()
	if !one {
		limit += (lookups - 1) * dialTimeout
	}
	if s.near.any() {
		limit += nearLimit
	}
	if s.cfg().MasterName != "" {
		limit += time.Duration(len(s.cfg().Addrs)) * sentinelTimeout
	}
	return limit
}

// serverOptions are the driver's for the one connection of a session, to the server that it locates now.
func (s *source) serverOptions(ctx context.Context, l *link) (*redis.Options, error) {
	addr, err := s.cfg().locate(ctx, s.dial, s.secure)
	if err != nil {
		return nil, because(ctx, err)
	}
	options := s.driverOptions(ctx, l).Simple()
	options.Addr = addr
	options.ReadTimeout, options.WriteTimeout = -1, -1 // the link's timer does it
	return options, nil
}

// clusterOptions are the driver's for a session that leaves it to the driver to find the node that has a key.
func (s *source) clusterOptions(ctx context.Context, l *link) *redis.ClusterOptions {
	options := s.driverOptions(ctx, l).Cluster()
	options.ReadTimeout, options.WriteTimeout = s.cfg().silenceLimit(), s.cfg().silenceLimit()
	return options
}

func (s *source) driverOptions(ctx context.Context, l *link) *redis.UniversalOptions {
	options := s.cfg().driverOptions(l.dials.within(ctx))
	options.Protocol = s.protocol
	options.MaxRetries = -1  // a retry would wait in the middle of the handshake
	options.DialTimeout = -1 // none of the driver's: one dial may be that of several addresses, and each has its own bound
	return options
}

// close ends the session and closes what the driver has opened over its connections.
func (l *link) close(driver ...io.Closer) {
	l.silence.Stop()
	l.end(nil)
	<-l.closed // before the driver's own Close, which waits for a write that is under way
	for _, part := range driver {
		_ = part.Close()
	}
}

// because returns why ctx ended rather than what that did to the connection.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// guarded calls what reads from the driver. That asserts types and makes slices by what the server says; such a panic is
// an error of the connection and none of this process.
func guarded(read func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrProtocol, r)
		}
	}()
	return read()
}
