package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/relay"
	"github.com/tenantwatch/tenantwatch/cmd/internal/server"
	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// serveCommand runs the tenant manager.
type serveCommand struct {
	databaseFlags
	redisFlags
	tlsFlags

	Listen string `help:"The address of the API. The default is 127.0.0.1:8080." placeholder:"ADDR" setting:"listen"`

	AdminListen string `help:"The address of /metrics, /healthz and /readyz, which need no credentials. The default is 127.0.0.1:8081." name:"admin-listen" placeholder:"ADDR" setting:"admin-listen"`

	Channels string `help:"The channels on which events are published: env, one for the environment; tenant, one for each tenant; or both. The default is env." placeholder:"env|tenant|both" setting:"channels"`

	KeepEvents string `help:"How long events are kept after they were published, for readers that resume. The default is 24h." name:"keep-events" placeholder:"TIME" setting:"keep-events"`

	KeepAudit string `help:"How long the audit, which records who did what, is kept. The default is 9600h, which is 400 days." name:"keep-audit" placeholder:"TIME" setting:"keep-audit"`

	MaxStreams string `help:"How many streams of events are served at once. One service may have as many as it leaves free for others. The default is 10000." name:"max-streams" placeholder:"N" setting:"max-streams"`

	TrustedProxies string `help:"Addresses and networks, such as 10.0.0.0/8,192.0.2.7, of proxies whose header X-Forwarded-For is believed. Without this flag no proxy's is." name:"trusted-proxies" placeholder:"LIST" setting:"trusted-proxies"`

	RateLimit string `help:"The largest number of requests per second for each key and each token. By default there is no limit." name:"rate-limit" placeholder:"N" setting:"rate-limit"`

	ShutdownDelay string `help:"At the end, how long requests are still accepted while /readyz fails already, so that a load balancer notices. The default is 0s." name:"shutdown-delay" placeholder:"TIME" setting:"shutdown-delay"`

	Formerly string `form:"text" help:"The former name of the environment, if an older version allowed a name that is refused now, such as default. Its data is taken over under the name of --environment. Use this flag once." placeholder:"NAME" variable:"TENANTWATCH_FORMERLY"`

	Pprof bool `help:"Serve /debug/pprof/ at --admin-listen too." variable:"TENANTWATCH_PPROF"`

	JSON bool `help:"Print the addresses, and the log, as one JSON object per line." name:"json" variable:"TENANTWATCH_JSON"`

	Verbose bool `help:"Log more." short:"v" variable:"TENANTWATCH_VERBOSE"`
}

// Help is what --help adds.
func (c *serveCommand) Help() string {
	return `The database has to have a token, because nobody could use the manager without one: "tenantwatch token create --db …" ` +
		`makes the first. Redis may be down: events then wait in the database. serve runs until Ctrl-C or SIGTERM, and then ` +
		`finishes the requests that are under way. A flag wins over its variable.`
}

// manager is all that serve starts, and dev too.
type manager struct {
	certificate      *certificate // nil without TLS
	store            *store.Store
	publisher        *redisevents.Publisher
	server           *server.Server
	relay            *relay.Relay
	public, operator net.Listener
	plain            []*net.TCPListener // the same, below TLS
	secure           *tls.Config        // nil without

	closers []func() error
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, std streams) (err error) {
	logger := c.logger(std.err)
	var listening atomic.Pointer[manager]
	defer onHangup(ctx, func() { listening.Load().hungUp(ctx, logger) })()
	s, err := c.settings(os.Getenv)
	if err != nil {
		return err
	}
	warnOfName(ctx, logger, s.environment)
	m, err := openManager(ctx, s, logger, listening.Store)
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C is not a failure, whatever it interrupted
		}
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := c.printReady(m, s, std.out); err != nil {
		return err
	}
	return m.run(ctx)
}

// warnOfName tells of an environment whose events the listeners that many services have drop without a word.
func warnOfName(ctx context.Context, logger *slog.Logger, environment string) {
	if environment != "staging" && environment != "production" {
		logger.LogAttrs(ctx, slog.LevelWarn, "readers of lib-commons accept the environments staging and production alone, and drop the events of this one",
			slog.String("environment", environment))
	}
}

func (c *serveCommand) logger(stderr *printer) *slog.Logger {
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	return newLogger(level, c.JSON, stderr)
}

// hungUp is what SIGHUP does: what is read from files is looked at again. Ending would be an outage, because SIGHUP is how
// many programs are told to read their settings again. m is nil as long as it has read none.
func (m *manager) hungUp(ctx context.Context, logger *slog.Logger) {
	switch {
	case m == nil:
		logger.LogAttrs(ctx, slog.LevelInfo, "SIGHUP: the manager is starting, and reads its settings and its certificate")
		return
	case m.certificate == nil:
		logger.LogAttrs(ctx, slog.LevelInfo, "SIGHUP: there is no certificate to look at; settings need a restart")
		return
	}
	switch renewed, err := m.certificate.again(ctx); {
	case err != nil:
		logger.LogAttrs(ctx, slog.LevelWarn, "SIGHUP: what is in the files is refused, and the certificate before is used", slog.Any("error", err))
	case renewed:
		logger.LogAttrs(ctx, slog.LevelInfo, "SIGHUP: the renewed certificate is taken up; other settings need a restart")
	default:
		logger.LogAttrs(ctx, slog.LevelInfo, "SIGHUP: the certificate is the one before; other settings need a restart")
	}
}

// openManager starts everything but the serving and the relaying. It calls listening before the database is opened, which may
// take hours. On an error nothing is left.
func openManager(ctx context.Context, s serveSettings, logger *slog.Logger, listening func(*manager)) (*manager, error) {
	m := &manager{}
	steps := []func() error{ // what needs no database comes first, so that none is made for a manager that cannot run
		func() error { return m.listen(ctx, s, logger) },
		func() error { listening(m); return nil },
		func() error { return m.openPublisher(s) },
		func() error {
			return m.whileOthersWait(logger, func(migrating func()) error {
				d := s.database
				d.migrating = migrating
				return m.openStore(ctx, d, logger)
			})
		},
		func() error { return m.openRelay(s, logger) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	return m, nil
}

// close ends what was opened, the last first.
func (m *manager) close() error {
	var errs []error
	for _, closer := range slices.Backward(m.closers) {
		errs = append(errs, closer())
	}
	m.closers = nil
	return errors.Join(errs...)
}

func (m *manager) closeLater(f func() error) { m.closers = append(m.closers, f) }

// openStore refuses a database without a token and without a key: nobody could use the manager, and nobody shall be tempted to
// build a default one in. With keys alone services go on reading.
func (m *manager) openStore(ctx context.Context, d database, logger *slog.Logger) error {
	if d.absent() {
		return d.noToken("there is no database at " + withoutPassword(d.dsn) + " yet, and so no token in it")
	}
	var err error
	if m.store, err = d.open(ctx, logger); err != nil {
		return err
	}
	m.closeLater(m.store.Close)
	tokens, err := m.store.Tokens(ctx)
	if err == nil && slices.ContainsFunc(tokens, holds) {
		return nil
	}
	keys, keysErr := m.store.Keys(ctx, "")
	if err := errors.Join(err, keysErr); err != nil {
		return d.explain(err)
	}
	if !slices.ContainsFunc(keys, holds) {
		return d.noToken(fmt.Sprintf("the database has no token and no key for the environment %q, so nobody could use the manager", d.environment))
	}
	logger.LogAttrs(ctx, slog.LevelWarn, "there is no token, so nothing can be changed; services with a key can read",
		slog.String("environment", d.environment), slog.String("advice", d.howToMakeOne()))
	return nil
}

func holds(k store.Key) bool { return k.RevokedAt.IsZero() }

// absent reports whether the database is a file that is not there. Serving would make an empty one.
func (d database) absent() bool {
	file, ok := strings.CutPrefix(d.dsn, schemeSQLite)
	if !ok {
		return false
	}
	_, err := os.Stat(file)
	return errors.Is(err, fs.ErrNotExist)
}

func (d database) noToken(problem string) error {
	return &failure{
		err:       errors.New(problem),
		advice:    d.howToMakeOne(),
		permanent: true,
	}
}

func (d database) howToMakeOne() string {
	return "Make the first: tenantwatch token create --db " + quote(withoutPassword(d.dsn)) +
		" --environment " + quote(d.environment) + " --encryption-key-file " + quote(d.keyFile)
}

func (m *manager) openPublisher(s serveSettings) error {
	var err error
	if m.publisher, err = redisevents.NewPublisher(redisevents.PublisherConfig{Redis: s.redis, Channels: s.channels, Stream: true}); err != nil {
		return &failure{err: fmt.Errorf("publish: %w", err), advice: "Check the settings of Redis.", permanent: true}
	}
	m.closeLater(m.publisher.Close)
	return nil
}

func (m *manager) openRelay(s serveSettings, logger *slog.Logger) error {
	var err error
	m.server, err = server.New(server.Config{
		Store: m.store, Logger: logger, OnChange: func() { m.relay.Wake() }, RateLimit: s.rateLimit,
		MaxStreams: s.maxStreams, TrustedProxies: s.trustedProxies, KeepAudit: s.keepAudit,
		ShutdownDelay: s.shutdownDelay, ShutdownTimeout: s.shutdownTimeout, Profiling: s.profiling, Version: newBuild(debug.ReadBuildInfo()).Version,
	})
	if err != nil {
		return err
	}
	m.relay, err = relay.New(relay.Config{
		Store: m.store, Publisher: m.publisher, Logger: logger, MeterProvider: m.server.MeterProvider(),
		Keep: cmp.Or(s.keepEvents, 1), // zero would be the default of the relay
	})
	return err
}

func (m *manager) listen(ctx context.Context, s serveSettings, logger *slog.Logger) error {
	var secure *tls.Config
	if s.certFile != "" {
		cert, err := newCertificate(ctx, s.certFile, s.keyFile, logger)
		if err != nil {
			return &failure{err: err, advice: "Check --tls-cert and --tls-key: PEM files that belong to each other.", permanent: true}
		}
		m.certificate, secure = cert, cert.config()
	}
	for _, wanted := range []struct {
		flag, address string
		listener      *net.Listener
	}{{"--listen", s.listen, &m.public}, {"--admin-listen", s.admin, &m.operator}} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", wanted.address)
		if err != nil {
			return &failure{err: err, advice: "Give another address with " + wanted.flag + ", or end what listens there.", permanent: lastingListener(err)}
		}
		m.closeLater(func() error { return ignoreClosed(listener.Close()) })
		if tcp, ok := listener.(*net.TCPListener); ok {
			m.plain = append(m.plain, tcp)
		}
		if *wanted.listener = listener; secure != nil {
			*wanted.listener = tls.NewListener(listener, secure)
		}
	}
	m.secure = secure
	return nil
}

// whileOthersWait says on the listeners that the process lives, and is not ready, until open has returned. open calls migrating
// when that is what takes so long.
func (m *manager) whileOthersWait(logger *slog.Logger, open func(migrating func()) error) error {
	var migrating atomic.Bool
	end := server.WaitingRoom(logger, m.secure, migrating.Load, m.plain...)
	return errors.Join(open(func() { migrating.Store(true) }), end())
}

// ignoreClosed drops the error of a listener that the server has closed already.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// run serves until ctx ends. The relay ends after the last request, so that it may still send what that one changed; what
// it does not, waits in the database for the next start.
func (m *manager) run(ctx context.Context) error {
	relaying, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	relayed := make(chan error, 1)
	go func() {
		err := m.relay.Run(relaying)
		stopServing() // without a relay nobody would hear of a change
		relayed <- err
	}()
	err := m.server.Serve(serving, m.public, m.operator)
	stopRelay()
	if relayErr := <-relayed; !errors.Is(relayErr, context.Canceled) {
		err = errors.Join(err, fmt.Errorf("publish events: %w", relayErr))
	}
	return err
}

// serveReady says where a manager is, for programs.
type serveReady struct {
	ManagerURL  string `json:"manager_url"`
	AdminURL    string `json:"admin_url"`
	Environment string `json:"environment"`
	Database    string `json:"database"`  // without its password
	RedisURL    string `json:"redis_url"` // the same
	Channels    string `json:"channels"`
	Version     string `json:"version"`
}

func (c *serveCommand) printReady(m *manager, s serveSettings, out *printer) error {
	scheme := "http://"
	if s.certFile != "" {
		scheme = "https://"
	}
	api, operator := scheme+m.public.Addr().String(), scheme+m.operator.Addr().String()
	if c.JSON {
		return out.object("ready", time.Now(), serveReady{
			ManagerURL: api, AdminURL: operator, Environment: s.environment,
			Database: withoutPassword(s.dsn), RedisURL: s.redisURL(), Channels: s.channels.String(),
			Version: newBuild(debug.ReadBuildInfo()).Version,
		})
	}
	lines := make([][]string, 0, len(s.found))
	for _, setting := range s.found {
		lines = append(lines, []string{setting.Name, setting.Value, "(" + setting.From + ")"})
	}
	if err := columns(out, lines); err != nil {
		return err
	}
	return out.line("\nThe API is at %s, what operators look at is at %s/metrics", api, operator)
}
