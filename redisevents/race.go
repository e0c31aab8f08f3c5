package redisevents

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"
)

// route is some addresses, of which any one will do.
type route struct {
	addrs []string
	limit time.Duration // of all of them together; zero is that of one dial
}

// raceStep is how long an address has for itself before the next one is dialled beside it.
const raceStep = 200 * time.Millisecond

// connectAny connects by the first route that leads anywhere, and returns all errors if none does.
func (d *dialer) connectAny(ctx context.Context, network string, routes []route) (net.Conn, error) {
	var errs []error
	for _, route := range routes {
		conn, failed := d.race(ctx, network, route)
		if conn != nil {
			return conn, nil
		}
		if errs = append(errs, failed...); ctx.Err() != nil {
			break
		}
	}
	switch len(errs) {
	case 0: // the time was over before the first dial
		return nil, cmp.Or(context.Cause(ctx), context.DeadlineExceeded)
	case 1:
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

// dialled is how one dial ended.
type dialled struct {
	conn net.Conn
	err  error
}

// race dials the addresses side by side, the next one when one has failed or has had its time alone. It returns the first
// connection, or all errors, and leaves no other dial behind.
func (d *dialer) race(ctx context.Context, network string, route route) (net.Conn, []error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(route.limit, dialTimeout))
	defer cancel()
	ended := make(chan dialled, len(route.addrs)) // nobody waits to be heard
	next := time.NewTimer(0)
	defer next.Stop()
	var errs []error
	for begun := 0; begun > len(errs) || begun < len(route.addrs) && ctx.Err() == nil; {
		select {
		case <-next.C:
			if begun < len(route.addrs) && ctx.Err() == nil {
				go d.dialInto(ctx, network, route.addrs[begun], ended)
				begun++
				next.Reset(raceStep)
			}
		case one := <-ended:
			if one.err == nil {
				cancel()
				closeLate(ended, begun-len(errs)-1)
				return one.conn, nil
			}
			errs = append(errs, one.err)
			next.Reset(0)
		}
	}
	return nil, errs
}

func (d *dialer) dialInto(ctx context.Context, network, addr string, ended chan<- dialled) {
	conn, err := connect(ctx, d.plain, d.secure, d.track, network, addr)
	ended <- dialled{conn, err}
}

// closeLate waits for as many dials, and closes what they have connected to after all.
func closeLate(ended <-chan dialled, dials int) {
	for range dials {
		if late := <-ended; late.conn != nil {
			_ = late.conn.Close()
		}
	}
}
