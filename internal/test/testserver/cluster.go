package testserver

import (
	"strings"
	"testing"
)

const (
	clusterNodes = 3
	clusterSlots = 16384
)

// Cluster is three masters, each with a third of the slots. When one is dead the others go on.
type Cluster struct {
	Nodes   []*Redis // the masters
	Replica *Redis   // of the first master; nil before AddReplica
}

// StartCluster starts three processes, each like StartRedis, and returns once every node knows all of them.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range clusterNodes {
		node, bus := startNode(t)
		from := len(c.Nodes) * clusterSlots / clusterNodes
		c.Nodes = append(c.Nodes, node)
		node.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", from, len(c.Nodes)*clusterSlots/clusterNodes-1)
		c.Nodes[0].Do(t.Context(), "CLUSTER", "MEET", node.Host(), node.Port(), bus)
	}
	for _, node := range c.Nodes {
		waitForCluster(t, node, clusterNodes)
	}
	return c
}

// startNode starts a process that is in a Cluster of its own. announced is added to its command line.
func startNode(t testing.TB, announced ...string) (node *Redis, bus string) {
	t.Helper()
	bus = freePort(t) // the one that it would take by itself may be above the highest that there is
	return StartRedis(t, append([]string{
		"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000",
		"--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0",
	}, announced...)...), bus
}

// AddReplica starts a replica of the first master, and returns once every node knows it and it has what its master has.
// When its master is dead it takes that one's place after some seconds.
func (c *Cluster) AddReplica(t testing.TB) *Redis {
	t.Helper()
	node, bus := startNode(t)
	c.Replica = node
	c.Nodes[0].Do(t.Context(), "CLUSTER", "MEET", node.Host(), node.Port(), bus)
	waitForCluster(t, node, clusterNodes+1)
	node.Do(t.Context(), "CLUSTER", "REPLICATE", c.Nodes[0].Do(t.Context(), "CLUSTER", "MYID"))
	waitFor(t, "the replica to have what its master has", func() bool {
		info, _ := node.Do(t.Context(), "INFO", "replication").(string)
		return strings.Contains(info, "master_link_status:up")
	})
	for _, each := range append([]*Redis{node}, c.Nodes...) {
		waitForCluster(t, each, clusterNodes+1)
		waitFor(t, "the replica to be known", func() bool {
			nodes, _ := each.Do(t.Context(), "CLUSTER", "NODES").(string)
			return strings.Contains(nodes, "slave")
		})
	}
	return node
}

// waitForCluster returns once a node has a link to as many as there are.
func waitForCluster(t testing.TB, node *Redis, nodes int) {
	t.Helper()
	waitFor(t, "the nodes to know each other", func() bool {
		info, _ := node.Do(t.Context(), "CLUSTER", "INFO").(string)
		links, _ := node.Do(t.Context(), "CLUSTER", "NODES").(string) // one without a link, or shaking hands, is sent no messages
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") &&
			strings.Count(links, " connected") == nodes && !strings.Contains(links, "handshake")
	})
}

// Addrs returns the "host:port" of each node.
func (c *Cluster) Addrs() []string { return addrs(c.Nodes) }
