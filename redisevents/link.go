package redisevents

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// lookups is how many connections in a row a Cluster or Sentinels may take to find the right server.
const lookups = 3

// source is what every feed has: where its server is, and how the link to it is kept up.
type source struct {
	cfg    func() Config // a function, so that printing a feed does not print the password
	secure *tls.Config

	dial     dialFunc
	backoff  backoff
	protocol int // of RESP
}

func newSource(cfg Config) (source, error) {
	if err := cfg.Validate(); err != nil {
		return source{}, err
	}
	secure, err := cfg.tlsConfig()
	if err != nil {
		return source{}, err
	}
	return source{
		cfg: func() Config { return cfg }, secure: secure,
		dial: (&net.Dialer{}).DialContext, backoff: defaultBackoff(), protocol: 3,
	}, nil
}

// keepUp runs one session after the other until ctx ends, and tells of each one's end. A session returns how long its
// subscription had lived, and why it ended.
func (s *source) keepUp(
	ctx context.Context, sink func(tenant.Signal), session func(context.Context) (time.Duration, error),
) error {
	retry := s.backoff
	for ctx.Err() == nil {
		lived, err := session(ctx)
		if ctx.Err() != nil {
			break
		}
		sink(tenant.Signal{Kind: tenant.SignalLost, Err: classify(err, s.cfg().Password)})
		if lived >= s.cfg().silenceLimit() {
			retry.reset()
		}
		pause(ctx, retry.next(time.Now()))
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// driverOptions are those for a session, whose connections dial makes.
func (s *source) driverOptions(dial dialFunc) *redis.UniversalOptions {
	options := s.cfg().driverOptions(dial)
	options.Protocol = s.protocol
	options.MaxRetries = -1                            // a retry would wait in the middle of the handshake
	options.ReadTimeout, options.WriteTimeout = -1, -1 // the link's timer does it
	if !s.cfg().isSingle() {
		options.ReadTimeout, options.WriteTimeout = s.cfg().silenceLimit(), s.cfg().silenceLimit()
	}
	return options
}

// link holds the connections of one session and ends it when nothing arrives.
type link struct {
	dials   *dialer
	silence *time.Timer // ends the session with ErrSilent
	end     context.CancelCauseFunc
	closed  chan struct{} // once every connection is
}

// open begins a session. Its connections are closed as soon as the ctx that is returned ends, which parent, silence and
// the link's end and close bring about.
func (s *source) open(parent context.Context) (context.Context, *link) {
	ctx, end := context.WithCancelCause(parent)
	limit := s.cfg().silenceLimit()
	l := &link{
		dials:   &dialer{plain: s.dial, secure: s.secure, once: s.cfg().isSingle(), connected: func() {}},
		silence: time.AfterFunc(s.setupLimit(), func() { end(ErrSilent) }),
		end:     end,
		closed:  make(chan struct{}),
	}
	if l.dials.once {
		l.dials.connected = func() { l.silence.Reset(limit) }
	}
	context.AfterFunc(ctx, func() {
		defer close(l.closed)
		l.dials.closeAll()
	})
	return ctx, l
}

// setupLimit is how long the way up to the confirmation may take. With one server the dialer shortens it to the silence
// limit once the connection stands.
func (s *source) setupLimit() time.Duration {
	if s.cfg().isSingle() {
		return dialTimeout + s.cfg().silenceLimit()
	}
	return lookups*dialTimeout + s.cfg().silenceLimit()
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
