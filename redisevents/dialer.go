package redisevents

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout bounds connecting and the TLS handshake together.
const dialTimeout = 5 * time.Second

// errRedial is what the driver gets when it wants to connect again by itself.
var errRedial = errors.New("connecting again is not left to the driver")

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// connect dials, through TLS if secure is not nil. Wrap, which may be nil, gets the plain connection below TLS.
func connect(
	ctx context.Context, dial dialFunc, secure *tls.Config, wrap func(net.Conn) (net.Conn, error), network, addr string,
) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if wrap != nil {
		if conn, err = wrap(conn); err != nil {
			return nil, err
		}
	}
	if secure != nil {
		return handshake(ctx, conn, secure, addr)
	}
	return conn, nil
}

// dialer makes the connections of one session, knows all that are open and closes them at the session's end. Closing
// the plain connection is the only thing that ends a read, a write or a handshake of the driver at once.
type dialer struct {
	plain     dialFunc
	secure    *tls.Config // nil without TLS
	once      bool        // a second dial is refused
	connected func()      // called after each dial that succeeded before seal
	budget    *atomic.Int64
	routesTo  func(addr string) []route // in the place of the first address; nil is that alone

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	begun  bool // there was a first dial
	sealed bool
	closed bool
	broke  error // the first that a connection's Read returned
}

// within returns the function for the driver. The session's ctx bounds every dial, also those that the driver makes
// with a ctx of its own.
func (d *dialer) within(session context.Context) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		first, ok := d.admit()
		if !ok {
			return nil, d.whyAgain()
		}
		routes := []route{{addrs: []string{addr}}}
		if first && d.routesTo != nil {
			routes = d.routesTo(addr)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(session, cancel)
		defer stop()
		conn, err := d.connectAny(ctx, network, routes)
		if err != nil {
			return nil, err
		}
		d.connected()
		return bounded(conn, d.budget), nil
	}
}

// seal refuses every dial from now on.
func (d *dialer) seal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sealed = true
}

// closeAll closes every connection, and those that are being made as soon as they are.
func (d *dialer) closeAll() {
	d.mu.Lock()
	d.sealed, d.closed = true, true
	conns := d.conns
	d.conns = nil
	d.mu.Unlock()
	for conn := range conns {
		_ = conn.Close()
	}
}

// admit reports whether there may be a dial, and whether it is the first.
func (d *dialer) admit() (first, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sealed {
		return false, false
	}
	first, d.begun = !d.begun, true
	d.sealed = d.once
	return first, true
}

// whyAgain is why the driver wants to connect again: what broke its connection, where that is known.
func (d *dialer) whyAgain() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broke != nil {
		return d.broke
	}
	return errRedial
}

func (d *dialer) track(conn net.Conn) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	if d.conns == nil {
		d.conns = make(map[net.Conn]struct{})
	}
	d.conns[conn] = struct{}{}
	return &trackedConn{Conn: conn, dialer: d}, nil
}

func (d *dialer) forget(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, conn)
}

func (d *dialer) broken(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broke == nil {
		d.broke = err
	}
}

// trackedConn tells its dialer when it breaks, and when the driver closes it.
type trackedConn struct {
	net.Conn

	dialer *dialer
}

// Read reads from the connection.
func (c *trackedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.dialer.broken(err)
	}
	return n, err
}

// Close closes the connection.
func (c *trackedConn) Close() error {
	c.dialer.forget(c.Conn)
	return c.Conn.Close()
}
