package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// What dev agrees to.
const (
	maxTenants = 10_000
	minChurn   = 0.001 // changes a second, but for none at all
	maxChurn   = 1_000
)

// devCommand runs everything in one process.
type devCommand struct {
	redisFlags

	Tenants int `default:"20" help:"About how many tenants there are."`

	Churn float64 `default:"2" help:"Changes per second. A slow disk may allow fewer."`

	NoChurn bool `help:"Make no changes. Make your own with curl, and watch them with follow."`

	Duration time.Duration `default:"0s" help:"End after this time. 0 means at Ctrl-C."`

	Service string `default:"ledger" help:"The service whose tenants are shown."`

	Environment string `default:"dev" form:"name" help:"The environment of all tenants."`

	Listen string `default:"127.0.0.1:0" help:"Where the tenant manager listens: a loopback address."`

	JSON bool `help:"Print one JSON object per line: ready, then the changes, then summary." name:"json" variable:"TENANTWATCH_JSON"`

	Verbose bool `help:"Log on standard error." short:"v" variable:"TENANTWATCH_VERBOSE"`
}

// Help is what --help adds.
func (c *devCommand) Help() string {
	return `No flag is needed. dev runs the manager of "tenantwatch serve" on a temporary SQLite file. It starts a Redis of its ` +
		`own, unless --redis-url or --redis-addrs names another one; the variables that other commands use for its address do ` +
		`not count. Everything listens on loopback only, has its own keys, and is removed at the end.` + "\n\n" +
		`Each line is one change: the time at which the discovery, the set of a worker, told of it; + for a tenant that came, - ` +
		`for one that went, ~ for one whose configuration changed; the tenant; the type of the event; and the time since the ` +
		`manager began to commit the change.`
}

// Run serves and shows changes until ctx or the duration ends.
func (c *devCommand) Run(ctx context.Context, std streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	s, err := c.open(ctx, std)
	if err != nil {
		return startFailure(ctx, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.serving(ctx, func(ctx context.Context) error {
		if err := c.start(ctx, s, std); err != nil {
			return startFailure(ctx, err)
		}
		return errors.Join(c.show(ctx, s, std), s.discovery.Close())
	})
}

// start makes all that needs the manager, which is served by now.
func (c *devCommand) start(ctx context.Context, s *stack, std streams) error {
	if err := s.populate(ctx, c.Tenants); err != nil {
		return fmt.Errorf("make %s: %w", count(c.Tenants, "tenant"), err)
	}
	if err := s.writeFiles(); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	if err := s.discover(); err != nil {
		return err
	}
	s.discovery.OnStatusChange(tellStatus(std.err, c.JSON))
	if err := s.discovery.Start(ctx); err != nil {
		return err
	}
	_, err := s.unpublished(ctx) // what comes next shall not wait behind the events of the first tenants
	return err
}

// startFailure is nil when the start failed because the user ended it.
func startFailure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) || process.BrokenPipe(cause) {
		return nil
	}
	if _, advised := errors.AsType[*failure](err); advised {
		return err
	}
	return &failure{err: err, advice: "Run \"tenantwatch dev --help\" for what can be set."}
}

// check returns one error that names every flag that makes no sense.
func (c *devCommand) check() error {
	var problems []string
	demand := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, problem)
		}
	}
	demand(c.Tenants >= 0 && c.Tenants <= maxTenants, fmt.Sprintf("--tenants has to be from 0 to %d", maxTenants))
	demand(c.Churn == 0 || c.Churn >= minChurn && c.Churn <= maxChurn, fmt.Sprintf("--churn has to be 0, or from %v to %d", minChurn, maxChurn))
	demand(c.Duration >= 0, "--duration has to be 0 or more")
	demand(!strings.ContainsFunc(c.Service, unicode.IsSpace), "--service has white space in it")
	environment, err := tenant.ParseEnvironment(c.Environment)
	demand(err == nil && environment != "", fmt.Sprintf("--environment: %v", cmp.Or(err, errors.New("it is empty"))))
	c.Environment = environment
	demand(listensOnLoopback(c.Listen), "--listen has to be a loopback address and a port, as in 127.0.0.1:8080, because it speaks plain HTTP")
	if len(problems) == 0 {
		return nil
	}
	return &usageError{text: strings.Join(problems, "; "), advice: "Run \"tenantwatch dev --help\" for the flags."}
}

func listensOnLoopback(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isLoopback(host) {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isLoopback goes by the name alone and asks no DNS.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// show prints what there is, lets tenants come and go, and prints what the discovery tells of it.
func (c *devCommand) show(ctx context.Context, s *stack, std streams) error {
	seen, err := newCommits(ctx, s.manager.store)
	if err != nil {
		return err
	}
	log := newReport(std.out, c.JSON, seen)
	if err := c.printReady(s, std.out); err != nil {
		return err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	var working sync.WaitGroup
	if rate := c.rate(); rate > 0 {
		working.Go(func() { s.churn(c.Tenants).run(ctx, time.Duration(float64(time.Second)/rate)) })
	}
	err = log.follow(context.WithoutCancel(ctx), s.discovery.Changes(ctx))
	cancel()
	working.Wait()
	if err != nil {
		return err
	}
	unpublished, err := s.unpublished(context.WithoutCancel(ctx))
	return errors.Join(err, log.summary(unpublished))
}

// limit ends ctx after the duration, if there is one. The clock starts when everything is up.
func (c *devCommand) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Duration > 0 {
		return context.WithTimeout(ctx, c.Duration)
	}
	return context.WithCancel(ctx)
}

func (c *devCommand) rate() float64 {
	if c.NoChurn {
		return 0
	}
	return c.Churn
}

func (s *stack) churn(target int) *churn {
	return &churn{
		api: s.admin, service: s.service, environment: s.environment, target: target,
		active: s.discovery.ActiveTenantIDs(),
		intn:   rand.IntN,
		failed: func(ctx context.Context, err error) {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "a change was refused", slog.Any("error", err))
		},
	}
}
