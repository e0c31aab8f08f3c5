package redisevents

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX10AClusterKnownByOneAddress, said to be one or not: it is found out.
func TestX10AClusterKnownByOneAddress(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	for i, node := range cluster.Nodes {
		for _, said := range []bool{true, false} {
			cfg := configOf(node)
			cfg.Cluster = said
			var got recorder
			feed, err := NewStream(cfg, environment)
			if err != nil {
				t.Fatal(err)
			}
			feed.backoff.First, feed.backoff.Most = pollEvery, 5*pollEvery
			stop := listen(t, feed, got.sink)
			got.wait(t, tenant.SignalSubscribed, 1)
			publisher := newStreamPublisher(t, cfg)
			if failed := publishUntilTaken(t, publisher, encoded(t, of("a", "1"), of("b", "2"))); failed > 1 || said && failed > 0 {
				t.Errorf("node %d, said %v: %d batches failed", i, said, failed)
			}
			got.wait(t, tenant.SignalEvent, 2)
			if lost := got.of(tenant.SignalLost); len(lost) > 1 || said && len(lost) > 0 {
				t.Errorf("node %d, said %v: %d attempts failed", i, said, len(lost))
			}
			stop()
		}
	}
}

// TestX10AnAddressThatWasAClusters and leads to one server now is found out, too.
func TestX10AnAddressThatWasAClusters(t *testing.T) {
	t.Parallel()
	cluster, single := testserver.StartCluster(t), testserver.StartRedis(t)
	var elsewhere *testserver.Redis // a node that has not got the stream
	publisher := newStreamPublisher(t, Config{Addrs: cluster.Addrs()})
	publishUntilTaken(t, publisher, encoded(t, of("a", "1")))
	for _, node := range cluster.Nodes {
		if node.Client().DBSize(t.Context()).Val() == 0 {
			elsewhere = node
		}
	}
	proxy := testserver.NewProxy(t, elsewhere.Addr())
	publisher = newStreamPublisher(t, behind(proxy, 0))
	publishUntilTaken(t, publisher, encoded(t, of("a", "2")))
	feed, err := NewStream(behind(proxy, shortLimit), environment)
	if err != nil {
		t.Fatal(err)
	}
	var got recorder
	listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	proxy.SetTarget(single.Addr())
	proxy.Set(testserver.Reset)
	for _, node := range cluster.Nodes {
		node.Kill()
	}
	proxy.Set(testserver.Pass)
	eventually(t, "the single server to be published to", func() bool {
		return publisher.PublishAll(t.Context(), encoded(t, of("a", "3")))[0] == nil
	})
	got.wait(t, tenant.SignalSubscribed, 2)
	publishUntilTaken(t, publisher, encoded(t, of("a", "4")))
	eventually(t, "the last event", func() bool {
		events := got.of(tenant.SignalEvent)
		return len(events) > 0 && events[len(events)-1].Event.EventID == "4"
	})
}

// TestX09ASentinelIsNoServer, though it takes PUBLISH.
func TestX09ASentinelIsNoServer(t *testing.T) {
	t.Parallel()
	sentinels := testserver.StartSentinels(t)
	err := newPublisher(t, configOf(sentinels.Sentinels[0]), EnvironmentChannel).Publish(t.Context(), of("a", "1"))
	if !errors.Is(err, ErrUnready) || !strings.Contains(err.Error(), "MasterName") {
		t.Errorf("published to a Sentinel: %v", err)
	}
}

// TestX10AClusterThatCouldNotBeJoinedAtFirst, since one of its masters was stopped, is joined later, so that the others are known
// when the one address is gone.
func TestX10AClusterThatCouldNotBeJoinedAtFirst(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	publisher := newPublisher(t, configOf(cluster.Nodes[0]), EnvironmentChannel)
	publisher.clients.again = pollEvery
	cluster.Nodes[1].Pause()
	publish(t, publisher, 0, 1)
	if publisher.clients.current.cluster {
		t.Fatal("it went over to a Cluster of which one master answers nothing")
	}
	cluster.Nodes[1].Resume()
	eventually(t, "a client of the Cluster", func() bool {
		publish(t, publisher, 1, 2)
		return publisher.clients.current.cluster
	})
}

// TestX10WhenAClusterIsTriedAgain: after ten seconds, then after twice as long each time, at once after a server gave no answer, and
// never where the user may not ask.
func TestX10WhenAClusterIsTriedAgain(t *testing.T) {
	c, used, now := &clients{again: joinAgain}, &client{}, time.Now()
	for _, seconds := range []int{10, 20, 40, 80, 160, 320, 600, 600} {
		wait := time.Duration(seconds) * time.Second
		if !c.mayJoin(used, now) || c.mayJoin(used, now.Add(wait-1)) {
			t.Errorf("it is not tried, or tried again before %s", wait)
		}
		now = now.Add(wait)
	}
	if c.joinSoon(used); !c.mayJoin(used, now) || c.mayJoin(used, now) || !c.mayJoin(used, now.Add(joinAgain)) {
		t.Error("a server that gave no answer changes nothing")
	}
	if c.neverJoin(used); c.mayJoin(used, now.Add(time.Hour)) {
		t.Error("it is tried although the user may not ask")
	}
}
