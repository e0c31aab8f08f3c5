package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/server"
	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// What serve does unless it is told otherwise.
const (
	defaultListen      = "127.0.0.1:8080"
	defaultAdminListen = "127.0.0.1:8081"
	defaultKeepEvents  = 24 * time.Hour
	defaultKeepAudit   = 400 * 24 * time.Hour
	defaultMaxStreams  = "10000"
	mostStreams        = 1_000_000
)

// tlsFlags say how the listeners speak TLS.
type tlsFlags struct {
	TLSCert string `help:"A file with the certificate for both listeners. The file is read again when it changes." name:"tls-cert" placeholder:"FILE" predictor:"file" setting:"tls-cert"`

	TLSKey string `help:"A file with the key of the certificate." name:"tls-key" placeholder:"FILE" predictor:"file" setting:"tls-key"`

	Insecure bool `help:"Serve plain HTTP even on an address that other machines can reach, for example behind a proxy that speaks TLS." variable:"TENANTWATCH_INSECURE"`
}

// serveSettings is what serve works with.
type serveSettings struct {
	database

	listen, admin     string
	certFile, keyFile string // of TLS; both empty without
	redis             redisevents.Config
	channels          redisevents.Channels
	keepEvents        time.Duration
	keepAudit         time.Duration
	rateLimit         float64
	maxStreams        int
	trustedProxies    []string
	shutdownDelay     time.Duration
	shutdownTimeout   time.Duration // zero is the server's
	profiling         bool
	found             []foundSetting // for people, without secrets
}

// The settings of serve alone.
var (
	listenAt      = setting{what: "listen", flag: "--listen", variables: []string{"TENANTWATCH_LISTEN"}, fallback: defaultListen}
	adminListenAt = setting{what: "admin listen", flag: "--admin-listen", variables: []string{"TENANTWATCH_ADMIN_LISTEN"}, fallback: defaultAdminListen}
	publishedOn   = setting{what: "channels", flag: "--channels", variables: []string{"TENANTWATCH_CHANNELS"}, fallback: redisevents.EnvironmentChannel.String()}
	keptEvents    = setting{what: "keep events", flag: "--keep-events", variables: []string{"TENANTWATCH_KEEP_EVENTS"}, fallback: defaultKeepEvents.String()}
	endingDelay   = setting{what: "shutdown delay", flag: "--shutdown-delay", variables: []string{"TENANTWATCH_SHUTDOWN_DELAY"}, fallback: "0s"}
	rateLimit     = setting{what: "rate limit", flag: "--rate-limit", variables: []string{"TENANTWATCH_RATE_LIMIT"}, fallback: "0"}
	keptAudit     = setting{what: "keep audit", flag: "--keep-audit", variables: []string{"TENANTWATCH_KEEP_AUDIT"}, fallback: defaultKeepAudit.String()}
	streamsAtOnce = setting{what: "streams", flag: "--max-streams", variables: []string{"TENANTWATCH_MAX_STREAMS"}, fallback: defaultMaxStreams}
	proxiesInUse  = setting{what: "trusted proxies", flag: "--trusted-proxies", variables: []string{"TENANTWATCH_TRUSTED_PROXIES"}, optional: true}
	tlsCert       = setting{what: "TLS certificate", flag: "--tls-cert", variables: []string{"TENANTWATCH_TLS_CERT"}, optional: true}
	tlsKey        = setting{what: "TLS key", flag: "--tls-key", variables: []string{"TENANTWATCH_TLS_KEY"}, optional: true}
)

// settings puts together what the flags and the environment say. Everything that is missing, or makes no sense, is named
// in one error.
func (c *serveCommand) settings(env func(string) string) (serveSettings, error) {
	l := &lookup{getenv: env}
	s := serveSettings{
		listen:   l.value(listenAt, c.Listen),
		admin:    l.value(adminListenAt, c.AdminListen),
		database: c.databaseFlags.resolve(l),
		redis:    c.redisFlags.resolve(l),
	}
	s.formerly = c.Formerly
	if channels, from := l.find(publishedOn, c.Channels); channels != "" {
		var err error
		if s.channels, err = redisevents.ParseChannels(channels); err != nil {
			l.problems.note(from + ": " + err.Error())
		}
	}
	c.limits(l, &s)
	c.tls(l, &s)
	s.profiling = c.Pprof
	s.found = shownSettings(l.found)
	return s, l.fault("\"tenantwatch serve --help\" says what they are. \"openssl rand -hex 32\" makes an encryption key.", seeHelp("serve"))
}

func (c *serveCommand) limits(l *lookup, s *serveSettings) {
	l.duration(keptEvents, c.KeepEvents, &s.keepEvents)
	l.duration(keptAudit, c.KeepAudit, &s.keepAudit)
	if s.keepAudit == 0 && len(l.problems) == 0 {
		l.problems.note("--keep-audit 0 would delete who changed what, at once: give a duration, as in 9600h")
	}
	l.duration(endingDelay, c.ShutdownDelay, &s.shutdownDelay)
	if text, from := l.find(rateLimit, c.RateLimit); text != "" {
		var err error
		if s.rateLimit, err = strconv.ParseFloat(text, 64); err != nil || !(s.rateLimit >= 0 && s.rateLimit < 1e9) {
			l.problems.note(from + " has to be a number of requests a second, 0 for no limit")
		}
	}
	c.crowd(l, s)
}

// crowd is how many streams there may be, and who says where a request comes from.
func (c *serveCommand) crowd(l *lookup, s *serveSettings) {
	if text, from := l.find(streamsAtOnce, c.MaxStreams); text != "" {
		var err error
		if s.maxStreams, err = strconv.Atoi(text); err != nil || s.maxStreams < 1 || s.maxStreams > mostStreams {
			l.problems.note(fmt.Sprintf("%s has to be a number of streams from 1 to %d", from, mostStreams))
		}
	}
	text, from := l.find(proxiesInUse, c.TrustedProxies)
	s.trustedProxies = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if err := server.CheckProxies(s.trustedProxies); err != nil {
		l.problems.note(from + ": " + err.Error())
	}
}

// duration finds a time of 0 or more.
func (l *lookup) duration(s setting, value string, into *time.Duration) {
	text, from := l.find(s, value)
	if text == "" {
		return
	}
	var err error
	if *into, err = time.ParseDuration(text); err != nil || *into < 0 {
		l.problems.note(from + " has to be a duration of 0 or more with its unit, as in 24h, 90m or 30s")
	}
}

// tls wants TLS wherever others than this machine can connect.
func (c *serveCommand) tls(l *lookup, s *serveSettings) {
	s.certFile, s.keyFile = l.value(tlsCert, c.TLSCert), l.value(tlsKey, c.TLSKey)
	if (s.certFile == "") != (s.keyFile == "") {
		l.problems.note("--tls-cert and --tls-key need each other")
	}
	for _, wanted := range [][2]string{{listenAt.flag, s.listen}, {adminListenAt.flag, s.admin}} {
		flag, address := wanted[0], wanted[1]
		host, port, err := net.SplitHostPort(address)
		switch {
		case address == "": // noted already
		case err != nil || port != "0" && !urlproblem.IsPort(port):
			l.problems.note(flag + " has to be an address and a port, as in 127.0.0.1:8080")
		case s.certFile == "" && !c.Insecure && !isLoopback(host):
			l.problems.note(flag + " is not of this machine alone: give --tls-cert and --tls-key or, behind a proxy that speaks TLS, --insecure")
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
