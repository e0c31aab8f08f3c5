package redisevents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// expectRecovery checks that the feed subscribes once more than before and hears events again.
func expectRecovery(t *testing.T, redis *testserver.Redis, got *recorder, subscribedBefore int) {
	t.Helper()
	got.wait(t, tenant.SignalSubscribed, subscribedBefore+1)
	before := got.count(tenant.SignalEvent)
	publish(t, newPublisher(t, configOf(redis), EnvironmentChannel), 0, 10)
	expectNumbered(t, got.wait(t, tenant.SignalEvent, before+10)[before:], 0)
}

func TestD20TheServerClosesTheConnection(t *testing.T) {
	redis := testserver.StartRedis(t)
	var got recorder
	listen(t, newFeed(t, configOf(redis), environment), got.sink)
	for i := range 5 {
		got.wait(t, tenant.SignalSubscribed, i+1)
		redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
		if lost := got.wait(t, tenant.SignalLost, i+1)[i]; !errors.Is(lost.Err, io.EOF) {
			t.Errorf("lost: %v", lost.Err)
		}
	}
	expectRecovery(t, redis, &got, 5)
}

func TestD20TheServerClosesTheSlowReader(t *testing.T) {
	t.Parallel()
	const tooMany = 60_000 // more than is read ahead, and fits into the buffers of the system and of the server
	redis := testserver.StartRedis(t)
	redis.Do(t.Context(), "CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1")
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	var slow sync.Once
	var got recorder
	listen(t, newFeed(t, configOf(redis), environment), func(signal tenant.Signal) {
		if signal.Kind == tenant.SignalEvent {
			slow.Do(func() { <-held })
		}
		got.sink(signal)
	})
	t.Cleanup(release)
	got.wait(t, tenant.SignalSubscribed, 1)
	flood(t, redis, tooMany)
	eventually(t, "the server to close the connection", func() bool {
		return redis.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub") == ""
	})
	release()
	got.wait(t, tenant.SignalLost, 1)
	if n := got.count(tenant.SignalEvent); n >= tooMany {
		t.Errorf("%d events came all the same", n)
	}
	expectRecovery(t, redis, &got, 1)
}

// TestD27AHundredFailures lets every way to fail happen a hundred times in a row, and then looks for what is left.
func TestD27AHundredFailures(t *testing.T) {
	const times = 100
	redis := testserver.StartRedis(t)
	redis.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">secret", "resetchannels", "+@all")
	tests := []struct {
		name       string
		mode       testserver.Mode
		user       string
		subscribed bool
		want       error
	}{
		{"refused by the ACL", testserver.Pass, "narrow", false, ErrRefused},
		{"wrong password", testserver.Pass, "nobody", false, ErrRefused},
		{"accepted and never answered", testserver.Mute, "", false, ErrSilent},
		{"accepted and silent", testserver.Silence, "", false, ErrSilent},
		{"accepted and closed", testserver.Refuse, "", false, io.EOF},
		{"accepted and reset", testserver.Reset, "", false, nil},
		{"cut in the handshake", testserver.CutAfter(20), "", false, nil},
		{"confirmed and closed", testserver.Pass, "", true, io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, redis.Addr())
			proxy.Set(tt.mode)
			connections, before := redis.Connections(t.Context()), takeFootprint(t)
			cfg := behind(proxy, time.Minute)
			if errors.Is(tt.want, ErrSilent) {
				cfg.SilenceLimit = 20 * time.Millisecond
			}
			if tt.user != "" {
				cfg.Username, cfg.Password = tt.user, "secret"
			}
			var got recorder
			stop := listen(t, newFeed(t, cfg, environment), func(signal tenant.Signal) {
				if signal.Kind == tenant.SignalSubscribed {
					redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
				}
				if open := proxy.Conns(); signal.Kind == tenant.SignalLost && open > times/10 {
					t.Errorf("%d connections are open", open) // some may be on their way out, on a machine that is busy
				}
				got.sink(signal)
			})
			lost := got.wait(t, tenant.SignalLost, times)
			stop()
			for _, signal := range lost {
				if signal.Err == nil || tt.want != nil && !errors.Is(signal.Err, tt.want) {
					t.Fatalf("lost: %v, want %v", signal.Err, tt.want)
				}
			}
			if n := got.count(tenant.SignalSubscribed); tt.subscribed != (n >= times) || !tt.subscribed && n != 0 {
				t.Errorf("told %d times of a subscription", n)
			}
			eventually(t, "no connection", func() bool { return proxy.Conns() == 0 })
			eventually(t, "no connection at the server", func() bool { return redis.Connections(t.Context()) <= connections })
			expectFootprint(t, before)
		})
	}
}

func TestD27APingThatIsRefused(t *testing.T) {
	redis := testserver.StartRedis(t)
	redis.Do(t.Context(), "ACL", "SETUSER", "noping", "on", ">secret", "allchannels", "+@all", "-ping")
	cfg := configOf(redis)
	cfg.Username, cfg.Password, cfg.SilenceLimit = "noping", "secret", shortLimit
	var got recorder
	listen(t, newFeed(t, cfg, ""), got.sink)
	if lost := got.wait(t, tenant.SignalLost, 1)[0]; !errors.Is(lost.Err, ErrRefused) {
		t.Errorf("lost: %v, want %v", lost.Err, ErrRefused)
	}
}

// TestFaultsOfAnOpenLink breaks a link that is up, in each of the ways that connections break.
func TestFaultsOfAnOpenLink(t *testing.T) {
	redis := testserver.StartRedis(t)
	tests := []struct {
		name string
		mode testserver.Mode
		want error
	}{
		{"closed", testserver.Close, io.EOF},
		{"reset", testserver.Reset, nil},
		{"silence", testserver.Silence, ErrSilent},
		{"trickle", testserver.Trickle, ErrSilent},
		{"never answered", testserver.Mute, ErrSilent},
		{"cut in a frame", testserver.CutAfter(3), nil},
	}
	for _, tt := range tests {
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s RESP%d", tt.name, protocol), func(t *testing.T) {
				proxy := testserver.NewProxy(t, redis.Addr())
				feed := newFeed(t, behind(proxy, shortLimit), environment)
				feed.protocol = protocol
				var got recorder
				listen(t, feed, got.sink)
				got.wait(t, tenant.SignalSubscribed, 1)
				proxy.Set(tt.mode)
				redis.Do(t.Context(), "PUBLISH", EnvironmentChannelName(environment), "a long text that trickles")
				lost := got.wait(t, tenant.SignalLost, 1)[0]
				if lost.Err == nil || tt.want != nil && !errors.Is(lost.Err, tt.want) {
					t.Errorf("lost: %v, want %v", lost.Err, tt.want)
				}
				proxy.Set(testserver.Pass)
				expectRecovery(t, redis, &got, 1)
			})
		}
	}
}

func TestAServerThatStandsStill(t *testing.T) {
	redis := testserver.StartRedis(t)
	cfg := configOf(redis)
	cfg.SilenceLimit = shortLimit
	var got recorder
	listen(t, newFeed(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	redis.Pause()
	for _, lost := range got.wait(t, tenant.SignalLost, 3) { // the later ones are silent while it subscribes
		if !errors.Is(lost.Err, ErrSilent) {
			t.Errorf("lost: %v, want %v", lost.Err, ErrSilent)
		}
	}
	redis.Resume()
	expectRecovery(t, redis, &got, 1)
}

func TestAServerThatDiesAndComesBack(t *testing.T) {
	redis := testserver.StartRedis(t)
	var got recorder
	listen(t, newFeed(t, configOf(redis), environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	redis.Kill()
	lost := got.wait(t, tenant.SignalLost, 5)
	if !errors.Is(lost[4].Err, syscall.ECONNREFUSED) {
		t.Errorf("lost: %v, want %v", lost[4].Err, syscall.ECONNREFUSED)
	}
	redis.Start()
	expectRecovery(t, redis, &got, 1)
}

func TestD27TheSubscriptionIsNeverConfirmed(t *testing.T) {
	feed := newFeed(t, Config{Host: "fake", SilenceLimit: 20 * time.Millisecond}, environment)
	fakeServer(t, feed, false, waitForClient)
	var got recorder
	listen(t, feed, got.sink)
	for _, lost := range got.wait(t, tenant.SignalLost, 100) {
		if !errors.Is(lost.Err, ErrSilent) {
			t.Fatalf("lost: %v, want %v", lost.Err, ErrSilent)
		}
	}
	if n := got.count(tenant.SignalSubscribed); n != 0 {
		t.Errorf("told %d times of a subscription", n)
	}
}

// TestRunEndsWithItsContext ends ctx in every state that the feed can be in. None of its own time limits is short
// enough to be what ends Run.
func TestRunEndsWithItsContext(t *testing.T) {
	const atOnce = 3 * time.Second // and dialling alone may take five
	redis := testserver.StartRedis(t)
	tests := []struct {
		name  string
		mode  testserver.Mode // before the connection
		after testserver.Mode // once it is subscribed
		tls   bool
		setUp func(feed *PubSub)
	}{
		{name: "subscribed"},
		{name: "silent", after: testserver.Silence},
		{name: "trickle", after: testserver.Trickle},
		{name: "handshake never answered", mode: testserver.Mute},
		{name: "handshake trickles", mode: testserver.Trickle},
		{name: "TLS handshake never answered", mode: testserver.Mute, tls: true},
		{name: "waiting before the next attempt", mode: testserver.Refuse, setUp: func(feed *PubSub) {
			feed.backoff.First, feed.backoff.Most = 1<<62, 1<<62
		}},
		{name: "dialling", mode: testserver.Mute, setUp: func(feed *PubSub) {
			dial := feed.dial
			feed.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr) // so that the proxy shows where we are
				if err == nil {
					<-ctx.Done()
					_ = conn.Close()
				}
				return nil, errors.Join(err, ctx.Err())
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := testserver.NewProxy(t, redis.Addr())
			proxy.Set(tt.mode)
			cfg := behind(proxy, time.Minute)
			cfg.TLS = tt.tls
			feed := newFeed(t, cfg, environment)
			if tt.setUp != nil {
				tt.setUp(feed)
			}
			var got recorder
			stop := listen(t, feed, got.sink)
			eventually(t, "a connection", func() bool { return proxy.Accepted() == 1 })
			if tt.mode == testserver.Pass {
				got.wait(t, tenant.SignalSubscribed, 1)
			}
			if tt.mode == testserver.Refuse {
				got.wait(t, tenant.SignalLost, 1)
			}
			proxy.Set(max(tt.mode, tt.after))
			told := len(got.all())
			began := time.Now()
			stop()
			if took := time.Since(began); took > atOnce {
				t.Errorf("Run returned after %s", took)
			}
			if len(got.all()) != told {
				t.Errorf("told %v when ctx ended", got.all()[told:])
			}
			eventually(t, "no connection", func() bool { return proxy.Conns() == 0 })
		})
	}
}

func TestRunEndsWhileItWaitsForTheConfirmation(t *testing.T) {
	feed := newFeed(t, Config{Host: "fake", SilenceLimit: time.Minute}, environment)
	asked := make(chan struct{})
	fakeServer(t, feed, false, func(conn net.Conn, lines *bufio.Scanner) {
		close(asked)
		waitForClient(conn, lines)
	})
	var got recorder
	stop := listen(t, feed, got.sink)
	<-asked
	stop()
	if len(got.all()) != 0 {
		t.Errorf("told %v", got.all())
	}
}
