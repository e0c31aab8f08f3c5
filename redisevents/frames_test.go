package redisevents

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// choppyConn hands out at most size bytes by one Read.
type choppyConn struct {
	net.Conn

	size int
}

func (c *choppyConn) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), c.size)]) }

func TestD28FramesSplitAtEveryByte(t *testing.T) {
	const events = 20
	redis := testserver.StartRedis(t)
	publisher := newPublisher(t, configOf(redis), EnvironmentChannel)
	for _, env := range []string{environment, ""} {
		for _, protocol := range []int{2, 3} {
			for size := 1; size <= 64; size++ {
				t.Run(fmt.Sprintf("%q RESP%d %d bytes", env, protocol, size), func(t *testing.T) {
					feed := newFeed(t, configOf(redis), env)
					feed.protocol = protocol
					dial := feed.dial
					feed.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
						conn, err := dial(ctx, network, addr)
						return &choppyConn{Conn: conn, size: size}, err
					}
					expectAll(t, feed, publisher, events)
				})
			}
		}
	}
}

func TestD28BytesThatArriveOneByOne(t *testing.T) {
	redis := testserver.StartRedis(t)
	publisher := newPublisher(t, configOf(redis), EnvironmentChannel)
	for _, env := range []string{environment, ""} {
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%q RESP%d", env, protocol), func(t *testing.T) {
				proxy := testserver.NewProxy(t, redis.Addr())
				proxy.Set(testserver.SplitBytes)
				feed := newFeed(t, behind(proxy, soon), env)
				feed.protocol = protocol
				expectAll(t, feed, publisher, 100)
			})
		}
	}
}

func expectAll(t *testing.T, feed *PubSub, publisher *Publisher, n int) {
	t.Helper()
	var got recorder
	stop := listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	publish(t, publisher, 0, n)
	expectNumbered(t, got.wait(t, tenant.SignalEvent, n), 0)
	stop()
	if len(got.all()) != n+1 {
		t.Errorf("%d signals, want %d", len(got.all()), n+1)
	}
}
