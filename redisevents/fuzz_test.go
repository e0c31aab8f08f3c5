package redisevents

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// FuzzRedisConversation has a server that answers a feed, or a publisher, with any bytes: one piece for each command, cut at
// a byte of the input. Whatever they are, nothing panics, nobody hangs, no event is told before a subscription, and nothing
// is left.
func FuzzRedisConversation(f *testing.F) {
	const event = `{"event_type":"tenant.updated","tenant_id":"t1"}`
	stream := "*1\r\n*2\r\n$28\r\ntenant-events-stream:staging\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$5\r\nevent\r\n$48\r\n" + event + "\r\n"
	for _, answers := range [][]string{
		{"-ERR unknown command\r\n", confirmation, heartbeatConfirmation + string(push(EnvironmentChannelName(environment), event))},
		{"%1\r\n$5\r\nproto\r\n:3\r\n", ">3\r\n$9\r\nsubscribe\r\n$22\r\ntenant-events:staging:\r\n:1\r\n", ">3\r\n$9\r\nsubscribe\r\n$24\r\ntenant-heartbeat:staging\r\n:2\r\n"},
		{"-ERR unknown command\r\n", "*0\r\n-ERR unknown command\r\n", stream + "*0\r\n%1\r\n+role\r\n+master\r\n"},
		{"-ERR unknown command\r\n", "*-1\r\n", "-MOVED 1 127.0.0.1:1\r\n", ":1\r\n$3\r\n1-1\r\n*2\r\n+role\r\n+slave\r\n"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n"},
		{"$99999999999\r\n"},
		{strings.Repeat("*9999\r\n", 99)},
		{"|1\r\n+a\r\n+b\r\n"},
		{"=15\r\ntxt:Some string\r\n"},
	} {
		for kind := range byte(3) {
			f.Add(kind, strings.Join(answers, "\xff"))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, answers string) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go converse(server, strings.Split(answers, "\xff"))
			return client, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if kind%3 == 2 {
			publishTo(ctx, t, dial)
			return
		}
		follow := fuzzedFeed(t, kind, dial)
		subscribed := false
		err := follow.Run(ctx, func(signal tenant.Signal) {
			switch signal.Kind {
			case tenant.SignalSubscribed:
				subscribed = true
			case tenant.SignalLost:
				subscribed = false
				cancel() // one session is enough
				if signal.Err == nil || len(signal.Err.Error()) > 4*maxErrorText {
					t.Errorf("lost for %v", signal.Err)
				}
			default:
				if !subscribed {
					t.Errorf("told of %v without a subscription", signal)
				}
			}
		})
		if !errors.Is(err, ctx.Err()) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func fuzzedFeed(t *testing.T, kind byte, dial dialFunc) tenant.Feed {
	t.Helper()
	cfg := Config{Host: "fake", SilenceLimit: 30 * time.Millisecond, Password: canary}
	if kind%3 == 0 {
		feed := newFeed(t, cfg, environment)
		feed.dial = dial
		return feed
	}
	feed := newStream(t, cfg, environment)
	feed.dial = dial
	return feed
}

// publishTo publishes two events, and checks that none counts as taken where the answer was an error.
func publishTo(ctx context.Context, t *testing.T, dial dialFunc) {
	t.Helper()
	publisher := newStreamPublisher(t, Config{Host: "fake"})
	publisher.dial = dial
	for _, err := range publisher.PublishAll(ctx, encoded(t, of("a", "1"), of("b", "2"))) {
		if err != nil && len(err.Error()) > 4*maxErrorText {
			t.Errorf("failed, in %d bytes", len(err.Error()))
		}
	}
	_ = publisher.Heartbeat(ctx, environment, tenant.Version{Epoch: "e"})
}

// converse writes one answer after each command, the last ones together with nothing asked, and reads to the end.
func converse(server net.Conn, answers []string) {
	defer func() { _ = server.Close() }()
	lines := bufio.NewScanner(server)
	for _, answer := range answers {
		if len(readCommand(lines)) == 0 {
			return
		}
		if _, err := server.Write([]byte(answer)); err != nil {
			return
		}
	}
	for len(readCommand(lines)) > 0 {
		continue
	}
}
