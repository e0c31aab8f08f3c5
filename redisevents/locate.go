package redisevents

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// sentinelTimeout is how long one Sentinel may take to say which server is the master.
const sentinelTimeout = 2 * time.Second

// locate returns the address of the server to connect to. Of the nodes of a Cluster any one does, since each carries every
// message: to leave the choice to the driver would mean the owner of the channel's slot, even while that one is dead.
func (c Config) locate(ctx context.Context, plain dialFunc, secure *tls.Config) (string, error) {
	addrs := c.addrs()
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] }) //nolint:gosec // no secret
	if c.MasterName == "" {
		return addrs[0], nil
	}
	dials := &dialer{plain: plain, secure: secure, connected: func() {}}
	closed := make(chan struct{})
	ctx, end := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() {
		defer close(closed)
		dials.closeAll()
	})
	defer func() {
		end()
		<-closed
	}()
	var errs []error
	for _, addr := range addrs {
		master, err := c.askSentinel(ctx, addr, dials.within(ctx))
		if err == nil {
			return master, nil
		}
		errs = append(errs, fmt.Errorf("ask the Sentinel at %s for the master %q: %w", addr, c.MasterName, err))
		if ctx.Err() != nil {
			break
		}
	}
	return "", errors.Join(errs...)
}

func (c Config) askSentinel(ctx context.Context, addr string, dial dialFunc) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sentinelTimeout)
	defer cancel()
	options := c.driverOptions(dial).Simple()
	options.Addr, options.DB, options.MaxRetries = addr, 0, -1
	options.Username, options.Password = c.SentinelUsername, c.SentinelPassword
	options.ReadTimeout, options.WriteTimeout = sentinelTimeout, sentinelTimeout
	client := redis.NewSentinelClient(options)
	defer func() { _ = client.Close() }()
	master, err := client.GetMasterAddrByName(ctx, c.MasterName).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", errors.New("it knows none of that name")
	case err != nil:
		return "", err
	case len(master) != 2:
		return "", fmt.Errorf("%w: %d words instead of a host and a port", ErrProtocol, len(master))
	}
	return net.JoinHostPort(master[0], master[1]), nil
}
