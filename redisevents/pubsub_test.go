package redisevents

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestEventsArriveInOrder(t *testing.T) {
	redis := testserver.StartRedis(t)
	tests := []struct {
		name        string
		environment string
		channels    Channels
	}{
		{"environment", environment, EnvironmentChannel},
		{"environment, both announced", environment, BothChannels},
		{"pattern, per tenant", "", TenantChannel},
		{"pattern, per environment", "", EnvironmentChannel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const n = 200
			var got recorder
			listen(t, newFeed(t, configOf(redis), tt.environment), got.sink)
			got.wait(t, tenant.SignalSubscribed, 1)
			publish(t, newPublisher(t, configOf(redis), tt.channels), 0, n)
			expectNumbered(t, got.wait(t, tenant.SignalEvent, n), 0)
			if len(got.all()) != n+1 || got.all()[0].Kind != tenant.SignalSubscribed {
				t.Errorf("%d signals, the first %s", len(got.all()), got.all()[0].Kind)
			}
		})
	}
}

func TestOtherEnvironmentsAndTenantChannelsAreNotHeard(t *testing.T) {
	server := miniredis.RunT(t)
	cfg := Config{Addrs: []string{server.Addr()}}
	var got recorder
	listen(t, newFeed(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	server.Publish("tenant-events:production:", "other")
	server.Publish("tenant-events:t1", "other")
	publish(t, newPublisher(t, cfg, EnvironmentChannel), 0, 1)
	got.wait(t, tenant.SignalEvent, 1)
	if bad := got.of(tenant.SignalBadEvent); len(bad) != 0 {
		t.Errorf("heard %v", bad[0].Err)
	}
}

func TestBadEventsAreToldAndPassedOver(t *testing.T) {
	redis := testserver.StartRedis(t)
	var got recorder
	listen(t, newFeed(t, configOf(redis), environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	for _, text := range []string{"", "{", "\xff", `{"event_type":"tenant.created"}`, strings.Repeat(" ", 2<<20)} {
		redis.Do(t.Context(), "PUBLISH", EnvironmentChannelName(environment), text)
	}
	publish(t, newPublisher(t, configOf(redis), EnvironmentChannel), 0, 1)
	got.wait(t, tenant.SignalEvent, 1)
	bad := got.of(tenant.SignalBadEvent)
	if len(bad) != 5 {
		t.Fatalf("%d bad events, want 5", len(bad))
	}
	for _, signal := range bad {
		if !errors.Is(signal.Err, tenant.ErrInvalidEvent) {
			t.Errorf("told %v", signal.Err)
		}
	}
	if lost := got.of(tenant.SignalLost); len(lost) != 0 {
		t.Errorf("lost: %v", lost[0].Err)
	}
}

func TestD29FiftyThousandEventsAtFullSpeed(t *testing.T) {
	const n = 50_000
	redis := testserver.StartRedis(t)
	var events, others atomic.Int64
	var got recorder
	listen(t, newFeed(t, configOf(redis), environment), func(signal tenant.Signal) {
		if signal.Kind != tenant.SignalEvent {
			got.sink(signal)
			others.Add(1)
			return
		}
		events.Add(1)
	})
	got.wait(t, tenant.SignalSubscribed, 1)
	flood(t, redis, n)
	eventually(t, "all events", func() bool { return events.Load() == n })
	if others.Load() != 1 {
		t.Errorf("told more than events: %v", got.all())
	}
}

// flood publishes n events of 1 KB as fast as Redis takes them.
func flood(t testing.TB, redis *testserver.Redis, n int) {
	t.Helper()
	event := []byte(fmt.Sprintf(`{"event_type":"tenant.updated","tenant_id":"t1","tenant_slug":%q}`, strings.Repeat("x", 960)))
	for sent := 0; sent < n; sent += 1000 {
		pipe := redis.Client().Pipeline()
		for range min(1000, n-sent) {
			pipe.Publish(t.Context(), EnvironmentChannelName(environment), event)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnIdleLinkStaysUp(t *testing.T) {
	t.Parallel()
	redis := testserver.StartRedis(t)
	for _, protocol := range []int{2, 3} {
		proxy := testserver.NewProxy(t, redis.Addr())
		feed := newFeed(t, behind(proxy, shortLimit), environment)
		feed.protocol = protocol
		var got recorder
		stop := listen(t, feed, got.sink)
		got.wait(t, tenant.SignalSubscribed, 1)
		redis.Do(t.Context(), "CONFIG", "RESETSTAT")
		eventually(t, "pings for four limits", func() bool {
			return pings(t, redis) >= 4*pingsPerLimit
		})
		stop()
		if len(got.all()) != 1 || proxy.Accepted() != 1 {
			t.Errorf("RESP%d: %d signals on %d connections, want one of each", protocol, len(got.all()), proxy.Accepted())
		}
	}
}

// pings returns how many the server has counted.
func pings(t *testing.T, redis *testserver.Redis) int {
	t.Helper()
	stats, _ := redis.Do(t.Context(), "INFO", "commandstats").(string)
	_, after, _ := strings.Cut(stats, "cmdstat_ping:calls=")
	calls, _, _ := strings.Cut(after, ",")
	n, _ := strconv.Atoi(calls) // none is zero
	return n
}

func TestWhatTheServerSaysInMidSession(t *testing.T) {
	tests := []struct {
		name string
		says string
		want error // nil: told as subscribed once more
	}{
		{"subscribed again by the driver", confirmation, nil},
		{"unsubscribed", strings.Replace(confirmation, "$9\r\n", "$11\r\nun", 1), ErrUnsubscribed},
		{"an error", "-NOPERM this user has no permissions\r\n", ErrRefused},
		{"an empty array", "*0\r\n", ErrProtocol},
		{"numbers", "*3\r\n:1\r\n:2\r\n:3\r\n", ErrProtocol},
		{"a message without its text", "*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", ErrProtocol},
		{"nothing of RESP", "HTTP/1.1 400 Bad Request\r\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			feed := newFeed(t, Config{Host: "fake"}, environment)
			fakeServer(t, feed, true, func(conn net.Conn, lines *bufio.Scanner) {
				_, _ = conn.Write([]byte(tt.says))
				waitForClient(conn, lines)
			})
			var got recorder
			listen(t, feed, got.sink)
			got.wait(t, tenant.SignalSubscribed, 2)
			lost := got.of(tenant.SignalLost)
			if tt.says == confirmation {
				if len(lost) != 0 {
					t.Errorf("lost: %v", lost[0].Err)
				}
				return
			}
			if lost[0].Err == nil || tt.want != nil && !errors.Is(lost[0].Err, tt.want) {
				t.Errorf("lost: %v, want %v", lost[0].Err, tt.want)
			}
		})
	}
}
