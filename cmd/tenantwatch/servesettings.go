package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
)

// What serve does unless it is told otherwise.
const (
	defaultListen      = "127.0.0.1:8080"
	defaultAdminListen = "127.0.0.1:8081"
	defaultKeepEvents  = 24 * time.Hour
)

// redisFlags say where the events go.
type redisFlags struct {
	RedisURL string `help:"Redis, as redis://host:6379 or rediss:// for TLS ($$TENANTWATCH_REDIS_URL). Everybody on this machine can see a password in a flag: prefer the environment." name:"redis-url" placeholder:"URL"`

	RedisAddrs string `help:"Sentinels, or nodes of a Cluster, as host:port,host:port; they take the place of the URL's host, and the rest of the URL counts for all of them ($$TENANTWATCH_REDIS_ADDRS)." name:"redis-addrs" placeholder:"LIST"`

	RedisMaster string `help:"The name by which Sentinels know the master ($$TENANTWATCH_REDIS_MASTER; $$TENANTWATCH_REDIS_SENTINEL_PASSWORD is theirs)." name:"redis-master" placeholder:"NAME"`

	RedisCAFile string `help:"A file with the certificates that Redis's is signed with, beside those of the system ($$TENANTWATCH_REDIS_CA_FILE)." name:"redis-ca-file" placeholder:"FILE"`
}

// tlsFlags say how the listeners speak TLS.
type tlsFlags struct {
	TLSCert string `help:"A file with the certificate, for both listeners ($$TENANTWATCH_TLS_CERT); read anew when it changes." name:"tls-cert" placeholder:"FILE"`

	TLSKey string `help:"A file with its key ($$TENANTWATCH_TLS_KEY)." name:"tls-key" placeholder:"FILE"`

	Insecure bool `help:"Speak plain HTTP also where the address is not of this machine, as behind a proxy that speaks TLS ($$TENANTWATCH_INSECURE)."`
}

// serveSettings is what serve works with.
type serveSettings struct {
	database

	listen, admin     string
	certFile, keyFile string // of TLS; both empty without
	redis             redisevents.Config
	channels          redisevents.Channels
	keepEvents        time.Duration
	rateLimit         float64
	shutdownDelay     time.Duration
	shutdownTimeout   time.Duration // zero is the server's
	profiling         bool
	found             []foundSetting // for people, without secrets
}

// settings puts together what the flags and the environment say. Everything that is missing, or makes no sense, is named
// in one error.
func (c *serveCommand) settings(env func(string) string) (serveSettings, error) {
	l := &lookup{env: env}
	s := serveSettings{
		listen:   l.or(defaultListen, "listen", "--listen", c.Listen, "TENANTWATCH_LISTEN"),
		admin:    l.or(defaultAdminListen, "admin listen", "--admin-listen", c.AdminListen, "TENANTWATCH_ADMIN_LISTEN"),
		database: c.databaseFlags.resolve(l),
	}
	var problems problems
	s.redis = c.redisFlags.resolve(l, &problems)
	problems.note(databaseProblem(s.dsn))
	problems.add(oddNames("--environment", s.environment)...)
	channels := l.or(redisevents.EnvironmentChannel.String(), "channels", "--channels", c.Channels, "TENANTWATCH_CHANNELS")
	var err error
	if s.channels, err = redisevents.ParseChannels(channels); err != nil {
		problems.note("--channels: " + err.Error())
	}
	c.limits(l, &s, &problems)
	c.tls(l, &s, &problems)
	s.profiling = c.Pprof
	s.found = shownSettings(l.found)
	if len(l.missing) > 0 {
		return s, &usageError{
			text:   "settings are missing:\n" + strings.Join(l.missing, "\n"),
			advice: "\"tenantwatch serve --help\" says what they are. \"openssl rand -hex 32\" makes an encryption key.",
		}
	}
	return s, problems.usage("serve")
}

// resolve keeps the parts of a URL apart that count for all servers, and takes the servers from the list if there is one.
func (f *redisFlags) resolve(l *lookup, p *problems) redisevents.Config {
	addrs := l.optional("Redis servers", "--redis-addrs", f.RedisAddrs, "TENANTWATCH_REDIS_ADDRS")
	fallback := ""
	if addrs != "" {
		fallback = "redis://" // no password and no TLS
	}
	text := l.or(fallback, "Redis", "--redis-url", f.RedisURL, "TENANTWATCH_REDIS_URL")
	if text == "" {
		return redisevents.Config{}
	}
	cfg, err := redisevents.ParseURL(text)
	if err != nil {
		p.note("--redis-url: " + err.Error())
		return cfg
	}
	if addrs != "" {
		cfg.Host, cfg.Port = "", ""
		cfg.Addrs = strings.FieldsFunc(addrs, func(r rune) bool { return r == ',' || r == ' ' })
	}
	cfg.MasterName = l.optional("Redis master", "--redis-master", f.RedisMaster, "TENANTWATCH_REDIS_MASTER")
	cfg.SentinelPassword = l.env("TENANTWATCH_REDIS_SENTINEL_PASSWORD")
	if file := l.optional("Redis CA", "--redis-ca-file", f.RedisCAFile, "TENANTWATCH_REDIS_CA_FILE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			p.note("--redis-ca-file: " + err.Error())
		}
		cfg.CACertBase64 = base64.StdEncoding.EncodeToString(pem)
	}
	if err := cfg.Validate(); err != nil {
		p.note("--redis-…: " + err.Error())
	}
	return cfg
}

func (c *serveCommand) limits(l *lookup, s *serveSettings, p *problems) {
	parse := func(what, flag, value, fallback, variable string, read func(string) error) {
		if err := read(l.or(fallback, what, flag, value, variable)); err != nil {
			p.note(flag + " has to be " + err.Error())
		}
	}
	duration := func(into *time.Duration) func(string) error {
		return func(text string) (err error) {
			if *into, err = time.ParseDuration(text); err != nil || *into < 0 {
				return errors.New("a duration of 0 or more, as in 24h")
			}
			return nil
		}
	}
	parse("keep events", "--keep-events", c.KeepEvents, defaultKeepEvents.String(), "TENANTWATCH_KEEP_EVENTS", duration(&s.keepEvents))
	parse("shutdown delay", "--shutdown-delay", c.ShutdownDelay, "0s", "TENANTWATCH_SHUTDOWN_DELAY", duration(&s.shutdownDelay))
	parse("rate limit", "--rate-limit", c.RateLimit, "0", "TENANTWATCH_RATE_LIMIT", func(text string) (err error) {
		if s.rateLimit, err = strconv.ParseFloat(text, 64); err != nil || !(s.rateLimit >= 0 && s.rateLimit < 1e9) {
			return errors.New("a number of requests a second, 0 for no limit")
		}
		return nil
	})
}

// tls wants TLS wherever others than this machine can connect.
func (c *serveCommand) tls(l *lookup, s *serveSettings, p *problems) {
	s.certFile = l.optional("TLS certificate", "--tls-cert", c.TLSCert, "TENANTWATCH_TLS_CERT")
	s.keyFile = l.optional("TLS key", "--tls-key", c.TLSKey, "TENANTWATCH_TLS_KEY")
	allowed, err := strconv.ParseBool(cmp.Or(l.env("TENANTWATCH_INSECURE"), "false"))
	if err != nil {
		p.note("TENANTWATCH_INSECURE is neither true nor false")
	}
	if (s.certFile == "") != (s.keyFile == "") {
		p.note("--tls-cert and --tls-key need each other")
	}
	for _, wanted := range [][2]string{{"--listen", s.listen}, {"--admin-listen", s.admin}} {
		flag := wanted[0]
		host, _, err := net.SplitHostPort(wanted[1])
		switch {
		case err != nil:
			p.note(flag + " has to be an address and a port, as in 127.0.0.1:8080")
		case s.certFile == "" && !allowed && !c.Insecure && !isLoopback(host):
			p.note(flag + " is not of this machine alone: give --tls-cert and --tls-key or, behind a proxy that speaks TLS, --insecure")
		}
	}
}

// redisURL is where Redis is, for people.
func (s serveSettings) redisURL() string {
	for _, setting := range s.found {
		if setting.Name == "Redis servers" || setting.Name == "Redis" {
			return setting.Value
		}
	}
	return ""
}

// optional is need for what may be left out.
func (l *lookup) optional(what, flag, value, variable string) string {
	from := flag
	if value == "" {
		value, from = l.env(variable), variable
	}
	if value != "" {
		l.found = append(l.found, foundSetting{what, value, from})
	}
	return value
}

// problems are what makes no sense, to be told at once.
type problems []string

func (p *problems) note(problem string) {
	if problem != "" {
		*p = append(*p, problem)
	}
}

func (p *problems) add(more ...string) { *p = append(*p, more...) }

// usage is the error of a command, nil without problems.
func (p *problems) usage(command string) error {
	if len(*p) == 0 {
		return nil
	}
	return &usageError{text: strings.Join(*p, "; "), advice: fmt.Sprintf("Run \"tenantwatch %s --help\" for the flags.", command)}
}

// shownSettings has no passwords.
func shownSettings(found []foundSetting) []foundSetting {
	for i, setting := range found {
		found[i].Name = strings.TrimPrefix(setting.Name, "the ")
		if strings.Contains(setting.Value, "://") {
			found[i].Value = withoutPassword(setting.Value)
		}
	}
	return found
}
