package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

const (
	// slowStart is how long a start is waited for in silence.
	slowStart = time.Second
	// feedStream is what --feed says for a stream.
	feedStream = "stream"
)

// followCommand shows the active tenants of a service and every change.
type followCommand struct {
	Service string `help:"The service whose tenants are wanted ($$APPLICATION_NAME)." placeholder:"NAME"`

	ManagerURL string `help:"The tenant manager ($$TENANTWATCH_URL, $$MULTI_TENANT_URL)." name:"manager-url" placeholder:"URL"`

	RedisURL string `help:"Redis, as redis://host:6379 or rediss:// for TLS ($$TENANTWATCH_REDIS_URL, or $$MULTI_TENANT_REDIS_HOST, _PORT, _PASSWORD, _TLS, _CA_CERT). Everybody on this machine can see a password in a flag: prefer the environment." name:"redis-url" placeholder:"URL"`

	Environment *string `help:"The environment whose events count; empty for all ($$ENVIRONMENT_NAME, $$ENV_NAME)." placeholder:"NAME"`

	APIKeyFile string `help:"A file with the API key, read anew for every request; - reads standard input once ($$TENANTWATCH_API_KEY, $$MULTI_TENANT_SERVICE_API_KEY have the key itself)." name:"api-key-file" placeholder:"FILE"`

	Feed string `default:"pubsub" enum:"pubsub,stream" help:"Where the events come from: pubsub, or the stream of the environment, from which nothing is lost while the link is down." placeholder:"pubsub|stream"`

	AllowInsecureHTTP bool `help:"Let the manager's URL be http also where it is not this machine." name:"allow-insecure-http"`

	JSON bool `help:"One JSON object a line, on standard output and for changes of state." name:"json"`

	Verbose bool `help:"Log on standard error." short:"v"`
}

// Help is what --help adds.
func (c *followCommand) Help() string {
	return `Standard output has the tenants that are active, and then a line for each change: + a tenant came, - it went, ` +
		`~ its configuration changed. Standard error has the changes of state, with their reason: live, syncing, polling ` +
		`(no events from Redis) or stale (no list from the manager). A flag wins over the environment. ` +
		`A stream needs a publisher that adds to it, as dev does, and has the events of one environment; without an ` +
		`environment it is the one for events that name none.`
}

// Run follows until ctx ends.
func (c *followCommand) Run(ctx context.Context, std streams) (err error) {
	s, err := c.settings(os.Getenv, std.in)
	if err != nil {
		return err
	}
	client, err := s.client(c.AllowInsecureHTTP)
	if err != nil {
		return err
	}
	defer client.Close()
	cfg := discovery.Config{
		ServiceName: s.service,
		TMClient:    client,
		RedisConfig: s.redis,
		Logger:      logger(c.Verbose, std.err),
		Environment: s.environment,
	}
	if c.Feed == feedStream {
		if cfg.Feed, err = redisevents.NewStream(s.redis, s.environment); err != nil {
			return fmt.Errorf("follow the stream: %w", err)
		}
	}
	d, err := discovery.NewTenantDiscovery(cfg)
	if err != nil {
		return &usageError{text: err.Error(), advice: "Run \"tenantwatch follow --help\" for the settings."}
	}
	d.OnStatusChange(tellStatus(std.err, c.JSON))
	if err := c.start(ctx, d, s, std.err); err != nil {
		return explainStart(ctx, s, err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return c.print(ctx, d, std)
}

// start starts d, and says what is waited for when that takes longer than people take for normal.
func (c *followCommand) start(ctx context.Context, d *discovery.TenantDiscovery, s settings, stderr *printer) error {
	told := make(chan struct{})
	slow := time.AfterFunc(slowStart, func() {
		defer close(told)
		most := discovery.DefaultFeedTimeout + discovery.DefaultBootstrapTimeout
		reason := fmt.Sprintf("Redis has to confirm and the manager at %s to answer; %s at the most", s.managerURL, most)
		tellState(stderr, c.JSON, discovery.Status{State: discovery.Starting, Since: time.Now()}, reason)
	})
	defer func() {
		if !slow.Stop() {
			<-told
		}
	}()
	return d.Start(ctx)
}

func (c *followCommand) print(ctx context.Context, d *discovery.TenantDiscovery, std streams) error {
	var rows table
	for change := range d.Changes(ctx) {
		var err error
		if c.JSON {
			err = std.out.object(change)
		} else {
			err = std.out.line("%s", rows.row(change, ""))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// explainStart turns the error of a start into one that says what to check. A start that the user ended is no error.
func explainStart(ctx context.Context, s settings, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Ctrl-C is no failure, whatever it interrupted
	}
	return &failure{
		err:    fmt.Errorf("no list of tenants from the manager at %s: %w", s.managerURL, err),
		advice: adviceFor(s, err),
	}
}

func adviceFor(s settings, err error) string {
	answer, answered := errors.AsType[*managerapi.Error](err)
	_, unreadable := errors.AsType[*managerapi.DecodeError](err)
	switch {
	case errors.Is(err, managerapi.ErrUnauthorized):
		return "Check the API key in " + s.key.name + ": the manager does not know it."
	case errors.Is(err, managerapi.ErrAccessDenied), answered && answer.Code == "SERVICE_NOT_FOUND":
		return fmt.Sprintf("Check that the API key in %s may read the service %q.", s.key.name, s.service)
	case answered && answer.StatusCode == http.StatusNotFound, answered && answer.StatusCode/100 == 3, unreadable:
		return "Check the manager's URL: what answers there does not speak like a tenant manager."
	case answered && answer.StatusCode == http.StatusTooManyRequests:
		return "The tenant manager gets too many requests. Try again later."
	case errors.Is(err, managerapi.ErrUnavailable):
		return "Check that the tenant manager is running and that its URL is right."
	case answered:
		return "Look at the log of the tenant manager."
	default:
		return "Check the manager's URL and the API key in " + s.key.name + "."
	}
}
