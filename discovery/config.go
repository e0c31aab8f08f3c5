package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// The defaults of [Config].
const (
	DefaultBootstrapTimeout = 30 * time.Second
	DefaultFeedTimeout      = 5 * time.Second
	DefaultResyncInterval   = 5 * time.Minute
	DefaultPollInterval     = 15 * time.Second
	DefaultResyncSpread     = time.Second
	DefaultGuardFraction    = 0.5
	DefaultGuardMin         = 10
	DefaultGuardDelay       = 15 * time.Second
)

// ActiveTenantsFetcher is the whole duty of a TMClient: all tenants that are active for the service, now.
//
// An implementer has to heed ctx. It may retry within it, and may not give a partial list: an error instead. An error may
// have methods RetryDelay() time.Duration, how long the manager asked to be left alone, and HTTPStatus() int; 401 and 403
// are asked again with the longest back-off.
type ActiveTenantsFetcher interface {
	GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error)
}

// SnapshotFetcher is what a TMClient may implement as well: versions, "not modified", and rows as they stream.
type SnapshotFetcher interface {
	FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error)
}

// RemovalGuard protects against a manager that answers, but too little: a snapshot that would remove more than Fraction
// of the set, and at least Min tenants, removes nothing, and what it adds is added. The next snapshot, asked for Delay
// later at the latest, is applied as it is. Events are never held.
type RemovalGuard struct {
	// Fraction of the set, between 0 and 1. Zero means 0.5; 1 or more switches the guard off.
	Fraction float64
	// Min is the fewest removals that are held. Zero means 10.
	Min int
	// Delay is how long after the first answer the second is asked for. Zero means 15 s.
	Delay time.Duration
}

// Config says what to discover and how. ServiceName, TMClient and either RedisConfig or Feed are required.
type Config struct {
	// ServiceName is the service whose active tenants are wanted, spelled as the manager and its events spell it. Required;
	// white space around it or in it is refused, because such a name would match nothing.
	ServiceName string
	// TMClient asks the tenant manager. Required; nil and typed nil are refused.
	TMClient ActiveTenantsFetcher
	// RedisConfig says where lifecycle events come from. Its Host or Addrs is required, unless Feed is set.
	RedisConfig redisevents.Config
	// Logger takes what an operator should know. A handler that panics loses its line, and is counted in
	// Counters.CallbackPanics. Nil is silent.
	Logger *slog.Logger
	// Environment is the one whose events count, and that the list has to be of where the manager names it. It is
	// compared trimmed and in lower case; see [tenant.ParseEnvironment] for what is refused. Empty takes the events of all,
	// and warns when it hears two.
	Environment string
	// Feed replaces Redis Pub/Sub as the source of events, by a [redisevents.Stream] for example. Nil means Pub/Sub by
	// RedisConfig.
	Feed tenant.Feed
	// NotifyInitial makes the callbacks fire for the bootstrapped set too. False means that they fire for what
	// changes after it.
	NotifyInitial bool
	// BootstrapTimeout is the most that one request for the list may take, the client's retries included. Zero means
	// 30 s.
	BootstrapTimeout time.Duration
	// FeedTimeout is the most that Start waits for the subscription. Zero means 5 s.
	FeedTimeout time.Duration
	// ResyncInterval is the time between two reconciles when all is well, give or take 20 %. Zero means 5 min.
	ResyncInterval time.Duration
	// PollInterval takes its place while the feed is down, give or take 20 %. Zero means 15 s.
	PollInterval time.Duration
	// ResyncSpread is the most that a reconcile after a gap waits, drawn evenly, so that a thousand workers do not all
	// ask at once; it is also the least time between two that were not asked for by Refresh. Zero means 1 s.
	ResyncSpread time.Duration
	// RemovalGuard holds back a snapshot that would remove most of the set. Its zero value is on.
	RemovalGuard RemovalGuard
	// SnapshotFile is where the last known set is kept, so that a start needs no manager: when it does not answer within
	// a third of a second, or answers nonsense, the set starts from the file, in the state Stale, and is reconciled as soon as
	// that can be. A manager that refuses the key fails the start all the same. The file is replaced as a whole, has a
	// checksum, and is readable by its owner only; it belongs to one process. Empty means none.
	SnapshotFile string
	// MeterProvider and TracerProvider take OpenTelemetry's metrics and spans. Nil means the global ones.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
}

// check returns one error that names every field that is missing or impossible.
func (c *Config) check() error {
	var missing []string
	if c.ServiceName == "" {
		missing = append(missing, "ServiceName")
	}
	if isNil(c.TMClient) {
		missing = append(missing, "TMClient")
	}
	if c.Feed == nil && c.RedisConfig.Host == "" && len(c.RedisConfig.Addrs) == 0 {
		missing = append(missing, "RedisConfig.Host")
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("missing: %s", strings.Join(missing, ", ")))
	}
	if c.Feed != nil && isNil(c.Feed) {
		errs = append(errs, errors.New("the Feed is a nil pointer; leave it nil for Pub/Sub by RedisConfig"))
	}
	if c.Feed == nil && len(c.RedisConfig.Addrs)+len(c.RedisConfig.Host) > 0 {
		if err := c.RedisConfig.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("the RedisConfig: %w", err))
		}
	}
	errs = append(errs, c.checkNames()...)
	errs = append(errs, c.checkRanges()...)
	return errors.Join(errs...)
}

// checkNames refuses what comes of a line break in a file or a blank in a manifest: the manager knows no such service, no
// event names it, and nobody publishes on the channel of such an environment.
func (c *Config) checkNames() (errs []error) {
	invisible := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }
	if strings.ContainsFunc(c.ServiceName, invisible) {
		errs = append(errs, fmt.Errorf("the ServiceName has white space or an invisible character in it: %q", c.ServiceName))
	}
	name, err := tenant.ParseEnvironment(c.Environment)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("the Environment: %w", err))
	case name == "" && c.Environment != "", strings.ContainsFunc(name, invisible):
		errs = append(errs, fmt.Errorf("the Environment is blank, or has an invisible character in it: %q", c.Environment))
	}
	return errs
}

func (c *Config) checkRanges() (errs []error) {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"BootstrapTimeout", c.BootstrapTimeout},
		{"FeedTimeout", c.FeedTimeout},
		{"ResyncInterval", c.ResyncInterval},
		{"PollInterval", c.PollInterval},
		{"ResyncSpread", c.ResyncSpread},
		{"RemovalGuard.Delay", c.RemovalGuard.Delay},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("the %s is negative: %v", d.name, d.value))
		}
	}
	if !(c.RemovalGuard.Fraction >= 0) { // a NaN too
		errs = append(errs, fmt.Errorf("the RemovalGuard.Fraction is not 0 or more: %v", c.RemovalGuard.Fraction))
	}
	if c.RemovalGuard.Min < 0 {
		errs = append(errs, fmt.Errorf("the RemovalGuard.Min is negative: %d", c.RemovalGuard.Min))
	}
	return errs
}

func (c *Config) setDefaults() {
	c.Environment = activeset.NormalEnvironment(c.Environment)
	orDefault(&c.BootstrapTimeout, DefaultBootstrapTimeout)
	orDefault(&c.FeedTimeout, DefaultFeedTimeout)
	orDefault(&c.ResyncInterval, DefaultResyncInterval)
	orDefault(&c.PollInterval, DefaultPollInterval)
	orDefault(&c.ResyncSpread, DefaultResyncSpread)
	orDefault(&c.RemovalGuard.Fraction, DefaultGuardFraction)
	orDefault(&c.RemovalGuard.Min, DefaultGuardMin)
	orDefault(&c.RemovalGuard.Delay, DefaultGuardDelay)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// isNil reports whether v is nil or an interface around a nil pointer, map, function, slice or channel.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan, reflect.UnsafePointer:
		return r.IsNil()
	default:
		return false
	}
}
