package redisevents

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// clients lends out the driver's client of a [Publisher], and replaces it where its connections lead to the wrong server. To
// leave that to the driver is not enough: it looks at the first reply of a batch alone, and keeps the connection to a server
// that takes the first command and refuses the second.
type clients struct {
	open  func(cluster bool) redis.UniversalClient
	fixed bool          // it is configured that there is a Cluster
	again time.Duration // after which the Cluster of a single server is tried for the second time

	mu      sync.Mutex // guards what follows
	current *client    // nil before the first, and after one was dropped
	cluster bool       // a server said that it is one of a Cluster, although that was not said to us
	closed  bool
}

// client is one of the driver's, with its pool of connections.
type client struct {
	redis.UniversalClient

	cluster bool
	old     atomic.Bool // the server does not know HELLO
	doubted atomic.Bool // the last commands had no answer
	users   int
	dropped bool

	joinAt   time.Time     // before which nobody asks whether the server's Cluster can be reached
	joinWait time.Duration // the last time that was waited for it; negative is that it may not be asked
}

// askRole asks in the form that the server knows. In a Cluster one node's answer says nothing of another.
func (c *client) askRole(ctx context.Context, pipe redis.Pipeliner) *question {
	if c.cluster {
		return nil
	}
	return askRole(ctx, pipe, resp, c.old.Load())
}

// take returns the current client, which giveBack wants to have back.
func (c *clients) take() *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		cluster := c.cluster || c.fixed
		c.current = &client{UniversalClient: c.open(cluster), cluster: cluster}
		if c.closed { // the driver then says so
			_ = c.current.Close()
		}
	}
	c.current.users++
	return c.current
}

// giveBack ends a use. A client that is dropped is used by nobody else from then on, and closed after the last use.
func (c *clients) giveBack(used *client, drop bool) {
	if c.settle(used, drop) {
		_ = used.Close() // without the lock, since TLS says goodbye
	}
}

// settle reports whether nobody needs the client any more.
func (c *clients) settle(used *client, drop bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	used.users--
	if drop && !used.dropped && !c.closed {
		used.dropped, c.current = true, nil
	}
	return used.dropped && used.users == 0
}

// doubt takes note that commands had no answer, or one again. The driver would look for another owner of their slots only after
// ten seconds.
func (c *client) doubt(ctx context.Context, doubted bool) {
	c.doubted.Store(doubted)
	if cluster, ok := c.UniversalClient.(*redis.ClusterClient); ok && doubted {
		cluster.ReloadState(ctx)
	}
}

// replace has a client of the whole Cluster take the place of one of a single server, unless that one was dropped meanwhile.
func (c *clients) replace(used *client, cluster redis.UniversalClient) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != used || c.closed {
		return false
	}
	used.dropped, c.cluster = true, true
	c.current = &client{UniversalClient: cluster, cluster: true}
	return true
}

// mayJoin reports whether it is time to ask for the Cluster of a single server, and waits longer before the next time.
func (c *clients) mayJoin(used *client, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if used.joinWait < 0 || now.Before(used.joinAt) {
		return false
	}
	used.joinWait = min(max(c.again, 2*used.joinWait), joinAtMost)
	used.joinAt = now.Add(used.joinWait)
	return true
}

// joinSoon has it be time as soon as the server answers again: it gave no answer, and so it matters what others there are.
func (c *clients) joinSoon(used *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	used.joinAt, used.joinWait = time.Time{}, min(used.joinWait, 0)
}

// neverJoin leaves it at the one server, for a user who may not ask: each question would be one more refusal in its log.
func (c *clients) neverJoin(used *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	used.joinWait = -1
}

// leaves reports whether a client is not used again after these answers. That of a Cluster that was found out is kept as long as
// there is one, since the address that was given may be that of a node that is gone.
func (c *clients) leaves(used *client, commands []redis.Cmder) bool {
	if used.cluster && !c.fixed {
		return deniesCluster(firstError(commands))
	}
	return aboutServer(commands)
}

// learn notes whether the server belongs to a Cluster, for the clients that are made from now on.
func (c *clients) learn(cluster bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cluster = cluster
}

func (c *clients) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.current == nil {
		return nil
	}
	return c.current.Close()
}
