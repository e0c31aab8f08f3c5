package redisevents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// append adds the event numbered i with an id of our own choice, "*" for the server's.
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
		{"deleted, and begun anew with higher ids", func(t *testing.T, server *testserver.Redis) {
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

// TestD21WhatTheServerAnswers: each of these ends the session with the reason, and does not make a hot loop.
func TestD21WhatTheServerAnswers(t *testing.T) {
	tests := []struct {
		says string
		want error
	}{
		{"-LOADING Redis is loading the dataset in memory", ErrRefused},
		{"-READONLY You can't write against a read only replica.", ErrRefused},
		{"-NOPERM this user has no permissions to run the 'xread' command", ErrRefused},
		{"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ErrRefused},
		{"-WRONGTYPE Operation against a key holding the wrong kind of value", ErrRefused},
		{"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", ErrRefused},
		{":1", nil},
		{"*9223372036854775807", ErrProtocol},
		{"*1\r\n*2\r\n$1\r\nx\r\n*2\r\n$1\r\na\r\n$1\r\nb", ErrProtocol},
		{"HTTP/1.1 400 Bad Request", nil},
	}
	for _, tt := range tests {
		t.Run(strings.Fields(tt.says)[0], func(t *testing.T) {
			feed := newStream(t, Config{Host: "fake", SilenceLimit: shortLimit}, environment)
			script(t, feed, func(string) string { return tt.says })
			var got recorder
			listen(t, feed, got.sink)
			for _, lost := range got.wait(t, tenant.SignalLost, 3) {
				if lost.Err == nil || tt.want != nil && !errors.Is(lost.Err, tt.want) {
					t.Errorf("lost: %v, want %v", lost.Err, tt.want)
				}
				if tt.want == ErrRefused && !strings.Contains(lost.Err.Error(), tt.says[1:]) { //nolint:errorlint // which of the table's rows it is
					t.Errorf("lost: %v, without Redis' words", lost.Err)
				}
			}
			if n := len(got.of(tenant.SignalSubscribed)); n != 0 {
				t.Errorf("told %d times of a subscription", n)
			}
		})
	}
}

// TestAServerThatDoesNotWait answers a blocking read at once with nothing, as Redis before 5.0.5 does for an empty stream.
func TestAServerThatDoesNotWait(t *testing.T) {
	feed := newStream(t, Config{Host: "fake", SilenceLimit: soon}, environment)
	asked := make(chan string, 1000)
	script(t, feed, func(command string) string {
		if command == "xread" {
			asked <- command
		}
		return "*0"
	})
	var got recorder
	stop := listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	eventually(t, "a read that waits", func() bool { return len(asked) >= 2 })
	stop()
	if n := len(asked); n > 3 {
		t.Errorf("%d reads", n)
	}
}

// script makes the feed talk to a function, which gets the name of each command and returns the answer without its end.
func script(t testing.TB, feed *Stream, answer func(command string) string) {
	t.Helper()
	feed.dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			lines := bufio.NewScanner(server)
			for command := readCommand(lines); len(command) > 0; command = readCommand(lines) {
				text := "-ERR unknown command"
				if strings.HasPrefix(strings.ToLower(command[0]), "x") {
					text = answer(strings.ToLower(command[0]))
				}
				_, _ = fmt.Fprintf(server, "%s\r\n", text)
			}
		}()
		return client, nil
	}
}

func TestD28StreamRepliesSplitAtEveryByte(t *testing.T) {
	const events = 10
	server := testserver.StartRedis(t)
	publisher, err := NewPublisher(configOf(server), EnvironmentChannel, WithStream(0))
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
	publisher, err := NewPublisher(cfg, BothChannels, WithStream(0))
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
	if len(got.of(tenant.SignalGap)) > 0 {
		t.Errorf("told of a gap: %v", got.of(tenant.SignalGap)[0].Err)
	}
	expectFootprint(t, before)
}

func TestPublisherBoundsTheStream(t *testing.T) {
	server := testserver.StartRedis(t)
	publisher, err := NewPublisher(configOf(server), TenantChannel, WithStream(100))
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
	refused, err := NewPublisher(configOf(replica), TenantChannel, WithStream(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = refused.Close() })
	if err := refused.Publish(t.Context(), numbered(0)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("published to a replica: %v", err)
	}
}

func TestStreamIsReadFromAReplica(t *testing.T) {
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
