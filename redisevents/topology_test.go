package redisevents

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// subscribedAt returns the node that somebody listens at.
func subscribedAt(t *testing.T, nodes []*testserver.Redis) *testserver.Redis {
	t.Helper()
	var found *testserver.Redis
	eventually(t, "a subscriber", func() bool {
		for _, node := range nodes {
			if list, _ := node.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").(string); strings.Contains(list, "sub=2") {
				found = node
			}
		}
		return found != nil
	})
	return found
}

// more publishes ten events and checks that they come in order. Others may come in between: who has gone to another node
// of a Cluster may hear there what was late on its way to that one, and was told by the node before.
func (r *recorder) more(t *testing.T, publisher *Publisher) {
	t.Helper()
	const n = 10
	from := 1000 + r.count(tenant.SignalEvent) // no others have such numbers
	publish(t, publisher, from, from+n)
	var events []tenant.Signal
	eventually(t, "ten events more", func() bool {
		events = slices.DeleteFunc(r.of(tenant.SignalEvent), func(signal tenant.Signal) bool {
			i, err := strconv.Atoi(signal.Event.EventID)
			return err != nil || i < from
		})
		return len(events) >= n
	})
	expectNumbered(t, events, from)
}

func TestClusterOfThreeNodes(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	cfg := Config{Addrs: cluster.Addrs(), SilenceLimit: 5 * time.Second}
	var got recorder
	listen(t, newFeed(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	for _, node := range cluster.Nodes {
		got.more(t, newPublisher(t, configOf(node), EnvironmentChannel))
	}
	atAll := newPublisher(t, cfg, EnvironmentChannel) // it goes to the owner of the channel's slot
	publish(t, atAll, 0, 30)
	got.wait(t, tenant.SignalEvent, 60)

	dead := subscribedAt(t, cluster.Nodes)
	want := 30
	if errors.Is(dead.Client().Get(t.Context(), EnvironmentChannelName(environment)).Err(), redis.Nil) { // else it is MOVED
		want = 0
	}
	dead.Kill()
	got.wait(t, tenant.SignalSubscribed, 2)
	for _, node := range cluster.Nodes {
		if node != dead {
			got.more(t, newPublisher(t, configOf(node), EnvironmentChannel))
		}
	}
	sent := 0
	for i := range 30 {
		if err := atAll.Publish(t.Context(), numbered(i)); err == nil {
			sent++
		}
	}
	if sent != want {
		t.Errorf("%d of 30 were published while a node was dead, want %d", sent, want)
	}
	got.wait(t, tenant.SignalEvent, 80+sent)
	dead.Start()
	eventually(t, "the node to be back", func() bool {
		info, _ := dead.Do(t.Context(), "CLUSTER", "INFO").(string)
		return strings.Contains(info, "cluster_state:ok")
	})
	eventually(t, "an event from the node that is back", func() bool {
		before := got.count(tenant.SignalEvent)
		publish(t, newPublisher(t, configOf(dead), EnvironmentChannel), 0, 1)
		return got.count(tenant.SignalEvent) > before
	})
}

// TestEveryNodeOfAClusterIsChosen in the end, so that listeners spread over all.
func TestEveryNodeOfAClusterIsChosen(t *testing.T) {
	cfg := Config{Addrs: []string{"a:1", "b:1", "c:1"}}
	chosen := map[string]bool{}
	for range 1000 {
		addr, err := cfg.locate(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		chosen[addr] = true
	}
	if len(chosen) != 3 || cfg.Addrs[0] != "a:1" {
		t.Errorf("chose %v of %v", chosen, cfg.Addrs)
	}
}

// TestSentinels that want a user of their own, a failover, and a Sentinel that is silent.
func TestSentinels(t *testing.T) {
	s := testserver.StartSentinels(t)
	for _, sentinel := range s.Sentinels {
		sentinel.Do(t.Context(), "ACL", "SETUSER", "listener", "on", ">"+canary, "-@all", "+sentinel|get-master-addr-by-name")
	}
	cfg := Config{
		Addrs: s.Addrs(), MasterName: s.Name, SilenceLimit: 5 * time.Second,
		SentinelUsername: "listener", SentinelPassword: canary,
	}
	before := takeFootprint(t)
	var got recorder
	stop := listen(t, newFeed(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	publisher, err := NewPublisher(PublisherConfig{Redis: cfg})
	if err != nil {
		t.Fatal(err)
	}
	got.more(t, publisher)

	s.Sentinels[0].Pause()
	s.Servers[0].Kill()
	got.wait(t, tenant.SignalSubscribed, 2)
	if at := subscribedAt(t, s.Servers[1:]); at != s.Servers[1] {
		t.Errorf("subscribed at %s", at.Addr())
	}
	eventually(t, "the publisher to find the new master", func() bool {
		return publisher.Publish(t.Context(), numbered(99)) == nil
	})
	got.wait(t, tenant.SignalEvent, 11)
	got.more(t, publisher)
	s.Sentinels[0].Resume()
	stop()
	if err := publisher.Close(); err != nil {
		t.Error(err)
	}
	expectFootprint(t, before)

	for name, change := range map[string]func(*Config){
		"is refused":     func(cfg *Config) { cfg.SentinelPassword = "wrong-" + canary },
		"knows no other": func(cfg *Config) { cfg.MasterName = "other" },
	} {
		wrong := cfg
		change(&wrong)
		err := firstLoss(t, wrong)
		if strings.Contains(err.Error(), canary) || errors.Is(err, ErrRefused) != (name == "is refused") ||
			strings.Count(err.Error(), fmt.Sprintf("for the master %q", wrong.MasterName)) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRunEndsWhileSentinelsAreMute, at once, although each has two seconds to answer.
func TestRunEndsWhileSentinelsAreMute(t *testing.T) {
	proxy := testserver.NewProxy(t, "127.0.0.1:1")
	proxy.Set(testserver.Mute)
	cfg := Config{Addrs: []string{proxy.Addr(), proxy.Addr()}, MasterName: "m", SilenceLimit: time.Minute}
	before := takeFootprint(t)
	var got recorder
	stop := listen(t, newFeed(t, cfg, environment), got.sink)
	eventually(t, "a connection", func() bool { return proxy.Accepted() == 1 })
	stop()
	if proxy.Accepted() != 1 {
		t.Errorf("%d Sentinels were asked", proxy.Accepted())
	}
	eventually(t, "no connection", func() bool { return proxy.Conns() == 0 })
	expectFootprint(t, before)

	listen(t, newFeed(t, cfg, environment), got.sink)
	if err := got.wait(t, tenant.SignalLost, 1)[0].Err; strings.Count(err.Error(), "ask the Sentinel") != 2 {
		t.Errorf("lost: %v", err)
	}
}
