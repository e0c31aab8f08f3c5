package redisevents

import (
	"sync"

	"github.com/redis/go-redis/v9"
)

// clients lends out the driver's client of a [Publisher], and replaces it where its connections lead to the wrong server. To
// leave that to the driver is not enough: it looks at the first reply of a batch alone, and keeps the connection to a server
// that takes the first command and refuses the second.
type clients struct {
	open func(cluster bool) redis.UniversalClient

	mu      sync.Mutex // guards what follows
	current *client    // nil before the first, and after one was dropped
	cluster bool       // a server said that it is one of a Cluster, although that was not said to us
	closed  bool
}

// client is one of the driver's, with its pool of connections.
type client struct {
	redis.UniversalClient

	cluster bool
	users   int
	dropped bool
}

// take returns the current client, which giveBack wants to have back.
func (c *clients) take() *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		c.current = &client{UniversalClient: c.open(c.cluster), cluster: c.cluster}
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
