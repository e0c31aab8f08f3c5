package redisevents

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// pair is a master and its replica behind one address, which leads to the master.
type pair struct {
	*testserver.Proxy

	first, second *testserver.Redis
}

func startPair(t *testing.T) pair {
	t.Helper()
	const atOnce = "--repl-diskless-sync-delay" // and not after 5 s, in which more replicas might come
	p := pair{first: testserver.StartRedis(t, atOnce, "0"), second: testserver.StartRedis(t, atOnce, "0")}
	p.Proxy = testserver.NewProxy(t, p.first.Addr())
	follow(t, p.second, p.first)
	return p
}

// swap makes a master of the replica, and a replica of the master. Connections are left as they are.
func (p *pair) swap(t *testing.T) {
	t.Helper()
	p.first.Do(t.Context(), "WAIT", 1, soon.Milliseconds()) // or the successor lacks what was written last
	p.second.Do(t.Context(), "REPLICAOF", "NO", "ONE")
	follow(t, p.first, p.second)
	p.SetTarget(p.second.Addr())
	p.first, p.second = p.second, p.first
}

func follow(t *testing.T, replica, master *testserver.Redis) {
	t.Helper()
	replica.Do(t.Context(), "REPLICAOF", master.Host(), master.Port())
	eventually(t, "a replica that has caught up", func() bool {
		role, _ := replica.Do(t.Context(), "ROLE").([]any)
		return len(role) > 3 && role[3] == "connected"
	})
}

func newStreamPublisher(t testing.TB, cfg Config) *Publisher {
	t.Helper()
	publisher, err := NewPublisher(PublisherConfig{Redis: cfg, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publisher.Close() })
	return publisher
}

// publishUntilTaken publishes the batch again and again until nothing fails, and checks that each failure says that it is
// the server.
func publishUntilTaken(t *testing.T, publisher *Publisher, batch [][]byte) (failed int) {
	t.Helper()
	eventually(t, "a batch that is taken", func() bool {
		for _, err := range publisher.PublishAll(t.Context(), batch) {
			if err != nil && !errors.Is(err, ErrUnready) && !errors.Is(err, ErrSkipped) {
				t.Fatalf("the batch failed with %v", err)
			}
			if err != nil {
				failed++
				return false
			}
		}
		return true
	})
	return failed
}

// TestX09AMasterBecomesAReplica of the server that its address leads to now, and no connection is closed by it.
func TestX09AMasterBecomesAReplica(t *testing.T) {
	for name, stream := range map[string]bool{"with a stream": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			servers := startPair(t)
			publisher := newPublisher(t, behind(servers.Proxy, 0), EnvironmentChannel)
			if stream {
				publisher = newStreamPublisher(t, behind(servers.Proxy, 0))
			}
			publishUntilTaken(t, publisher, encoded(t, of("a", "before")))
			servers.swap(t)
			var heard recorder
			listen(t, newFeed(t, configOf(servers.first), environment), heard.sink)
			heard.wait(t, tenant.SignalSubscribed, 1)

			if failed := publishUntilTaken(t, publisher, encoded(t, of("a", "1"), of("b", "2"), of("a", "3"))); failed == 0 {
				t.Error("the old master, now a replica, took the first batch and nothing was said")
			}
			for i, signal := range heard.wait(t, tenant.SignalEvent, 3) {
				if signal.Event.EventID != fmt.Sprint(i+1) {
					t.Errorf("event %d is %q", i+1, signal.Event.EventID)
				}
			}
			if stream {
				if n, _ := servers.first.Do(t.Context(), "XLEN", StreamKey(environment)).(int64); n != 4 {
					t.Errorf("the stream of the new master has %d entries, want 4", n)
				}
			}
		})
	}
}

// TestX09HeartbeatsToAReplica are refused too, though a replica takes them.
func TestX09HeartbeatsToAReplica(t *testing.T) {
	servers := startPair(t)
	publisher := newPublisher(t, behind(servers.Proxy, 0), EnvironmentChannel)
	version := tenant.Version{Epoch: "e", Revision: 1}
	if err := publisher.Heartbeat(t.Context(), environment, version); err != nil {
		t.Fatal(err)
	}
	servers.swap(t)
	if err := publisher.Heartbeat(t.Context(), environment, version); !errors.Is(err, ErrUnready) {
		t.Errorf("the first one to the replica: %v", err)
	}
	if err := publisher.Heartbeat(t.Context(), environment, version); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// TestX09RepliesOfAnotherServer has one answer a command by each of them, in each place of a batch.
func TestX09RepliesOfAnotherServer(t *testing.T) {
	for _, reply := range []string{
		"READONLY You can't write against a read only replica.", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"LOADING Redis is loading the dataset in memory", "MOVED 3999 127.0.0.1:1", "NOREPLICAS Not enough good replicas to write.",
	} {
		for place := range 3 {
			server := &scriptedServer{}
			server.answer = func(connection int, words []string) string {
				if connection == 1 && server.count("publish") == place+1 {
					return "-" + reply + "\r\n"
				}
				return ":0\r\n"
			}
			publisher := newPublisher(t, server.start(t), EnvironmentChannel)
			publisher.clients.learn(false)
			batch := encoded(t, of("a", "1"), of("b", "2"), of("c", "3"))
			if errs := publisher.PublishAll(t.Context(), batch); !errors.Is(errs[place], ErrUnready) {
				t.Errorf("%.8s in place %d: %v", reply, place, errs)
			}
			publisher.clients.learn(false) // it would ask for the nodes of a Cluster next
			if got := names(publisher.PublishAll(t.Context(), batch)); got != "sent+sent+sent" || server.connections() != 2 {
				t.Errorf("%.8s in place %d, and then: %s on %d connections, want all sent on a second one", reply, place, got, server.connections())
			}
		}
	}
}

// TestX09AReaderOfAStreamLeavesAReplica whose address leads to the new master.
func TestX09AReaderOfAStreamLeavesAReplica(t *testing.T) {
	servers := startPair(t)
	feed, err := NewStream(behind(servers.Proxy, shortLimit), environment)
	if err != nil {
		t.Fatal(err)
	}
	var got recorder
	listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	publish(t, newStreamPublisher(t, configOf(servers.first)), 0, 3)
	got.wait(t, tenant.SignalEvent, 3)
	servers.swap(t)
	servers.second.Do(t.Context(), "REPLICAOF", servers.second.Host(), "1") // and it hears of nothing from now on
	publish(t, newStreamPublisher(t, configOf(servers.first)), 3, 6)
	expectNumbered(t, got.wait(t, tenant.SignalEvent, 6), 0)
}

// TestX09AListenerOnAReplica hears what its master is told.
func TestX09AListenerOnAReplica(t *testing.T) {
	servers := startPair(t)
	var got recorder
	listen(t, newFeed(t, behind(servers.Proxy, 0), environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	servers.swap(t)
	publish(t, newPublisher(t, configOf(servers.first), EnvironmentChannel), 0, 3)
	expectNumbered(t, got.wait(t, tenant.SignalEvent, 3), 0)
}

// TestX09ClientsInUseAreClosedLater: a client that is dropped serves those that have it.
func TestX09ClientsInUseAreClosedLater(t *testing.T) {
	publisher := newStreamPublisher(t, configOf(testserver.StartRedis(t)))
	one, other := publisher.clients.take(), publisher.clients.take()
	publisher.clients.giveBack(one, true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := other.Ping(ctx).Err(); err != nil {
		t.Errorf("one that has it still: %v", err)
	}
	publisher.clients.giveBack(other, true)
	if err := other.Ping(ctx).Err(); err == nil {
		t.Error("the client is open after its last use")
	}
	if next := publisher.clients.take(); next == one {
		t.Error("the client was lent out again")
	}
}
