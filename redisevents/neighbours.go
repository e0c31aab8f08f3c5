package redisevents

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxNeighbours is how many nodes of a Cluster are remembered.
	maxNeighbours = 64
	// nearLimit is how long connecting to one of them may take, of all together: while they are gone the address that was given is
	// what leads to the server, and is not to wait for them.
	nearLimit = 2 * time.Second
)

// neighbours are the nodes of the Cluster to which the one address leads that was given. While nobody answers there, one of them
// is asked. The address comes first all the same, since it may lead to another server by now.
type neighbours struct {
	mu    sync.Mutex // guards addrs
	addrs []string
}

// attempt is one session of a Run. Each Run has its own: two of them would take the turn from each other.
type attempt struct {
	ahead   bool        // the neighbours come first, since a server took a connection and there was no subscription
	reached atomic.Bool // a server has taken a connection
}

// note replaces what is known. Nothing is a server that is in no Cluster.
func (n *neighbours) note(slots []redis.ClusterSlot) {
	var addrs []string
	for _, slot := range slots {
		for _, node := range slot.Nodes {
			if validAddr(node.Addr) && !slices.Contains(addrs, node.Addr) && len(addrs) < maxNeighbours {
				addrs = append(addrs, node.Addr)
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = addrs
}

// next is the attempt after this one. After one with a connection and without a subscription the other order is tried: a server
// that takes a connection may say nothing more.
func (a *attempt) next(subscribed bool) *attempt {
	return &attempt{ahead: a.reached.Load() && !subscribed && !a.ahead}
}

// routesTo returns the routes to try one after the other.
func (n *neighbours) routesTo(given string, ahead bool) []route {
	n.mu.Lock()
	addrs := slices.Clone(n.addrs)
	n.mu.Unlock()
	addrs = slices.DeleteFunc(addrs, func(addr string) bool { return addr == given })
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] }) //nolint:gosec // no secret
	first, near := route{addrs: []string{given}}, route{addrs: addrs, limit: nearLimit}
	if ahead {
		return []route{near, first}
	}
	return []route{first, near}
}

func (n *neighbours) any() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.addrs) > 0
}

// meet asks a server for its neighbours. Only that there is no answer is an error: a user may be forbidden to ask. The first
// question is one that everybody may ask, so that no server that is in no Cluster counts a refusal.
func (s *source) meet(ctx context.Context, conn *redis.Conn) error {
	if len(s.cfg().addrs()) != 1 || s.cfg().MasterName != "" {
		return nil
	}
	return guarded(func() error {
		hello := &question{hello: conn.Do(ctx, "hello", s.protocol)}
		if hadNoAnswer(hello.hello.Err()) {
			return hello.hello.Err()
		}
		if mode := hello.mode(); mode != "" && mode != "cluster" {
			s.near.note(nil)
			return nil
		}
		return s.learnNeighbours(conn.ClusterSlots(ctx).Result()) //nolint:staticcheck // CLUSTER SHARDS is for Redis 7 and later
	})
}

// learnNeighbours takes an answer to CLUSTER SLOTS.
func (s *source) learnNeighbours(slots []redis.ClusterSlot, err error) error {
	if err == nil || deniesCluster(err) {
		s.near.note(slots)
	}
	if _, reply := errors.AsType[redis.Error](err); reply {
		return nil
	}
	return err
}
