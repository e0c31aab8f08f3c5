package redisevents

import (
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// driverOptions fills in what publishing and listening have in common. What the server is told about us is kept to
// the least, so that a narrow ACL does. Sentinels are not left to the driver, which waits for ever for one that does not answer: where
// there are any, dial has to ask them, see locate.
func (c Config) driverOptions(dial dialFunc) *redis.UniversalOptions {
	addrs := c.addrs()
	if !c.isCluster() {
		addrs = addrs[:1]
	}
	return &redis.UniversalOptions{
		Addrs:                 addrs,
		Username:              c.Username,
		Password:              c.Password,
		DB:                    c.DB,
		Dialer:                dial,
		ContextTimeoutEnabled: true,
		DialerRetries:         1,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}
