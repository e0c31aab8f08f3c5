package redisevents

import (
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// driverOptions fills in what publishing and listening have in common. What the server is told about us is kept to
// the least, so that a narrow ACL does.
func (c Config) driverOptions(dial dialFunc) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:                 c.addrs(),
		MasterName:            c.MasterName,
		Username:              c.Username,
		Password:              c.Password,
		SentinelUsername:      c.SentinelUsername,
		SentinelPassword:      c.SentinelPassword,
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
