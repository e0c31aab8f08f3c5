package redisevents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// listeners are a feed of each kind that know one address.
func listeners(t *testing.T, cfg Config) map[string]*recorder {
	t.Helper()
	all := map[string]*recorder{}
	stream := newStream(t, cfg, environment)
	for name, feed := range map[string]tenant.Feed{"channels": newFeed(t, cfg, environment), "stream": stream} {
		got := &recorder{}
		all[name] = got
		listen(t, feed, got.sink)
		got.wait(t, tenant.SignalSubscribed, 1)
	}
	return all
}

// TestX10AReplicaIsTheOneAddress of a Cluster that is known: it is published to, and listened at. Then its process is killed:
// the others are, although nobody was told of them.
func TestX10AReplicaIsTheOneAddress(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	replica := cluster.AddReplica(t)
	heard := listeners(t, configOf(replica))
	publishers := map[string]*Publisher{
		"on channels": newPublisher(t, configOf(replica), EnvironmentChannel), "with a stream": newStreamPublisher(t, configOf(replica)),
	}
	for name, publisher := range publishers {
		if failed := publishUntilTaken(t, publisher, encoded(t, of("a", "1"), of("b", "2"))); failed > 1 {
			t.Errorf("published %s: %d batches failed, want one that learns", name, failed)
		}
	}
	heard["channels"].wait(t, tenant.SignalEvent, 4)
	heard["stream"].wait(t, tenant.SignalEvent, 2)
	expectGoesOnWithout(t, replica, publishers, heard)
}

// TestX10TheOneAddressIsKilled: that of a master, whose slots its replica takes over.
func TestX10TheOneAddressIsKilled(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	cluster.AddReplica(t)
	given := cluster.Nodes[0]
	heard := listeners(t, configOf(given))
	publishers := map[string]*Publisher{"with a stream": newStreamPublisher(t, configOf(given))}
	publishUntilTaken(t, publishers["with a stream"], encoded(t, of("a", "1"), of("b", "2")))
	expectGoesOnWithout(t, given, publishers, heard)
}

// TestX10TheOneAddressIsStopped: the process takes connections and answers nothing. By its neighbours come events, and heartbeats.
func TestX10TheOneAddressIsStopped(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	cfg := configOf(cluster.Nodes[0])
	cfg.SilenceLimit = 2 * time.Second
	heard := listeners(t, cfg)
	began := time.Now()
	cluster.Nodes[0].Pause()
	for name, got := range heard {
		eventually(t, name+": a heartbeat", func() bool {
			cluster.Nodes[1].Do(t.Context(), "PUBLISH", HeartbeatChannelName(environment), beat)
			return got.count(tenant.SignalHeartbeat) > 0
		})
	}
	t.Logf("heartbeats are heard again after %s", time.Since(began).Round(time.Millisecond))
}

func expectGoesOnWithout(t *testing.T, node *testserver.Redis, publishers map[string]*Publisher, heard map[string]*recorder) {
	t.Helper()
	began := time.Now()
	node.Kill()
	for name, got := range heard {
		eventually(t, name+": an event", func() bool {
			before := got.count(tenant.SignalEvent)
			for _, publisher := range publishers {
				_ = publisher.Publish(t.Context(), of("a", "3")) // as long as the slot has no owner it fails
			}
			return got.count(tenant.SignalEvent) > before
		})
	}
	t.Logf("events are heard again after %s", time.Since(began).Round(time.Millisecond))
	for name, publisher := range publishers {
		if !publisher.clients.cluster {
			t.Errorf("published %s: it was forgotten that it is a Cluster", name)
		}
	}
}

// TestX10ATranslationOfAddresses: the Cluster announces one that leads nowhere from here, and the one that was given does.
func TestX10ATranslationOfAddresses(t *testing.T) {
	t.Parallel()
	proxy := testserver.NewProxy(t, "127.0.0.1:1")
	behindTranslation(t, proxy)
	heard := listeners(t, behind(proxy, soon))
	publisher := newStreamPublisher(t, behind(proxy, soon))
	for i := range 3 {
		if err := publisher.Publish(t.Context(), numbered(i)); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
	for _, got := range heard {
		expectNumbered(t, got.wait(t, tenant.SignalEvent, 3), 0)
	}
}

// reply is an error reply, without a server.
type reply string

func (r reply) Error() string { return string(r) }

func (r reply) RedisError() {}

// TestX10NoAnswerForgetsNoCluster, and one that says it is none does.
func TestX10NoAnswerForgetsNoCluster(t *testing.T) {
	feed := newStream(t, Config{Host: "fake"}, environment)
	for _, denial := range []error{
		reply("ERR This instance has cluster support disabled"), reply("ERR unknown command 'cluster'"),
	} {
		feed.learn(reply("MOVED 1 127.0.0.1:1"))
		for _, err := range []error{
			nil, io.EOF, ErrSilent, net.ErrClosed, context.DeadlineExceeded, reply("CLUSTERDOWN Hash slot not served"), reply("NOPERM no"),
		} {
			if feed.learn(err); !feed.cfg().Cluster {
				t.Fatalf("forgotten after %v", err)
			}
		}
		if feed.learn(fmt.Errorf("read stream: %w", denial)); feed.cfg().Cluster {
			t.Errorf("not forgotten after %v", denial)
		}
	}
}

// TestX09AnOldServerSaysWhatItIs where it is asked for INFO: before 6.0 there is no HELLO, and before 6.2 none that has no
// words behind it.
func TestX09AnOldServerSaysWhatItIs(t *testing.T) {
	for _, tt := range []struct {
		name, info string
		want       error
	}{
		{"a replica", "# Replication\r\nrole:slave\r\n# Server\r\nredis_mode:standalone\r\n", errReplica},
		{"a Sentinel", "redis_mode:sentinel\r\n", errMonitor},
		{"a replica in a Cluster", "role:slave\r\nredis_mode:cluster\r\n", errMember},
		{"a master", "role:master\r\nredis_mode:standalone\r\n", nil},
		{"a server that knows no INFO either", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := &scriptedServer{answer: func(int, []string) string { return ":0\r\n" }, info: tt.info}
			publisher := newPublisher(t, server.start(t), EnvironmentChannel)
			for range 2 {
				err := publisher.Publish(t.Context(), of("a", "1"))
				publisher.clients.learn(false) // there are no other nodes
				if !errors.Is(err, tt.want) || tt.want != nil && !errors.Is(err, ErrUnready) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			}
		})
	}
}

// TestX39OneForbiddenChannel takes no connection from the others that publish.
func TestX39OneForbiddenChannel(t *testing.T) {
	server := testserver.StartRedis(t)
	server.Do(t.Context(), "ACL", "SETUSER", "publisher", "on", ">"+canary, "resetchannels", "&tenant-events:staging:", "~*", "-@all", "+publish", "+xadd")
	cfg := configOf(server)
	cfg.Username, cfg.Password = "publisher", canary
	publisher := newStreamPublisher(t, cfg)
	if err := publisher.Publish(t.Context(), of("a", "1")); err != nil {
		t.Fatal(err)
	}
	before := publisher.clients.current
	elsewhere := of("a", "2")
	elsewhere.Environment = "production"
	for _, err := range []error{
		publisher.Publish(t.Context(), elsewhere),
		publisher.Heartbeat(t.Context(), environment, tenant.Version{Epoch: "e", Revision: 1}),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("a channel that is forbidden: %v", err)
		}
	}
	if err := publisher.Publish(t.Context(), of("a", "3")); err != nil || publisher.clients.current != before {
		t.Errorf("the next one: %v, over the same client: %v", err, publisher.clients.current == before)
	}
}

// TestX39OnlyAForbiddenHeartbeatIsLeftAlone: any other answer to the second subscription ends the session, and it is asked
// for again.
func TestX39OnlyAForbiddenHeartbeatIsLeftAlone(t *testing.T) {
	for reply, kept := range map[string]bool{
		"NOPERM this user has no permissions to access one of the channels used as arguments": true,
		"LOADING Redis is loading the dataset in memory":                                      false,
		"MASTERDOWN Link with MASTER is down":                                                 false,
		"ERR no room":                                                                         false,
	} {
		t.Run(strings.Fields(reply)[0], func(t *testing.T) {
			feed := newFeed(t, Config{Host: "fake", SilenceLimit: soon}, environment)
			var sessions atomic.Int32
			feed.dial = func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				beats := heartbeatConfirmation
				if sessions.Add(1) <= 2 {
					beats = "-" + reply + "\r\n"
				}
				go subscribeTwice(server, beats)
				return client, nil
			}
			var got recorder
			listen(t, feed, got.sink)
			first := got.wait(t, tenant.SignalSubscribed, 1)[0]
			if first.Heartbeats == kept || errors.Is(first.Err, ErrRefused) != kept {
				t.Errorf("the first subscription is %+v", first)
			}
			lost := got.of(tenant.SignalLost)
			if kept && len(lost) != 0 || !kept && (len(lost) != 2 || !errors.Is(lost[0].Err, ErrRefused)) {
				t.Errorf("lost before it: %v", lost)
			}
		})
	}
}

func subscribeTwice(conn net.Conn, beats string) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	for _, answer := range []string{confirmation, beats} {
		if !serveUntilSubscribe(conn, lines) {
			return
		}
		if _, err := fmt.Fprint(conn, answer); err != nil {
			return
		}
	}
	waitForClient(conn, lines)
}
