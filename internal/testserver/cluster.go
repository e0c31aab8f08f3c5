package testserver

import (
	"strings"
	"testing"
)

const (
	clusterNodes = 3
	clusterSlots = 16384
)

// Cluster is three masters without replicas, each with a third of the slots. When one is dead the others go on.
type Cluster struct{ Nodes []*Redis }

// StartCluster starts three processes, each like StartRedis, and returns once every node knows all of them.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range clusterNodes {
		bus := freePort(t) // the one that it would take by itself may be above the highest that there is
		node := StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000",
			"--cluster-require-full-coverage", "no")
		from := len(c.Nodes) * clusterSlots / clusterNodes
		c.Nodes = append(c.Nodes, node)
		node.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", from, len(c.Nodes)*clusterSlots/clusterNodes-1)
		c.Nodes[0].Do(t.Context(), "CLUSTER", "MEET", node.Host(), node.Port(), bus)
	}
	for _, node := range c.Nodes {
		waitFor(t, "the nodes to know each other", func() bool {
			info, _ := node.Do(t.Context(), "CLUSTER", "INFO").(string)
			links, _ := node.Do(t.Context(), "CLUSTER", "NODES").(string) // one without a link, or shaking hands, is sent no messages
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") &&
				strings.Count(links, " connected") == clusterNodes && !strings.Contains(links, "handshake")
		})
	}
	return c
}

// Addrs returns the "host:port" of each node.
func (c *Cluster) Addrs() []string { return addrs(c.Nodes) }
