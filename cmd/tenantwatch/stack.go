package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

const (
	// shutdownGrace is how long requests that are under way get at the end.
	shutdownGrace = time.Second
	// publishPatience is how long a change waits for a Redis that does not answer.
	publishPatience = 2 * time.Second
)

// stack is all that dev starts.
type stack struct {
	service, environment string
	logger               *slog.Logger
	redis                redisevents.Config
	redisURL             string // without its password
	redisIsPrivate       bool   // it has one
	publisher            *redisevents.Publisher
	manager              *tenanttest.Manager
	commits              commits
	seeded               atomic.Bool
	announced            atomic.Pointer[tenant.Version] // the newest whose event was published, or was to be
	listener             net.Listener
	server               *http.Server
	client               *managerapi.Client
	discovery            *discovery.TenantDiscovery
	files                string // a folder for what the commands to paste read

	closers []func() error
}

// open starts everything but the serving and the discovery. On an error nothing is left.
func (c *devCommand) open(ctx context.Context, std streams) (*stack, error) {
	s := &stack{service: c.Service, environment: c.Environment, logger: cmp.Or(logger(c.Verbose, std.err), slog.New(slog.DiscardHandler))}
	steps := []func() error{
		func() error { return s.openRedis(c.RedisURL) },
		func() error { return s.openManager(ctx, c.Tenants) },
		func() error { return s.listen(ctx, c.Listen) },
		s.openDiscovery,
		func() error { return s.writeFiles(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.discovery.OnStatusChange(tellStatus(std.err, c.JSON))
	return s, nil
}

// close ends what was opened, the last first.
func (s *stack) close() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *stack) closeLater(f func() error) { s.closers = append(s.closers, f) }

// openRedis starts the embedded Redis unless there is a URL, and makes a publisher for it.
func (s *stack) openRedis(text string) error {
	if text == "" {
		embedded := miniredis.NewMiniRedis()
		if err := embedded.StartAddr("127.0.0.1:0"); err != nil {
			return fmt.Errorf("start the embedded Redis: %w", err)
		}
		s.closeLater(func() error { embedded.Close(); return nil })
		text = "redis://" + embedded.Addr()
	}
	cfg, err := redisevents.ParseURL(text)
	if err := checkRedis("--redis-url", cfg, err); err != nil {
		return err
	}
	s.redis, s.redisIsPrivate = cfg, cfg.Password != ""
	if parsed, err := url.Parse(text); err == nil {
		s.redisURL = parsed.Redacted()
	}
	s.publisher, err = redisevents.NewPublisher(cfg, redisevents.EnvironmentChannel, redisevents.WithStream(0))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	s.closeLater(s.publisher.Close)
	return nil
}

func (s *stack) openManager(ctx context.Context, tenants int) error {
	var made atomic.Int64
	s.manager = tenanttest.NewManager(
		tenanttest.WithEnvironment(s.environment),
		tenanttest.WithIDs(func() string { return tenantID(int(made.Add(1))) }),
		tenanttest.WithPublisher(s.publish),
	)
	if _, err := s.manager.Seed(ctx, s.service, tenants); err != nil {
		return fmt.Errorf("make %s: %w", count(tenants, "tenant"), err)
	}
	s.noteAnnounced(s.manager.Version())
	s.seeded.Store(true)
	return nil
}

// tenantID is the id of the nth tenant that dev makes.
func tenantID(n int) string { return fmt.Sprintf("tenant-%04d", n) }

// publish announces an event and notes when it was committed. Nobody listens yet to those of the first tenants, and a
// Redis that is down would hold each of them up.
func (s *stack) publish(ctx context.Context, evt tenant.Event) error {
	s.commits.note(evt)
	if !s.seeded.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	err := s.publisher.Publish(ctx, evt)
	s.noteAnnounced(evt.Version())
	if err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "an event was not published",
			slog.String("event_type", string(evt.EventType)), slog.Any("error", err))
	}
	return err
}

func (s *stack) noteAnnounced(v tenant.Version) { s.announced.Store(&v) }

func (s *stack) listen(ctx context.Context, address string) error {
	var err error
	s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for the tenant manager: %w", err)
	}
	s.closeLater(func() error { return ignoreClosed(s.listener.Close()) })
	s.server = &http.Server{
		Handler:           s.manager,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	return nil
}

// ignoreClosed drops the error of a listener that the server has closed already.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *stack) managerURL() string { return "http://" + s.listener.Addr().String() }

func (s *stack) openDiscovery() error {
	var err error
	s.client, err = managerapi.NewClient(s.managerURL(),
		managerapi.WithAPIKey(managerapi.StaticKey(s.manager.APIKey())),
		managerapi.WithBearerToken(managerapi.StaticKey(s.manager.Token())))
	if err != nil {
		return err
	}
	s.closeLater(func() error { s.client.Close(); return nil })
	s.discovery, err = discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: s.service, TMClient: s.client, RedisConfig: s.redis, Environment: s.environment, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.closeLater(s.discovery.Close)
	return nil
}

// serving serves the manager while body runs, whose ctx ends when that fails.
func (s *stack) serving(ctx context.Context, body func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	served := make(chan error, 1)
	go func() {
		err := s.server.Serve(s.listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		} else {
			err = fmt.Errorf("serve the tenant manager: %w", err)
			cancel(err)
		}
		served <- err
	}()
	err := body(ctx)
	s.client.Close() // an idle connection would be waited for
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer stop()
	if s.server.Shutdown(grace) != nil {
		_ = s.server.Close() // whoever is still connected was given the time
	}
	return errors.Join(err, <-served)
}
