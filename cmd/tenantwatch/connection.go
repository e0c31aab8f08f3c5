package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// connectionFlags are what a command needs to know the active tenants of a service.
type connectionFlags struct {
	managerTLSFlags
	redisFlags

	Service string `help:"The service whose tenants are wanted." placeholder:"NAME" setting:"followed-service"`

	ManagerURL string `form:"url" help:"The address of the tenant manager." name:"manager-url" placeholder:"URL" setting:"followed-manager"`

	Environment *string `form:"name" help:"The environment whose events are used. Empty means all environments." placeholder:"NAME" setting:"followed-environment"`

	APIKeyFile string `help:"A file with the API key. It is read again for every request; - means standard input, which is read once. The variable $$TENANTWATCH_API_KEY or $$MULTI_TENANT_SERVICE_API_KEY can have the key itself." name:"api-key-file" placeholder:"FILE" predictor:"file" setting:"api-key"`

	Feed string `default:"pubsub" enum:"pubsub,stream" help:"Where the events come from: Redis Pub/Sub, or the Redis Stream of the environment, which keeps events while the link is down." placeholder:"pubsub|stream" variable:"TENANTWATCH_FEED"`

	Insecure bool `help:"Allow an http URL for a manager on another machine. The API key then crosses the network in clear text." variable:"TENANTWATCH_INSECURE"`
}

// watcher is how a command wants to be told of what it watches.
type watcher struct {
	command string // as in "follow"
	verbose bool
	asJSON  bool
	states  func(context.Context, discovery.Status) // is told each change of state
	drift   func(discovery.Status, uint64)          // is told of differences that no event has announced; nil is not
}

// watch calls body with a discovery that has started, and closes it afterwards.
func (c *connectionFlags) watch(ctx context.Context, std streams, s settings, w watcher, body func(*discovery.TenantDiscovery) error) error {
	client, err := s.client(c.Insecure)
	if err != nil {
		return err
	}
	defer client.Close()
	cfg := discovery.Config{
		ServiceName: s.service,
		TMClient:    client,
		RedisConfig: s.redis,
		Logger:      logger(w.verbose, w.asJSON, std.err),
		Environment: s.environment,
	}
	if c.Feed == feedStream {
		if cfg.Feed, err = redisevents.NewStream(s.redis, s.environment); err != nil {
			return fmt.Errorf("follow the stream: %w", err)
		}
	}
	d, err := discovery.NewTenantDiscovery(cfg)
	if err != nil {
		return &usageError{text: err.Error(), advice: fmt.Sprintf("Run %q for the settings.", w.command+" --help")}
	}
	var still standstill
	d.OnStatusChange(func(ctx context.Context, s discovery.Status) { w.states(ctx, still.blame(s)) })
	return still.during(ctx, w.watchDrift(d), func() (err error) {
		if err := startTelling(ctx, d, s, w.asJSON, std.err); err != nil {
			return explainStart(ctx, s, err, w.verbose)
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		return body(d)
	})
}

// watchDrift returns what looks, now and then, whether the list had differences that no event has announced.
func (w *watcher) watchDrift(d *discovery.TenantDiscovery) func() {
	var told uint64
	return func() {
		s := d.Status()
		if found := s.Counters.Unannounced; w.drift != nil && found > told {
			w.drift(s, found-told)
			told = found
		}
	}
}

// startTelling starts d, and says what is waited for when that takes longer than people take for normal.
func startTelling(ctx context.Context, d *discovery.TenantDiscovery, s settings, asJSON bool, stderr *printer) error {
	told := make(chan struct{})
	slow := time.AfterFunc(slowStart, func() {
		defer close(told)
		most := discovery.DefaultFeedTimeout + discovery.DefaultBootstrapTimeout
		reason := fmt.Sprintf("Redis has to confirm and the manager at %s to answer; that may take %s", s.managerURL, most)
		tellState(stderr, asJSON, discovery.Status{State: discovery.Starting, Since: time.Now()}, reason)
	})
	defer func() {
		if !slow.Stop() {
			<-told
		}
	}()
	return d.Start(ctx)
}

// explainStart turns the error of a start into one that says what to check. A start that the user ended is not an error.
func explainStart(ctx context.Context, s settings, err error, verbose bool) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Ctrl-C is not a failure, whatever it interrupted
	}
	return &failure{
		err:    err,
		words:  noList(s.managerURL, err, verbose),
		advice: adviceFor(s, err), permanent: lastingAnswer(err) || refusedService(err) || elsewhere(err) != nil,
	}
}

func noList(managerURL string, err error, verbose bool) string {
	if secret, ok := errors.AsType[*secretError](err); ok {
		return secret.Error()
	}
	if _, answered := errors.AsType[*managerapi.Error](err); answered || connectionInWords(err) != "" {
		return "no list of tenants: " + inWords(managerURL, err, verbose)
	}
	return fmt.Sprintf("no list of tenants from the manager at %s: %v", managerURL, err)
}

// refusedService reports whether the manager says that it has no such service for this key.
func refusedService(err error) bool {
	answer, answered := errors.AsType[*managerapi.Error](err)
	return answered && answer.Code == "SERVICE_NOT_FOUND"
}

// elsewhere is what a manager of another environment comes to; nil for any other error.
func elsewhere(err error) *discovery.EnvironmentError {
	found, _ := errors.AsType[*discovery.EnvironmentError](err)
	return found
}

func adviceFor(s settings, err error) string {
	answer, answered := errors.AsType[*managerapi.Error](err)
	_, unreadable := errors.AsType[*managerapi.DecodeError](err)
	_, unusable := errors.AsType[*discovery.UnusableListError](err)
	switch {
	case elsewhere(err) != nil:
		return fmt.Sprintf("Say --environment %s, or give the manager of %s with --manager-url.", quote(elsewhere(err).Listed), quote(s.environment))
	case errors.Is(err, managerapi.ErrUnauthorized):
		return "Check the API key in " + s.key.name + ": the manager does not know it."
	case errors.Is(err, managerapi.ErrAccessDenied), refusedService(err):
		return fmt.Sprintf("Check that the API key in %s may read the service %q.", s.key.name, s.service)
	case answered && answer.StatusCode == http.StatusNotFound, answered && answer.StatusCode/100 == 3, unreadable, unusable:
		return "Check the manager's URL: what answers there does not speak like a tenant manager."
	case answered && answer.StatusCode == http.StatusTooManyRequests:
		return "The tenant manager gets too many requests. Try again later."
	case farManager.connectionAdvice(err) != "":
		return farManager.connectionAdvice(err)
	case errors.Is(err, managerapi.ErrUnavailable):
		return "Check that the tenant manager is running and that its URL is right."
	case answered:
		return "Look at the log of the tenant manager."
	default:
		return "Check the manager's URL and the API key in " + s.key.name + "."
	}
}
