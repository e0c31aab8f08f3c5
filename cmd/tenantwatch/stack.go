package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

const (
	// shutdownGrace is how long requests that are under way get at the end.
	shutdownGrace = time.Second
	// publishPatience is how long the first events, and the last, get to be published.
	publishPatience = 3 * time.Second
)

// stack is all that dev starts.
type stack struct {
	service, environment string
	logger               *slog.Logger
	redis                redisevents.Config
	redisFlags           redisFlags // as a command beside this one would have them
	redisURL             string     // without its password
	files                string     // a folder for the database, and for what the commands to paste read
	manager              *manager
	token, apiKey        string
	admin                *managerapi.Client // with the token
	client               *managerapi.Client // with the key, as a service has it
	discovery            *discovery.TenantDiscovery

	closers []func() error
}

// open starts everything that does not need a manager that is served. On an error nothing is left.
func (c *devCommand) open(ctx context.Context, std streams) (*stack, error) {
	s := &stack{service: c.Service, environment: c.Environment, logger: cmp.Or(logger(c.Verbose, c.JSON, std.err), slog.New(slog.DiscardHandler))}
	steps := []func() error{
		func() error { return s.openRedis(c.redisFlags) },
		func() error { return s.makeFolder(ctx) },
		func() error { return s.openManager(ctx, c.Listen) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
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

// openRedis starts the embedded Redis unless there are flags for another. What the environment says of one does not count:
// tenants that are made up have no business there.
func (s *stack) openRedis(flags redisFlags) error {
	if flags.RedisURL == "" && flags.RedisAddrs == "" {
		embedded := miniredis.NewMiniRedis()
		if err := embedded.StartAddr("127.0.0.1:0"); err != nil {
			return fmt.Errorf("start the embedded Redis: %w", err)
		}
		s.closeLater(func() error { embedded.Close(); return nil })
		flags.RedisURL = "redis://" + embedded.Addr()
	}
	l := &lookup{getenv: os.Getenv}
	s.redis = flags.resolve(l)
	s.redisFlags, s.redisURL = flags, cmp.Or(flags.RedisAddrs, withoutPassword(flags.RedisURL))
	return l.fault(seeHelp("dev"), seeHelp("dev"))
}

// openManager does what serve does, after its first token was made as "token create --db" makes it.
func (s *stack) openManager(ctx context.Context, address string) error {
	keyFile, err := s.writeEncryptionKey()
	if err != nil {
		return err
	}
	settings := serveSettings{
		database: database{dsn: schemeSQLite + s.file("tenants.db"), environment: s.environment, keyFile: keyFile, tenantID: tenantID},
		listen:   address, admin: "127.0.0.1:0",
		redis: s.redis, channels: redisevents.EnvironmentChannel,
		keepEvents: defaultKeepEvents, keepAudit: defaultKeepAudit, shutdownTimeout: shutdownGrace,
	}
	token, err := settings.createToken(ctx, "dev")
	if err != nil {
		return err
	}
	s.token = string(token.Token)
	if s.manager, err = openManager(ctx, settings, s.logger, func(*manager) {}); err != nil {
		return err
	}
	s.closeLater(s.manager.close)
	s.admin, err = managerapi.NewClient(managerapi.Config{BaseURL: s.managerURL(), BearerToken: managerapi.StaticKey(s.token)})
	if err != nil {
		return err
	}
	s.closeLater(func() error { s.admin.Close(); return nil })
	return nil
}

// tenantID is the id of the nth tenant: short, so that lines are, and known beforehand to the lines that are printed to be
// pasted.
func tenantID(n int64) string { return fmt.Sprintf("tenant-%04d", n) }

func (s *stack) managerURL() string { return "http://" + s.manager.public.Addr().String() }

func (s *stack) metricsURL() string {
	return "http://" + s.manager.operator.Addr().String() + "/metrics"
}

// serving serves the manager while body runs, whose ctx ends when that fails.
func (s *stack) serving(ctx context.Context, body func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	managing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served := make(chan error, 1)
	go func() {
		err := s.manager.run(managing)
		if err != nil {
			err = fmt.Errorf("run the tenant manager: %w", err)
			cancel(err)
		}
		served <- err
	}()
	err := body(ctx)
	stop()
	ended := <-served
	if errors.Is(ended, context.DeadlineExceeded) {
		ended = nil // whoever is still connected was given the time
	}
	return errors.Join(err, ended)
}

// populate makes an API key, by the REST API like anybody else, and the first tenants, by a transaction: thousands of calls
// that each wait for the disk would take a minute.
func (s *stack) populate(ctx context.Context, tenants int) error {
	created, err := s.admin.Admin().CreateKey(ctx, managerapi.CreateKeyRequest{Service: s.service, Name: "dev"})
	if err != nil {
		return err
	}
	s.apiKey = string(created.Key)
	first := make([]store.NewTenant, tenants)
	for i := range first {
		first[i] = store.NewTenant{Name: fmt.Sprintf("Tenant %d", i+1), Isolation: isolation, Owner: store.Owner{Email: ownerEmail}}
	}
	if err := s.manager.store.Seed(ctx, s.service, first); err != nil {
		return err
	}
	s.manager.relay.Wake()
	return nil
}

// discover makes the discovery, which is not started yet.
func (s *stack) discover() error {
	var err error
	s.client, err = managerapi.NewClient(managerapi.Config{BaseURL: s.managerURL(), APIKey: managerapi.StaticKey(s.apiKey)})
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

// unpublished returns how many events did not get out. The newest ones are given a moment, unless Redis is away.
func (s *stack) unpublished(ctx context.Context) (int, error) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for late := time.Now().Add(publishPatience); ; {
		status, err := s.manager.store.Outbox(ctx)
		if err != nil {
			return 0, fmt.Errorf("count what is not published: %w", err)
		}
		if status.Pending == 0 || !s.discovery.Status().FeedConnected || time.Now().After(late) {
			return status.Pending + status.Quarantined, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ticker.C:
		}
	}
}
