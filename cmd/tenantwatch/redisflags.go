package main

import (
	"context"
	"encoding/base64"
	"net"
	"net/url"
	"strings"

	"github.com/tenantwatch/tenantwatch/redisevents"
)

// redisFlags say where Redis is, to every command that needs it.
type redisFlags struct {
	RedisURL string `form:"url" group:"Redis:" help:"Redis, as redis://host:6379 or rediss:// for TLS ($$TENANTWATCH_REDIS_URL, or $$MULTI_TENANT_REDIS_HOST, _PORT, _PASSWORD, _TLS, _CA_CERT). Everybody on this machine can see a password in a flag: prefer the environment." name:"redis-url" placeholder:"URL"`

	RedisAddrs string `group:"Redis:" help:"Sentinels, or nodes of a Cluster, as host:port,host:port; they take the place of the URL's host, and the rest of the URL counts for all of them ($$TENANTWATCH_REDIS_ADDRS)." name:"redis-addrs" placeholder:"LIST"`

	RedisMaster string `group:"Redis:" help:"The name by which Sentinels know the master ($$TENANTWATCH_REDIS_MASTER; $$TENANTWATCH_REDIS_SENTINEL_PASSWORD is theirs)." name:"redis-master" placeholder:"NAME"`

	RedisCAFile string `group:"Redis:" help:"A file with the certificates that Redis's is signed with, beside those of the system ($$TENANTWATCH_REDIS_CA_FILE)." name:"redis-ca-file" placeholder:"FILE"`
}

// The settings of Redis. Those of services are beside ours, so that what a service has already is enough.
var (
	redisAt       = setting{what: "Redis", flag: "--redis-url", variables: []string{"TENANTWATCH_REDIS_URL"}, optional: true}
	redisServers  = setting{what: "Redis servers", flag: "--redis-addrs", variables: []string{"TENANTWATCH_REDIS_ADDRS"}, optional: true}
	redisMaster   = setting{what: "Redis master", flag: "--redis-master", variables: []string{"TENANTWATCH_REDIS_MASTER"}, optional: true}
	redisCA       = setting{what: "Redis CA", flag: "--redis-ca-file", variables: []string{"TENANTWATCH_REDIS_CA_FILE"}, optional: true}
	sentinelsPass = setting{what: "the Sentinels' password", variables: []string{"TENANTWATCH_REDIS_SENTINEL_PASSWORD"}, form: formSecret, optional: true}

	servicesHost = setting{what: "Redis", flag: "--redis-url", variables: []string{"TENANTWATCH_REDIS_URL", "MULTI_TENANT_REDIS_HOST"}}
	servicesPort = setting{what: "Redis port", variables: []string{"MULTI_TENANT_REDIS_PORT"}, optional: true}
	servicesPass = setting{what: "Redis password", variables: []string{"MULTI_TENANT_REDIS_PASSWORD"}, form: formSecret, optional: true}
	servicesCA   = setting{what: "Redis CA", variables: []string{"MULTI_TENANT_REDIS_CA_CERT"}, form: formEncoded, optional: true}
)

// resolve takes either our settings or those that services have. The two are not mixed, so that the password of one server
// is never sent to another; only the certificate counts for both.
func (f *redisFlags) resolve(l *lookup) redisevents.Config {
	wrong := len(l.problems)
	text, from := l.url(redisAt, redisURLs, f.RedisURL)
	servers, master := redisServers, redisMaster
	if from == redisAt.flag && hasHost(text) { // a flag wins over the environment, and names another Redis than that does
		servers.variables, master.variables = nil, nil
	}
	addrs := l.value(servers, f.RedisAddrs)
	if text == "" && addrs == "" && len(l.problems) == wrong {
		return redisOfServices(l)
	}
	cfg := urlConfig(l, text, from)
	if addrs != "" {
		cfg.Host, cfg.Port, cfg.Addrs = "", "", addresses(l, addrs)
	}
	cfg.MasterName = l.value(master, f.RedisMaster)
	cfg.SentinelPassword = l.value(sentinelsPass, "")
	cfg.CACertBase64 = f.authorities(l, cfg.TLS)
	return l.validRedis(cfg, "Redis", wrong)
}

// words are the flags as somebody would type them; private is whether the URL has a password, which is left out then.
func (f *redisFlags) words() (words []string, private bool) {
	parsed, err := url.Parse(f.RedisURL)
	_, private = parsed.User.Password()
	if f.RedisURL != "" && err == nil && !private {
		words = append(words, redisAt.flag, quote(f.RedisURL))
	}
	for _, flag := range [][2]string{{redisServers.flag, f.RedisAddrs}, {redisMaster.flag, f.RedisMaster}, {redisCA.flag, f.RedisCAFile}} {
		if flag[1] != "" {
			words = append(words, flag[0], quote(flag[1]))
		}
	}
	return words, private
}

func hasHost(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Host != ""
}

func urlConfig(l *lookup, text, from string) redisevents.Config {
	if text == "" {
		return redisevents.Config{}
	}
	cfg, err := redisevents.ParseURL(text)
	if err != nil {
		l.problems.note(from + ": " + err.Error())
	}
	return cfg
}

// addresses takes a list apart. Nothing of it shows where it makes no sense: somebody may have written a password into it.
func addresses(l *lookup, list string) []string {
	all := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	for _, addr := range all {
		host, port, err := net.SplitHostPort(addr)
		switch {
		case strings.Contains(addr, "@") || strings.Contains(addr, "/"):
			l.problems.note("--redis-addrs has more in it than host:port: a user, a password and TLS belong into --redis-url")
		case err != nil || host == "" || !isPort(port) || wrongRim(host, formPlain) != "":
			l.problems.note("--redis-addrs is not a list of host:port, with commas between them")
		default:
			continue
		}
		break
	}
	return all
}

// authorities are the certificates of a file or, as services have them, in base64.
func (f *redisFlags) authorities(l *lookup, secure bool) string {
	file := l.value(redisCA, f.RedisCAFile)
	switch {
	case file == "" && secure:
		return l.value(servicesCA, "")
	case file == "":
		return ""
	case !secure:
		l.problems.note("--redis-ca-file is for TLS, and the URL of Redis begins with redis://: write rediss://")
		return ""
	}
	pem, err := readSettingFile(context.Background(), file)
	if err != nil {
		l.problems.note("--redis-ca-file: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(pem)
}

func redisOfServices(l *lookup) redisevents.Config {
	wrong := len(l.problems)
	cfg := redisevents.Config{
		Host:         l.value(servicesHost, ""),
		Port:         l.value(servicesPort, ""),
		Password:     l.value(servicesPass, ""),
		TLS:          l.truth("MULTI_TENANT_REDIS_TLS"),
		CACertBase64: l.value(servicesCA, ""),
	}
	if cfg.Host == "" {
		return cfg
	}
	return l.validRedis(cfg, "MULTI_TENANT_REDIS_*", wrong)
}

// validRedis notes what is wrong with a configuration, unless something is known to be wrong with its parts already.
func (l *lookup) validRedis(cfg redisevents.Config, from string, wrong int) redisevents.Config {
	if len(l.problems) > wrong {
		return cfg
	}
	if err := cfg.Validate(); err != nil {
		l.problems.note(from + ": " + err.Error())
	}
	return cfg
}
