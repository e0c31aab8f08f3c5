package redisevents

import (
	"errors"
	"net"
	"net/url"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
)

// ParseURL reads redis://[username:password@]host[:port][/db] and, for TLS, rediss://. A missing host is localhost. The
// only option that it accepts is db, as in redis://host?db=1. Any other option is an error.
//
// Its errors say what is wrong without quoting the URL, because any part of it may be a piece of a password that was
// not percent-encoded.
func ParseURL(text string) (Config, error) {
	if problem := urlproblem.Redis.Problem(text); problem != "" {
		return Config{}, errors.New("the Redis URL " + problem + "; it looks like " + urlproblem.Redis.Example)
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return Config{}, errors.New("the Redis URL is not a URL") // it has been looked at: this cannot be
	}
	query := parsed.Query()
	query.Del("db")
	if len(query) > 0 {
		return Config{}, errors.New("the Redis URL has an option that is not supported; db is the only one")
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return Config{}, errors.New("the Redis URL has a path or a db that is not a database number")
	}
	return fromOptions(options)
}

func fromOptions(options *redis.Options) (Config, error) {
	host, port, err := net.SplitHostPort(options.Addr)
	if err != nil {
		return Config{}, errors.New("the Redis URL has no usable host and port")
	}
	cfg := Config{
		Host: host, Port: port, Username: options.Username, Password: options.Password, DB: options.DB,
		TLS: options.TLSConfig != nil,
	}
	return cfg, cfg.Validate()
}
