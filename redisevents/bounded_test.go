package redisevents

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestX25WhatAServerAnnounces(t *testing.T) {
	nested := strings.Repeat("*100000\r\n", 5)
	for name, tt := range map[string]struct {
		says string
		bad  bool
	}{
		"usual":                 {"*2\r\n$3\r\nabc\r\n:1\r\n%1\r\n+k\r\n$-1\r\n*-1\r\n_\r\n-ERR no\r\n", false},
		"a text with headers":   {"$13\r\n*9999999999\r\n\r\n:1\r\n", false},
		"a large text":          {fmt.Sprintf("$%d\r\n", maxBulk), false},
		"too large a text":      {fmt.Sprintf("$%d\r\n", maxBulk+1), true},
		"the largest":           {fmt.Sprintf("=%d\r\n", math.MaxInt64), true},
		"a long list":           {fmt.Sprintf("*%d\r\n", maxElements), false},
		"too long a list":       {fmt.Sprintf("*%d\r\n", maxElements+1), true},
		"the longest map":       {fmt.Sprintf("%%%d\r\n", math.MaxInt64), true},
		"lists in lists":        {nested, true},
		"lists after lists":     {strings.Repeat("*2\r\n:1\r\n:2\r\n", maxElements/1000), false},
		"a line without an end": {"+" + strings.Repeat("x", maxLine), true},
		"HTTP":                  {"HTTP/1.1 400 Bad Request\r\n\r\n\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, len(tt.says)} {
				var f frames
				var err error
				for rest := tt.says; rest != "" && err == nil; {
					n := min(size, len(rest))
					err = f.check([]byte(rest[:n]))
					rest = rest[n:]
				}
				if tt.bad != errors.Is(err, ErrProtocol) {
					t.Errorf("in pieces of %d: %v", size, err)
				}
			}
		})
	}
}

// TestX25LargeEntries of a stream are read a few at once, by their size.
func TestX25LargeEntries(t *testing.T) {
	const entries, size = 30, 3 << 20
	server := testserver.StartRedis(t)
	var got recorder
	cfg := configOf(server)
	cfg.SilenceLimit = soon // while the server takes in 90 MiB it says nothing
	feed := newStream(t, cfg, environment)
	listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	publish(t, newStreamPublisher(t, configOf(server)), 0, 2*maxBatch) // so that it asks for many
	got.wait(t, tenant.SignalEvent, 2*maxBatch)
	pipe := server.Client().TxPipeline()
	for range entries {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: StreamKey(environment), Values: []any{streamField, strings.Repeat("x", size)}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, newStreamPublisher(t, configOf(server)), 2*maxBatch, 2*maxBatch+1)
	expectNumbered(t, got.wait(t, tenant.SignalEvent, 2*maxBatch+1), 0)
	if n := got.count(tenant.SignalBadEvent); n != entries {
		t.Errorf("%d bad events, want %d", n, entries)
	}
	if gaps := got.of(tenant.SignalGap); len(gaps) > 0 {
		t.Errorf("told of a gap: %v", gaps[0].Err)
	}
	lost := got.of(tenant.SignalLost)
	if len(lost) != 1 || !errors.Is(lost[0].Err, errTooMuch) {
		t.Errorf("lost %d times, want once for an answer that is too large: %v", len(lost), lost)
	}
}

func TestX25ABatchIsMeasuredInBytes(t *testing.T) {
	of := func(n, size int) []redis.XMessage {
		return slicesRepeat(redis.XMessage{Values: map[string]any{streamField: strings.Repeat("x", size)}}, n)
	}
	c := cursor{batch: 16}
	for _, tt := range []struct{ n, size, want int }{{16, 1000, 32}, {32, 1000, 64}, {64, 1 << 20, 7}, {7, 1 << 20, 7}, {1, 20 << 20, 1}, {1, 20 << 20, 1}, {1, 10, 2}} {
		if c.grow(of(tt.n, tt.size)); c.batch != tt.want {
			t.Errorf("after %d of %d bytes it asks for %d, want %d", tt.n, tt.size, c.batch, tt.want)
		}
	}
}

func slicesRepeat(one redis.XMessage, n int) []redis.XMessage {
	all := make([]redis.XMessage, n)
	for i := range all {
		all[i] = one
	}
	return all
}

// TestX25AnAnswerOfAnyLength is cut in an error.
func TestX25AnAnswerOfAnyLength(t *testing.T) {
	feed := newFeed(t, Config{Host: "fake", Password: canary}, environment)
	fakeServer(t, feed, false, func(conn net.Conn, lines *bufio.Scanner) {
		_, _ = conn.Write([]byte("-NOPERM " + strings.Repeat("long ", 10_000) + "\r\n"))
		waitForClient(conn, lines)
	})
	var got recorder
	listen(t, feed, got.sink)
	if err := got.wait(t, tenant.SignalLost, 1)[0].Err; len(err.Error()) > 2*maxErrorText || !errors.Is(err, ErrRefused) {
		t.Errorf("lost, in %d bytes: %v", len(err.Error()), err)
	}
}

// TestTheDriverSeesAClosedConnection through what is around it, so that it does not publish into it.
func TestTheDriverSeesAClosedConnection(t *testing.T) {
	server := testserver.StartRedis(t)
	conn, err := dialAbortive(t.Context(), "tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	wrapped := bounded(conn, nil)
	defer func() { _ = wrapped.Close() }()
	if _, ok := wrapped.(syscall.Conn); !ok {
		t.Error("the system cannot be asked of a plain connection")
	}
	client, other := net.Pipe()
	defer func() { _ = client.Close(); _ = other.Close() }()
	if _, ok := bounded(client, nil).(syscall.Conn); ok {
		t.Error("and can be asked of one that has none")
	}
}

// TestX26TheLargestSilenceLimit is as good as none.
func TestX26TheLargestSilenceLimit(t *testing.T) {
	server := testserver.StartRedis(t)
	cfg := configOf(server)
	for _, limit := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64/2 + 1, 1} {
		cfg.SilenceLimit = limit
		if limit > 1 {
			stream := newStream(t, cfg, environment)
			var got recorder
			stop := listen(t, stream, got.sink)
			got.wait(t, tenant.SignalSubscribed, 1)
			publish(t, newStreamPublisher(t, cfg), 0, 5)
			expectNumbered(t, got.wait(t, tenant.SignalEvent, 5), 0)
			stop()
			expectAll(t, newFeed(t, cfg, environment), newPublisher(t, cfg, EnvironmentChannel), 5)
			continue
		}
		if limit := cfg.silenceLimit(); limit != 1 {
			t.Errorf("a short limit is %s", limit)
		}
	}
	s := source{near: &neighbours{}, cfg: func() Config {
		return Config{SilenceLimit: math.MaxInt64, Addrs: make([]string, 1000), MasterName: "m"}
	}}
	if limit := s.setupLimit(false); limit < longestSilence {
		t.Errorf("the time for the way up to the subscription is %s", limit)
	}
}

// TestX29ASecretInAnAddress is in no error, and not shown with the configuration.
func TestX29ASecretInAnAddress(t *testing.T) {
	for name, cfg := range map[string]Config{
		"Addrs":      {Addrs: []string{"user:" + canary + "@redis:6379"}},
		"Addrs, two": {Addrs: []string{"a:1", "redis://user:" + canary + "@redis"}},
		"Host":       {Host: "user:" + canary + "@redis"},
		"Host, URL":  {Host: "redis://:" + canary + "@redis:6379"},
		"Port":       {Host: "redis", Port: canary + "@redis:6379"},
	} {
		err := cfg.Validate()
		if err == nil || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "Username and Password") {
			t.Errorf("%s: %v", name, err)
		}
		shown := fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.LogValue())
		if name != "Port" && strings.Contains(shown, canary) {
			t.Errorf("%s: shown as %s", name, shown)
		}
	}
	for _, host := range []string{"redis\n", " redis", "re dis", "'redis'", "redis/0", "a?b"} {
		if err := (Config{Host: host}).Validate(); err == nil {
			t.Errorf("Host %q was taken", host)
		}
	}
}

// TestX18EnvironmentsHaveOneSpelling in channels and keys, and those that none can have are refused.
func TestX18EnvironmentsHaveOneSpelling(t *testing.T) {
	for _, name := range []string{"Staging", " staging ", "STAGING"} {
		if EnvironmentChannelName(name) != EnvironmentChannelName(environment) || StreamKey(name) != StreamKey(environment) ||
			HeartbeatChannelName(name) != HeartbeatChannelName(environment) {
			t.Errorf("%q has names of its own", name)
		}
	}
	publisher := newPublisher(t, Config{Host: "nobody"}, EnvironmentChannel)
	for _, name := range []string{"default", "a\nb", "'staging'", "a b"} {
		_, feedErr := NewPubSub(Config{Host: "redis"}, name)
		_, streamErr := NewStream(Config{Host: "redis"}, name)
		beatErr := publisher.Heartbeat(t.Context(), name, tenant.Version{Epoch: "e"})
		event := of("a", "1")
		event.Environment = name
		if err := publisher.Publish(t.Context(), event); feedErr == nil || streamErr == nil || beatErr == nil || !errors.Is(err, tenant.ErrInvalidEvent) {
			t.Errorf("%q: %v, %v, %v, %v", name, feedErr, streamErr, beatErr, err)
		}
	}
	server := testserver.StartRedis(t)
	var got recorder
	listen(t, newFeed(t, configOf(server), "STAGING"), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	event := of("a", "1")
	event.Environment = "Staging"
	if err := newPublisher(t, configOf(server), EnvironmentChannel).Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	got.wait(t, tenant.SignalEvent, 1)
}
