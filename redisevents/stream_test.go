package redisevents

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// newStream makes a feed that hardly waits between two attempts.
func newStream(t testing.TB, cfg Config, environment string) *Stream {
	t.Helper()
	feed, err := NewStream(cfg, environment)
	if err != nil {
		t.Fatal(err)
	}
	feed.backoff.First, feed.backoff.Most = time.Millisecond, 5*time.Millisecond
	return feed
}

// appendEvent adds the event numbered i with an id of our own choice, "*" for the server's.
func appendEvent(t testing.TB, client *redis.Client, id string, i int) {
	t.Helper()
	text := fmt.Sprintf(`{"event_type":"tenant.updated","tenant_id":"t","event_id":"%d"}`, i)
	args := &redis.XAddArgs{Stream: StreamKey(environment), ID: id, Values: []any{streamField, text}}
	if err := client.XAdd(t.Context(), args).Err(); err != nil {
		t.Fatal(err)
	}
}

// streamBench is a stream feed that has read the events 0 to 4, whose ids are 1000-0 to 1004-0.
func streamBench(t *testing.T) (*testserver.Redis, *testserver.Proxy, *recorder) {
	t.Helper()
	server := testserver.StartRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	got := &recorder{}
	listen(t, newStream(t, behind(proxy, shortLimit), environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	for i := range 5 {
		appendEvent(t, server.Client(), fmt.Sprintf("%d-0", 1000+i), i)
	}
	expectNumbered(t, got.wait(t, tenant.SignalEvent, 5), 0)
	return server, proxy, got
}

// TestD21WhatHappensToAStream changes the stream under a feed that waits for news, and under one that is away.
func TestD21WhatHappensToAStream(t *testing.T) {
	key := StreamKey(environment)
	tests := []struct {
		name   string
		change func(t *testing.T, server *testserver.Redis)
		want   int // events that come of the change, numbered from 5
		gap    bool
	}{
		{"nothing", func(*testing.T, *testserver.Redis) {}, 0, false},
		{"more of it", func(t *testing.T, server *testserver.Redis) { appendEvent(t, server.Client(), "2000-0", 5) }, 1, false},
		{"trimmed up to our id", func(t *testing.T, server *testserver.Redis) {
			server.Do(t.Context(), "XTRIM", key, "MINID", "1004-0")
		}, 0, false},
		{"trimmed to nothing", func(t *testing.T, server *testserver.Redis) { server.Do(t.Context(), "XTRIM", key, "MAXLEN", "0") }, 0, true},
		{"the key deleted", func(t *testing.T, server *testserver.Redis) { server.Do(t.Context(), "DEL", key) }, 0, true},
		{"FLUSHALL", func(t *testing.T, server *testserver.Redis) { server.Do(t.Context(), "FLUSHALL") }, 0, true},
		{"deleted, and begun again with higher ids", func(t *testing.T, server *testserver.Redis) {
			server.Do(t.Context(), "DEL", key)
			appendEvent(t, server.Client(), "*", 5)
		}, 1, true},
		{"ids going back", func(t *testing.T, server *testserver.Redis) {
			tx := server.Client().TxPipeline() // at once, so that no read sees the stream empty
			tx.Del(t.Context(), key)
			tx.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: "1-0", Values: []any{streamField, "old"}})
			if _, err := tx.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 0, true},
		{"our entry deleted", func(t *testing.T, server *testserver.Redis) { server.Do(t.Context(), "XDEL", key, "1004-0") }, 0, true},
	}
	for _, tt := range tests {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, away %v", tt.name, away), func(t *testing.T) {
				server, proxy, got := streamBench(t)
				if away {
					proxy.Set(testserver.Close)
					got.wait(t, tenant.SignalLost, 1)
				}
				tt.change(t, server)
				proxy.Set(testserver.Pass)
				if away {
					got.wait(t, tenant.SignalSubscribed, 2)
				}
				if tt.gap {
					got.wait(t, tenant.SignalGap, 1)
				}
				got.wait(t, tenant.SignalEvent, 5+tt.want)
				expectStreamGoesOn(t, server, got, 5+tt.want)
				if gaps := got.of(tenant.SignalGap); !tt.gap && len(gaps) > 0 || len(gaps) > 2 {
					t.Errorf("%d gaps, the first: %v", len(gaps), gaps[0].Err)
				}
				if lost := got.of(tenant.SignalLost); !away && len(lost) > 0 {
					t.Errorf("lost: %v", lost[0].Err)
				}
			})
		}
	}
}

// expectStreamGoesOn adds three more events, with the lowest ids that the server takes, and wants each told once.
func expectStreamGoesOn(t *testing.T, server *testserver.Redis, got *recorder, next int) {
	t.Helper()
	for i := next; i < next+3; i++ {
		var last streamID
		if info, err := server.Client().XInfoStream(t.Context(), StreamKey(environment)).Result(); err == nil {
			if last, err = parseStreamID(info.LastGeneratedID); err != nil {
				t.Fatal(err)
			}
		}
		appendEvent(t, server.Client(), streamID{last.ms, last.seq + 1}.String(), i)
		got.wait(t, tenant.SignalEvent, i+1)
	}
	expectNumbered(t, got.of(tenant.SignalEvent), 0)
	if bad := got.of(tenant.SignalBadEvent); len(bad) > 0 {
		t.Errorf("told again or for the first time: %v", bad[0].Err)
	}
}

// TestD21TrimmedWhileAway: what the stream still has arrives, and the gap is told.
func TestD21TrimmedWhileAway(t *testing.T) {
	server, proxy, got := streamBench(t)
	proxy.Set(testserver.Close)
	got.wait(t, tenant.SignalLost, 1)
	for i := range 300 {
		appendEvent(t, server.Client(), "*", i)
	}
	server.Do(t.Context(), "XTRIM", StreamKey(environment), "MAXLEN", "295")
	proxy.Set(testserver.Pass)
	got.wait(t, tenant.SignalEvent, 300)
	expectNumbered(t, got.of(tenant.SignalEvent)[5:], 5)
	expectOrder(t, got, tenant.SignalLost, tenant.SignalSubscribed, tenant.SignalGap, tenant.SignalEvent)
}

// TestD21TrimmedWhileReading: the sink is so slow that the stream is trimmed past what it has.
func TestD21TrimmedWhileReading(t *testing.T) {
	server := testserver.StartRedis(t)
	held := make(chan struct{})
	var got recorder
	listen(t, newStream(t, configOf(server), environment), func(signal tenant.Signal) {
		got.sink(signal)
		if signal.Kind == tenant.SignalEvent && signal.Event.EventID == "0" {
			<-held
		}
	})
	got.wait(t, tenant.SignalSubscribed, 1)
	appendEvent(t, server.Client(), "*", 0)
	got.wait(t, tenant.SignalEvent, 1)
	for i := 1; i <= 20; i++ {
		appendEvent(t, server.Client(), "*", i)
	}
	server.Do(t.Context(), "XTRIM", StreamKey(environment), "MAXLEN", "10")
	close(held)
	got.wait(t, tenant.SignalEvent, 11)
	expectNumbered(t, got.of(tenant.SignalEvent)[1:], 11)
	expectOrder(t, &got, tenant.SignalSubscribed, tenant.SignalEvent, tenant.SignalGap, tenant.SignalEvent)
}

// expectOrder wants these kinds in this order, with anything in between.
func expectOrder(t *testing.T, got *recorder, kinds ...tenant.SignalKind) {
	t.Helper()
	left := kinds
	for _, signal := range got.all() {
		if len(left) > 0 && signal.Kind == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("not in this order: %v; %v are missing", kinds, left)
	}
}

// TestD21AnOlderCopyOfTheStream: the server comes back with what it had saved before the newest events.
func TestD21AnOlderCopyOfTheStream(t *testing.T) {
	server := testserver.StartRedis(t)
	proxy := testserver.NewProxy(t, server.Addr())
	var got recorder
	listen(t, newStream(t, behind(proxy, shortLimit), environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	appendEvent(t, server.Client(), "*", 0)
	server.Do(t.Context(), "SAVE")
	for i := 1; i < 5; i++ {
		appendEvent(t, server.Client(), "*", i)
	}
	got.wait(t, tenant.SignalEvent, 5)
	server.Kill()
	got.wait(t, tenant.SignalLost, 1)
	server.Start()
	got.wait(t, tenant.SignalGap, 1)
	appendEvent(t, server.Client(), "*", 5)
	expectNumbered(t, got.wait(t, tenant.SignalEvent, 6), 0)
}

func TestD28StreamRepliesSplitAtEveryByte(t *testing.T) {
	const events = 10
	server := testserver.StartRedis(t)
	publisher, err := NewPublisher(PublisherConfig{Redis: configOf(server), Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publisher.Close() })
	for _, protocol := range []int{2, 3} {
		for size := 1; size <= 64; size++ {
			feed := newStream(t, configOf(server), environment)
			feed.protocol = protocol
			dial := feed.dial
			feed.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return &choppyConn{Conn: conn, size: size}, err
			}
			var got recorder
			stop := listen(t, feed, got.sink)
			got.wait(t, tenant.SignalSubscribed, 1)
			publish(t, publisher, 0, events)
			only(t, &got, events)
			stop()
		}
	}
}

func TestStreamOfACluster(t *testing.T) {
	server := testserver.StartRedis(t, "--cluster-enabled", "yes")
	server.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	eventually(t, "the cluster", func() bool {
		info, _ := server.Do(t.Context(), "CLUSTER", "INFO").(string)
		return strings.Contains(info, "cluster_state:ok")
	})
	before := takeFootprint(t)
	cfg := Config{Addrs: []string{server.Addr(), server.Addr()}, SilenceLimit: soon}
	publisher, err := NewPublisher(PublisherConfig{Redis: cfg, Channels: BothChannels, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	var got recorder
	stop := listen(t, newStream(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	for i := range 10 {
		server.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		eventually(t, "the event", func() bool {
			return publisher.Publish(t.Context(), numbered(i)) == nil
		})
	}
	stop()
	seen := map[string]bool{}
	for _, signal := range got.of(tenant.SignalEvent) {
		seen[signal.Event.EventID] = true
	}
	if err := publisher.Close(); err != nil {
		t.Error(err)
	}
	if got.count(tenant.SignalGap) > 0 {
		t.Errorf("told of a gap: %v", got.of(tenant.SignalGap)[0].Err)
	}
	expectFootprint(t, before)
}

func TestPublisherBoundsTheStream(t *testing.T) {
	server := testserver.StartRedis(t)
	publisher, err := NewPublisher(PublisherConfig{Redis: configOf(server), Channels: TenantChannel, Stream: true, StreamLength: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publisher.Close() })
	publish(t, publisher, 0, 1000)
	if n := server.Client().XLen(t.Context(), StreamKey(environment)).Val(); n < 100 || n > 300 {
		t.Errorf("%d entries are kept", n)
	}
	event := numbered(0)
	event.Environment = ""
	if err := publisher.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if n := server.Client().XLen(t.Context(), "tenant-events-stream:default").Val(); n != 1 {
		t.Errorf("%d entries for no environment", n)
	}
	replica := testserver.StartRedis(t, "--replicaof", server.Host()+" "+server.Port())
	refused, err := NewPublisher(PublisherConfig{Redis: configOf(replica), Channels: TenantChannel, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = refused.Close() })
	if err := refused.Publish(t.Context(), numbered(0)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("published to a replica: %v", err)
	}
}

func TestStreamIsReadFromAReplica(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	replica := testserver.StartRedis(t, "--replicaof", server.Host()+" "+server.Port())
	eventually(t, "the replica", func() bool {
		info, _ := replica.Do(t.Context(), "INFO", "replication").(string)
		return strings.Contains(info, "master_link_status:up")
	})
	var got recorder
	listen(t, newStream(t, configOf(replica), environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	for i := range 5 {
		appendEvent(t, server.Client(), "*", i)
	}
	only(t, &got, 5)
}

func TestNewStreamRefusesABadConfiguration(t *testing.T) {
	if _, err := NewStream(Config{}, ""); err == nil {
		t.Error("no host, and no error")
	}
	feed, err := NewStream(Config{Host: "redis", Password: canary}, "")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", feed, feed, *feed); strings.Contains(text, canary) {
		t.Error("shows the password: " + text)
	}
}
