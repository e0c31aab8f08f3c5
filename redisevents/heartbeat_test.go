package redisevents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const beat = `{"epoch":"e","revision":7,"timestamp":"2026-03-27T14:45:05Z"}`

// push is a message as RESP2 has it.
func push(channel, text string) []byte {
	return []byte(fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(text), text))
}

// fakeManager is what a scripted server passes on from a manager. It answers pings whatever it says.
type fakeManager struct {
	beats  atomic.Bool // every interval
	events atomic.Bool // every second interval
	cuts   atomic.Bool // each connection after a second

	last atomic.Value // the last connection
}

// cut ends the connection that is open.
func (m *fakeManager) cut() { _ = m.last.Load().(net.Conn).Close() }

func (m *fakeManager) script(conn net.Conn, lines *bufio.Scanner) {
	m.last.Store(conn)
	done := make(chan struct{})
	var work sync.WaitGroup
	defer work.Wait()
	defer close(done)
	work.Go(func() {
		ticker := time.NewTicker(HeartbeatInterval)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			if m.beats.Load() {
				_, _ = conn.Write(push(HeartbeatChannelName(environment), beat))
			}
			if m.events.Load() && n%2 == 0 {
				_, _ = conn.Write(push(EnvironmentChannelName(environment), `{"event_type":"tenant.updated","tenant_id":"t1"}`))
			}
		}
	})
	if m.cuts.Load() {
		defer time.AfterFunc(time.Second, func() { _ = conn.Close() }).Stop()
	}
	answerPings(conn, lines)
}

// history is a recorder in a bubble.
type history struct{ recorder }

func (h *history) counts() string {
	return fmt.Sprintf("%d subscribed, %d lost", h.count(tenant.SignalSubscribed), h.count(tenant.SignalLost))
}

func (h *history) want(t *testing.T, counts string) {
	t.Helper()
	synctest.Wait()
	if got := h.counts(); got != counts {
		t.Errorf("%s, want %s", got, counts)
	}
}

// inBubble runs a feed of a fake manager.
func inBubble(t *testing.T, test func(t *testing.T, m *fakeManager, told *history)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		feed, err := NewPubSub(Config{Host: "fake"}, environment)
		if err != nil {
			t.Fatal(err)
		}
		var m fakeManager
		fakeServer(t, feed, true, m.script)
		var told history
		stop := listen(t, feed, told.sink)
		test(t, &m, &told)
		stop()
	})
}

func TestD03WithoutHeartbeatsTheLinkIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T, m *fakeManager, told *history) {
		m.beats.Store(true)
		time.Sleep(10*time.Minute + time.Second)
		told.want(t, "1 subscribed, 0 lost")
		if n := told.count(tenant.SignalHeartbeat); n != 120 {
			t.Errorf("%d heartbeats", n)
		}
		m.beats.Store(false) // a second after the last
		time.Sleep(heartbeatPatience - time.Second - time.Millisecond)
		told.want(t, "1 subscribed, 0 lost")
		time.Sleep(2 * time.Millisecond)
		told.want(t, "1 subscribed, 1 lost")
		time.Sleep(time.Hour)
		synctest.Wait()
		lost := told.of(tenant.SignalLost)
		for _, signal := range lost {
			if !errors.Is(signal.Err, ErrNoHeartbeat) {
				t.Fatalf("lost: %v", signal.Err)
			}
		}
		if tries := len(lost); tries < 300 || tries > 330 || told.count(tenant.SignalSubscribed) != 1 {
			t.Errorf("an hour later: %s, want a try every 11 s and no word of a subscription", told.counts())
		}
		m.beats.Store(true)
		time.Sleep(2 * HeartbeatInterval)
		synctest.Wait()
		var kinds []string
		for _, signal := range told.all()[len(told.all())-4:] {
			kinds = append(kinds, signal.Kind.String())
		}
		if got := strings.Join(kinds, ", "); !strings.Contains(got, "lost, subscribed, heartbeat") {
			t.Errorf("heard again, it told %s", got)
		}
	})
}

func TestD03WhoHasHeardNoneExpectsNone(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakeManager, told *history) {
		time.Sleep(time.Hour)
		told.want(t, "1 subscribed, 0 lost")
	})
}

func TestD03AnEventIsASignOfLifeToo(t *testing.T) {
	inBubble(t, func(t *testing.T, m *fakeManager, told *history) {
		m.beats.Store(true)
		time.Sleep(time.Minute)
		m.beats.Store(false)
		m.events.Store(true)
		time.Sleep(time.Hour)
		told.want(t, "1 subscribed, 0 lost")
		m.events.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if told.count(tenant.SignalSubscribed) != 1 || told.count(tenant.SignalLost) == 0 {
			t.Error(told.counts())
		}
		m.events.Store(true)
		time.Sleep(30 * time.Second)
		if told.count(tenant.SignalSubscribed) != 2 {
			t.Error("an event ended no doubt:", told.counts())
		}
	})
}

// TestD03DoubtOutlivesOtherLosses: a link that breaks in another way meanwhile has carried nothing either.
func TestD03DoubtOutlivesOtherLosses(t *testing.T) {
	inBubble(t, func(t *testing.T, m *fakeManager, told *history) {
		m.beats.Store(true)
		time.Sleep(time.Minute)
		m.beats.Store(false)
		m.cuts.Store(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if told.count(tenant.SignalSubscribed) != 1 || told.count(tenant.SignalLost) < 1000 {
			t.Error(told.counts())
		}
	})
}

// TestD03HeartbeatsAreExpectedOfALaterLinkToo, which has brought none itself.
func TestD03HeartbeatsAreExpectedOfALaterLinkToo(t *testing.T) {
	inBubble(t, func(t *testing.T, m *fakeManager, told *history) {
		m.beats.Store(true)
		time.Sleep(time.Minute + time.Second)
		m.beats.Store(false)
		m.cut()
		time.Sleep(time.Second)
		told.want(t, "2 subscribed, 1 lost")
		time.Sleep(heartbeatPatience)
		told.want(t, "2 subscribed, 2 lost")
		if err := told.of(tenant.SignalLost)[1].Err; !errors.Is(err, ErrNoHeartbeat) {
			t.Errorf("lost: %v", err)
		}
	})
}

// TestASlowSinkIsNoLackOfHeartbeats: what it has not taken yet keeps the rest from being read.
func TestASlowSinkIsNoLackOfHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, err := NewPubSub(Config{Host: "fake"}, environment)
		if err != nil {
			t.Fatal(err)
		}
		event := push(EnvironmentChannelName(environment), strings.Repeat("x", 1<<20))
		fakeServer(t, feed, true, func(conn net.Conn, lines *bufio.Scanner) {
			var work sync.WaitGroup
			work.Go(func() { waitForClient(conn, lines) })
			_, _ = conn.Write(push(HeartbeatChannelName(environment), beat))
			for range 2*inboxBytes>>20 + 4 {
				_, _ = conn.Write(event)
			}
			work.Wait()
		})
		var told history
		release := make(chan struct{})
		stop := listen(t, feed, func(signal tenant.Signal) {
			told.sink(signal)
			if signal.Kind == tenant.SignalHeartbeat {
				<-release
			}
		})
		time.Sleep(time.Hour)
		told.want(t, "1 subscribed, 0 lost")
		close(release)
		time.Sleep(HeartbeatInterval)
		told.want(t, "1 subscribed, 0 lost")
		stop()
	})
}

// beatInto starts the publishing of heartbeats, ten in each patience of the feeds.
func beatInto(t *testing.T, redis *testserver.Redis) {
	t.Helper()
	publisher := newPublisher(t, configOf(redis), EnvironmentChannel)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		ticker := time.NewTicker(shortLimit / 10)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			err := publisher.Heartbeat(ctx, environment, tenant.Version{Epoch: "e", Revision: 7})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
}

// TestD03OnAReplicaThatWasCutOff: it answers pings, and what is published at its master does not reach it any more.
func TestD03OnAReplicaThatWasCutOff(t *testing.T) {
	master, replica := testserver.StartRedis(t, "--repl-diskless-sync-delay", "0"), testserver.StartRedis(t)
	replica.Do(t.Context(), "REPLICAOF", master.Host(), master.Port())
	eventually(t, "replication", func() bool {
		info, _ := replica.Do(t.Context(), "INFO", "replication").(string)
		return strings.Contains(info, "master_link_status:up")
	})
	feed := newFeed(t, configOf(replica), environment)
	feed.patience = shortLimit
	var got recorder
	listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	beatInto(t, master)
	got.wait(t, tenant.SignalHeartbeat, 20)
	lostBefore := got.count(tenant.SignalLost) // a slow machine may have lost it already
	subscribedBefore := got.count(tenant.SignalSubscribed)

	replica.Do(t.Context(), "REPLICAOF", "NO", "ONE")
	for _, lost := range got.wait(t, tenant.SignalLost, lostBefore+3) {
		if !errors.Is(lost.Err, ErrNoHeartbeat) {
			t.Errorf("lost: %v", lost.Err)
		}
	}
	if n := got.count(tenant.SignalSubscribed); n > subscribedBefore+1 {
		t.Errorf("told of %d subscriptions", n)
	}
	replica.Do(t.Context(), "REPLICAOF", master.Host(), master.Port())
	got.wait(t, tenant.SignalSubscribed, subscribedBefore+1)
}

func TestAUserWhoMayNotHearHeartbeats(t *testing.T) {
	const times = 20
	server := testserver.StartRedis(t)
	server.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">"+canary, "resetchannels", "&tenant-events:*",
		"-@all", "+subscribe", "+psubscribe", "+ping")
	cfg := configOf(server)
	cfg.Username, cfg.Password = "narrow", canary
	for i, env := range []string{environment, ""} {
		var got recorder
		feed := newFeed(t, cfg, env)
		stop := listen(t, feed, got.sink)
		for n := range times {
			got.wait(t, tenant.SignalSubscribed, n+1)
			server.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
			got.wait(t, tenant.SignalLost, n+1)
		}
		got.wait(t, tenant.SignalSubscribed, times+1)
		publish(t, newPublisher(t, configOf(server), EnvironmentChannel), 0, 10)
		expectNumbered(t, got.wait(t, tenant.SignalEvent, 10), 0)
		stop()
		stop = listen(t, feed, got.sink) // a second Run does not ask either
		got.wait(t, tenant.SignalSubscribed, times+2)
		stop()
		for n, signal := range got.of(tenant.SignalSubscribed) {
			if n == 0 != errors.Is(signal.Err, ErrRefused) || n > 0 && signal.Err != nil {
				t.Errorf("subscription %d has the error %v", n, signal.Err)
			}
		}
		if refused, _ := server.Do(t.Context(), "ACL", "LOG").([]any); len(refused) != i+1 {
			t.Errorf("%d refusals, want one for each feed: %v", len(refused), refused)
		}
		if denied := aclDenied(t, server); denied != i+1 {
			t.Errorf("%d refusals, want one for each feed", denied)
		}
	}
}

// aclDenied counts the channels that the server refused, the same one as often as it was asked for.
func aclDenied(t *testing.T, server *testserver.Redis) int {
	t.Helper()
	entries, err := server.Client().ACLLog(t.Context(), 100).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		n += int(entry.Count)
	}
	return n
}

// TestTheRightIsTakenAwayFromADoubtedLink: what can no longer be heard is no longer waited for.
func TestTheRightIsTakenAwayFromADoubtedLink(t *testing.T) {
	server := testserver.StartRedis(t)
	rule := []any{"ACL", "SETUSER", "narrow", "on", ">" + canary, "resetchannels", "&tenant-events:*", "+@all"}
	server.Do(t.Context(), append(rule, "&tenant-heartbeat:*")...)
	cfg := configOf(server)
	cfg.Username, cfg.Password = "narrow", canary
	feed := newFeed(t, cfg, environment)
	feed.patience = shortLimit
	var got recorder
	listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	if err := newPublisher(t, configOf(server), EnvironmentChannel).Heartbeat(t.Context(), environment, tenant.Version{Epoch: "e"}); err != nil {
		t.Fatal(err)
	}
	got.wait(t, tenant.SignalLost, 2)
	if n := got.count(tenant.SignalSubscribed); n != 1 {
		t.Errorf("told of %d subscriptions", n)
	}
	server.Do(t.Context(), rule...)
	if again := got.wait(t, tenant.SignalSubscribed, 2)[1]; !errors.Is(again.Err, ErrRefused) {
		t.Errorf("subscribed, with the error %v", again.Err)
	}
}

func TestHeartbeatArrives(t *testing.T) {
	server := testserver.StartRedis(t)
	publisher := newPublisher(t, configOf(server), EnvironmentChannel)
	want := tenant.Version{Epoch: "e", Revision: 7}
	for _, env := range []string{environment, ""} {
		for _, protocol := range []int{2, 3} {
			feed := newFeed(t, configOf(server), env)
			feed.protocol = protocol
			var got recorder
			stop := listen(t, feed, got.sink)
			got.wait(t, tenant.SignalSubscribed, 1)
			if err := publisher.Heartbeat(t.Context(), env, want); err != nil {
				t.Fatal(err)
			}
			if signal := got.wait(t, tenant.SignalHeartbeat, 1)[0]; signal.Version != want {
				t.Errorf("%q RESP%d: got %v", env, protocol, signal.Version)
			}
			stop()
		}
	}
	if err := publisher.Heartbeat(t.Context(), environment, tenant.Version{}); err == nil {
		t.Error("a version without an epoch was published")
	}
}

func TestReadHeartbeats(t *testing.T) {
	sample, err := os.ReadFile("../docs/samples/redis/heartbeat.json")
	if err != nil {
		t.Fatal(err)
	}
	inSample := tenant.Version{Epoch: "0197f3c0-11aa-7b02-8c4d-2e9f7a610c35", Revision: 4711}
	written, err := encodeHeartbeat(inSample, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       tenant.Version
		bad        bool
	}{
		{"sample", string(sample), inSample, false},
		{"written", string(written), inSample, false},
		{"strange time", `{"epoch":"e","revision":1,"timestamp":"noon","more":[]}`, tenant.Version{Epoch: "e", Revision: 1}, false},
		{"without versions", `{"timestamp":"2026-03-27T14:45:05Z"}`, tenant.Version{}, false},
		{"nothing", ``, tenant.Version{}, true},
		{"no object", `[]`, tenant.Version{}, true},
		{"no number", `{"epoch":"e","revision":"1"}`, tenant.Version{}, true},
		{"too large", `{"epoch":"` + strings.Repeat("e", maxHeartbeatBytes) + `"}`, tenant.Version{}, true},
	}
	for _, tt := range tests {
		signal := heartbeatSignal(&redis.Message{Channel: "c", Payload: tt.text})
		if bad := signal.Kind == tenant.SignalBadEvent; bad != tt.bad || bad == (signal.Err == nil) || signal.Version != tt.want {
			t.Errorf("%s: %s, %v, %v", tt.name, signal.Kind, signal.Version, signal.Err)
		}
	}
	if _, err := encodeHeartbeat(tenant.Version{Epoch: strings.Repeat("e", maxHeartbeatBytes)}, time.Now()); err == nil {
		t.Error("one that nobody reads was written")
	}
}

// TestAnEventBeforeTheAnswerAboutHeartbeats is told after the subscription, whatever the answer is.
func TestAnEventBeforeTheAnswerAboutHeartbeats(t *testing.T) {
	for name, answer := range map[string]string{"yes": heartbeatConfirmation, "no": "-NOPERM not that channel\r\n"} {
		t.Run(name, func(t *testing.T) {
			feed := newFeed(t, Config{Host: "fake"}, environment)
			fakeServer(t, feed, false, func(conn net.Conn, lines *bufio.Scanner) {
				_, _ = conn.Write([]byte(confirmation))
				readCommand(lines) // that it asks for them
				_, _ = conn.Write(push(EnvironmentChannelName(environment), `{"event_type":"tenant.updated","tenant_id":"t1"}`))
				_, _ = conn.Write([]byte(answer))
				waitForClient(conn, lines)
			})
			var got recorder
			listen(t, feed, got.sink)
			got.wait(t, tenant.SignalEvent, 1)
			if first := got.all()[0]; first.Kind != tenant.SignalSubscribed || (first.Err == nil) != (name == "yes") || len(got.all()) != 2 {
				t.Errorf("told %v", got.all())
			}
		})
	}
}
