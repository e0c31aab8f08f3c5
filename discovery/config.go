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

// ActiveTenantsFetcher is what a TMClient has to do: return all tenants that are active for the service now.
//
// An implementation has to return when ctx ends. Until then it may retry. It may not return a partial list; it returns
// an error instead. Two methods of the error are used if it has them. RetryDelay() time.Duration says how long the
// manager wants no further request. HTTPStatus() int is the status of the answer: after 401 and 403 the next request
// waits for the longest back-off.
type ActiveTenantsFetcher interface {
	GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error)
}

// SnapshotFetcher is what a TMClient may implement as well. The discovery then gets versions, the answer "not modified", and
// the rows one by one as they arrive.
type SnapshotFetcher interface {
	FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error)
}

// ChangesFetcher is what a TMClient that is a [SnapshotFetcher] may implement as well. A reconcile then asks only for what has changed,
// checks by a count and a digest that this leads to the manager's list, and reads the list when it does not. At least every tenth
// ResyncInterval it reads the list in any case. After [tenant.ErrChangesGone] and [tenant.ErrNoChanges] the list
// is read at once, and nothing counts as failed.
type ChangesFetcher interface {
	FetchChanges(ctx context.Context, req tenant.ChangesRequest) (tenant.Changes, error)
}

// RemovalGuard protects against a manager whose list is too short. A snapshot that would remove more than Fraction of
// the set, and at least Min tenants, removes nothing; its new tenants are added. The next snapshot is requested at most
// Delay later and is applied whatever it removes. Removals by events are never held back.
type RemovalGuard struct {
	// Fraction is the part of the set, between 0 and 1, that one snapshot may remove. Zero means 0.5; 1 or more
	// switches the guard off.
	Fraction float64
	// Min is the smallest number of removals that is held back. Zero means 10.
	Min int
	// Delay is the time from a snapshot that was held back to the request for the next one. Zero means 15 s.
	Delay time.Duration
}

// Config says which tenants to discover, and how. ServiceName, TMClient and either RedisConfig or Feed are required.
type Config struct {
	// ServiceName is the service whose active tenants are wanted, spelled as the manager and its events spell it.
	// Required. White space in it or around it is refused, because no service has such a name.
	ServiceName string
	// TMClient asks the tenant manager for the list. Required; nil and a typed nil are refused.
	TMClient ActiveTenantsFetcher
	// RedisConfig says where lifecycle events come from. Its Host or Addrs is required, unless Feed is set.
	RedisConfig redisevents.Config
	// Logger gets what an operator should know. If its handler panics, the line is lost and counted in
	// Counters.CallbackPanics. Nil logs nothing.
	Logger *slog.Logger
	// Environment is the environment whose events are applied. If the manager names the environment of its list, it has
	// to be the same one. Names are compared in lower case and without white space around them; see
	// [tenant.ParseEnvironment] for names that are refused. Empty applies the events of all environments, and logs a
	// warning when events name two.
	Environment string
	// Feed is the source of events, for example a [redisevents.Stream]. Nil means Redis Pub/Sub at RedisConfig.
	Feed tenant.Feed
	// NotifyInitial makes OnTenantAdded fire for the tenants of the first set too, for functions that are registered
	// before Start. False means that callbacks fire only for later changes.
	NotifyInitial bool
	// Names keeps the name of each tenant, see [TenantDiscovery.Name]. It costs about 150 bytes for each tenant, and lists
	// are always read as a whole, because the answer that a list has not changed says nothing of names.
	Names bool
	// BootstrapTimeout is the longest time that one request for the list may take, with the retries of the client. It
	// applies to the first request and to all later ones. Zero means 30 s.
	BootstrapTimeout time.Duration
	// FeedTimeout is the longest time that Start waits for the subscription. Zero means 5 s.
	FeedTimeout time.Duration
	// ResyncInterval is the time between two reconciles while there is no sign of a gap, plus or minus 20 %. Zero means
	// 5 min.
	ResyncInterval time.Duration
	// PollInterval replaces ResyncInterval while the feed is down, plus or minus 20 %. Zero means 15 s.
	PollInterval time.Duration
	// ResyncSpread is the longest time that a reconcile after a gap waits. The wait is random, so that a thousand
	// workers do not all ask at once. ResyncSpread is also the shortest time between two requests, except those of
	// Refresh. Zero means 1 s.
	ResyncSpread time.Duration
	// RemovalGuard holds back the removals of a snapshot that would remove most of the set. The zero value is switched
	// on, with its defaults.
	RemovalGuard RemovalGuard
	// SnapshotFile is the path of a file that keeps the last known set, so that Start can succeed without the manager.
	// When the manager does not answer within a third of a second, or gives no usable list, the discovery starts with
	// the set of the file, in the state [Stale], and reconciles as soon as it can. When the manager refuses the key,
	// Start fails all the same. The file is replaced as a whole, has a checksum, is readable only by its owner, and
	// belongs to one process. Empty means that no file is kept.
	SnapshotFile string
	// MeterProvider and TracerProvider receive OpenTelemetry's metrics and spans. Nil means the global ones.
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
