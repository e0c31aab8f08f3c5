package testserver_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

func TestSentinelsMakeTheReplicaTheMaster(t *testing.T) {
	s := testserver.StartSentinels(t)
	if len(s.Addrs()) != 3 || s.Master(t) != s.Servers[0] {
		t.Fatalf("%v, master %s", s.Addrs(), s.Master(t).Addr())
	}
	s.Servers[0].Kill()
	promoted := func() bool {
		return s.Master(t) == s.Servers[1] && s.Servers[1].Client().Set(t.Context(), "key", "value", 0).Err() == nil
	}
	for deadline := time.Now().Add(30 * time.Second); !promoted(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("there was no failover")
		}
	}
}

func TestClusterPassesMessagesOn(t *testing.T) {
	c := testserver.StartCluster(t)
	driver := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), DisableIdentity: true})
	defer func() { _ = driver.Close() }()
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := driver.Set(t.Context(), key, "value", 0).Err(); err != nil {
			t.Error(err)
		}
	}
	subscription := c.Nodes[0].Client().Subscribe(t.Context(), "channel")
	defer func() { _ = subscription.Close() }()
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Nodes {
		node.Do(t.Context(), "PUBLISH", "channel", node.Port())
		message, err := subscription.ReceiveMessage(t.Context())
		if err != nil || message.Payload != node.Port() {
			t.Errorf("got %v, %v", message, err)
		}
	}
}
