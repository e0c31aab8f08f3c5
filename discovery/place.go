package discovery

import (
	"cmp"
	"strings"
)

// placeOf says where the events come from, without any credentials.
func placeOf(cfg *Config) string {
	switch {
	case cfg.Feed != nil:
		return "the configured Feed"
	case cfg.RedisConfig.Host != "":
		return "Redis " + redacted(cfg.RedisConfig.Host) + ":" + cmp.Or(cfg.RedisConfig.Port, "6379")
	}
	addrs := make([]string, len(cfg.RedisConfig.Addrs))
	for i, addr := range cfg.RedisConfig.Addrs {
		addrs[i] = redacted(addr)
	}
	return "Redis " + strings.Join(addrs, ", ")
}

// redacted leaves out what stands before an @, which does not belong there and may be a password.
func redacted(addr string) string { return addr[strings.LastIndex(addr, "@")+1:] }
