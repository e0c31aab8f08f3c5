package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// redisFlags say where Redis is, to every command that needs it.
type redisFlags struct {
	RedisURL string `form:"url" group:"Redis" help:"The address of Redis: redis://host:6379, or rediss://host:6379 for TLS. Without it, the variables $$MULTI_TENANT_REDIS_HOST, _PORT, _PASSWORD, _TLS and _CA_CERT are used. Everybody on this machine can see a password in a flag: prefer the environment." name:"redis-url" placeholder:"URL" setting:"redis"`

	RedisAddrs string `group:"Redis" help:"Sentinels, or nodes of a Cluster, as host:port,host:port. They replace the host of the URL; the rest of the URL applies to all of them." name:"redis-addrs" placeholder:"LIST" setting:"redis-addrs"`

	RedisMaster string `group:"Redis" help:"The name that the Sentinels have for the master. $$TENANTWATCH_REDIS_SENTINEL_USERNAME and $$TENANTWATCH_REDIS_SENTINEL_PASSWORD are the credentials for the Sentinels themselves." name:"redis-master" placeholder:"NAME" setting:"redis-master"`

	RedisCluster bool `group:"Redis" help:"The only address that is given is that of a Cluster. Without this flag a Cluster is recognised too, but the first attempt may fail." name:"redis-cluster" setting:"redis-cluster"`

	RedisCAFile string `group:"Redis" help:"A file with certificates of authorities that may have signed the certificate of Redis. They are trusted in addition to those of the system." name:"redis-ca-file" placeholder:"FILE" predictor:"file" setting:"redis-ca"`

	RedisServerName string `group:"Redis" help:"The name for which the certificate of Redis is valid, if it is not the host that is connected to." name:"redis-server-name" placeholder:"NAME" setting:"redis-name"`

	RedisCert string `group:"Redis" help:"A file with a client certificate, for a Redis that asks for one. The file is read again when it changes." name:"redis-cert" placeholder:"FILE" predictor:"file" setting:"redis-cert"`

	RedisKey string `group:"Redis" help:"A file with the key of the client certificate." name:"redis-key" placeholder:"FILE" predictor:"file" setting:"redis-key"`
}

// The settings of Redis. Those of services are beside ours, so that what a service has already is enough.
var (
	redisAt       = setting{what: "Redis", flag: "--redis-url", variables: []string{"TENANTWATCH_REDIS_URL"}, optional: true}
	redisServers  = setting{what: "Redis servers", flag: "--redis-addrs", variables: []string{"TENANTWATCH_REDIS_ADDRS"}, optional: true}
	redisMaster   = setting{what: "Redis master", flag: "--redis-master", variables: []string{"TENANTWATCH_REDIS_MASTER"}, optional: true}
	redisCA       = setting{what: "Redis CA", flag: "--redis-ca-file", variables: []string{"TENANTWATCH_REDIS_CA_FILE"}, optional: true}
	redisName     = setting{what: "Redis's name", flag: "--redis-server-name", variables: []string{"TENANTWATCH_REDIS_SERVER_NAME"}, optional: true}
	redisCert     = setting{what: "our certificate for Redis", flag: "--redis-cert", variables: []string{"TENANTWATCH_REDIS_CERT"}, optional: true}
	redisKey      = setting{what: "its key for Redis", flag: "--redis-key", variables: []string{"TENANTWATCH_REDIS_KEY"}, optional: true}
	redisCluster  = setting{what: "Redis Cluster", flag: "--redis-cluster", variables: []string{"TENANTWATCH_REDIS_CLUSTER"}, optional: true}
	sentinelsUser = setting{what: "the Sentinels' user", variables: []string{"TENANTWATCH_REDIS_SENTINEL_USERNAME"}, optional: true}
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
	text, from := l.url(redisAt, urlproblem.Redis, f.RedisURL)
	servers, master, user, password := redisServers, redisMaster, sentinelsUser, sentinelsPass
	if from == redisAt.flag && hasHost(text) { // a flag wins over the environment, and names another Redis than that does
		servers.variables, master.variables, user.variables, password.variables = nil, nil, nil, nil
	}
	addrs := l.value(servers, f.RedisAddrs)
	var cfg redisevents.Config
	if text == "" && addrs == "" && len(l.problems) == wrong {
		cfg, from = redisOfServices(l), "MULTI_TENANT_REDIS_*"
	} else {
		cfg = urlConfig(l, text, from)
	}
	if addrs != "" {
		cfg.Host, cfg.Port, cfg.Addrs = "", "", addresses(l, addrs)
	}
	cfg.MasterName = l.value(master, f.RedisMaster)
	cfg.SentinelUsername, cfg.SentinelPassword = l.value(user, ""), l.value(password, "")
	cfg.Cluster = l.truth(redisCluster.variables[0]) || f.RedisCluster
	f.tls(l, &cfg)
	if len(l.problems) == wrong && cfg.Host+addrs != "" { // or else it is known what is wrong
		if err := cfg.Validate(); err != nil {
			l.problems.note(cmp.Or(from, redisServers.flag) + ": " + err.Error())
		}
	}
	return cfg
}

// words are the flags as somebody would type them; private is whether the URL has a password, which is left out then.
func (f *redisFlags) words() (words []string, private bool) {
	parsed, err := url.Parse(f.RedisURL)
	_, private = parsed.User.Password()
	if f.RedisURL != "" && err == nil && !private {
		words = append(words, redisAt.flag, quote(f.RedisURL))
	}
	for _, flag := range [][2]string{
		{redisServers.flag, f.RedisAddrs},
		{redisMaster.flag, f.RedisMaster},
		{redisCA.flag, f.RedisCAFile},
		{redisName.flag, f.RedisServerName},
		{redisCert.flag, f.RedisCert},
		{redisKey.flag, f.RedisKey},
	} {
		if flag[1] != "" {
			words = append(words, flag[0], quote(flag[1]))
		}
	}
	if f.RedisCluster {
		words = append(words, "--redis-cluster")
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
			l.problems.note("--redis-addrs has more in it than host:port: a user, a password and TLS are for --redis-url")
		case err != nil || host == "" || !urlproblem.IsPort(port) || wrongRim(host, formPlain) != "":
			l.problems.note("--redis-addrs is not a list of host:port, with commas between them")
		default:
			continue
		}
		break
	}
	return all
}

// tls has what counts for TLS alone. The pair of files is read here once, so that one that does not fit is found out now.
func (f *redisFlags) tls(l *lookup, cfg *redisevents.Config) {
	authorities := l.value(redisCA, f.RedisCAFile)
	cfg.TLSServerName = l.value(redisName, f.RedisServerName)
	cfg.ClientCert, cfg.ClientKey = l.value(redisCert, f.RedisCert), l.value(redisKey, f.RedisKey)
	if !cfg.TLS {
		if authorities+cfg.TLSServerName+cfg.ClientCert+cfg.ClientKey != "" {
			l.problems.note("--redis-ca-file, --redis-server-name, --redis-cert and --redis-key are for TLS, and the URL of Redis begins with redis://: write rediss://")
		}
		return
	}
	cfg.CACertBase64 = l.authorities(authorities)
	if l.pair(redisCert, redisKey, cfg.ClientCert, cfg.ClientKey) {
		if _, err := newCertificate(context.Background(), cfg.ClientCert, cfg.ClientKey, slog.New(slog.DiscardHandler)); err != nil { // as a pipe does not hang it
			l.problems.note(fmt.Sprintf("%s and %s: %v", redisCert.flag, redisKey.flag, err))
		}
	}
}

// authorities are the certificates of a file or, as services have them, in base64.
func (l *lookup) authorities(file string) string {
	if file == "" {
		return l.value(servicesCA, "")
	}
	pem, err := readSettingFile(context.Background(), file)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = errNoCertificate
	}
	if err != nil {
		l.problems.note("--redis-ca-file: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(pem)
}

func redisOfServices(l *lookup) redisevents.Config {
	return redisevents.Config{
		Host:         l.value(servicesHost, ""),
		Port:         l.value(servicesPort, ""),
		Password:     l.value(servicesPass, ""),
		TLS:          l.truth("MULTI_TENANT_REDIS_TLS"),
		CACertBase64: l.value(servicesCA, ""),
	}
}
