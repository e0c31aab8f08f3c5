package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Store is where the events wait. *[store.Store] is one; what each method does is said there.
type Store interface {
	Environment() string
	// Lead waits until this process may relay. The lock may not pass to another process that soon after a call of
	// Leading: what is sent is sent within two seconds of one.
	Lead(ctx context.Context) (release func(), err error)
	Leading(ctx context.Context) error
	Version(ctx context.Context) (tenant.Version, error)
	PendingAfter(ctx context.Context, revision uint64, limit int) ([]store.Event, error)
	MarkSent(ctx context.Context, events ...store.EventRef) error
	MarkFailed(ctx context.Context, event store.EventRef, reason string) (attempts int, err error)
	Quarantine(ctx context.Context, event store.EventRef, reason string) error
	Outbox(ctx context.Context) (store.OutboxStatus, error)
	Prune(ctx context.Context, sentBefore time.Time) (int64, error)
}

// Publisher announces events. *redisevents.Publisher is one.
type Publisher interface {
	// PublishAll sends events, each in its JSON form, and returns an error for each. It may send those of different
	// tenants side by side; of a tenant it sends none after one that failed. It heeds the deadline of ctx.
	PublishAll(ctx context.Context, events [][]byte) []error
	// AnnounceAll does so on the channels alone, and AppendAll adds to the stream alone.
	AnnounceAll(ctx context.Context, events [][]byte) []error
	AppendAll(ctx context.Context, events [][]byte) []error
	// Heartbeat tells the newest version whose events were announced, or that is to be looked for.
	Heartbeat(ctx context.Context, environment string, v tenant.Version) error
}

// Config is what a relay needs.
type Config struct {
	Store         Store                // required
	Publisher     Publisher            // required; the relay does not close it
	Logger        *slog.Logger         // nil is silent
	MeterProvider metric.MeterProvider // nil: OpenTelemetry's global one
	// Poll is how often the outbox is looked into when nobody calls Wake. It bounds how late the changes of other
	// managers on the same database are. Zero is 250 ms.
	Poll time.Duration
	// Batch is how many events are sent, and then marked, together. Zero is 512.
	Batch int
	// Attempts is how often Redis may refuse an event, while it takes others, until the event is set aside. Zero is 5;
	// they take about a quarter of a minute.
	Attempts int
	// Keep is how long events are kept after they were sent, for readers that resume. Zero is 24 hours; less than zero
	// keeps them for ever.
	Keep time.Duration
}

const (
	defaultPoll     = 250 * time.Millisecond
	defaultBatch    = 512
	defaultAttempts = 5
	defaultKeep     = 24 * time.Hour

	// sendTimeout bounds how long after the look at the lock anything is sent. A process that was frozen in between
	// wakes up with its time over, and its connection refuses to write. When the database has failed over, the next one
	// to relay waits for as long (settleFor in cmd/internal/sqldb).
	sendTimeout = 2 * time.Second
	// storeTimeout bounds one call of the store.
	storeTimeout = 10 * time.Second
	beatTimeout  = 2 * time.Second
)

// Relay sends what waits in the outbox. Run it once; Wake may be called from anywhere.
type Relay struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	seen    sightings // of the goroutine of Run
	wake    chan struct{}
}

// New returns a relay that does nothing yet. The error names what is missing or wrong.
func New(cfg Config) (*Relay, error) {
	var problems []error
	if cfg.Store == nil {
		problems = append(problems, errors.New("Store is required"))
	}
	if cfg.Publisher == nil {
		problems = append(problems, errors.New("Publisher is required"))
	}
	if cfg.Poll < 0 || cfg.Batch < 0 || cfg.Attempts < 0 {
		problems = append(problems, errors.New("none of Poll, Batch and Attempts may be below zero"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("invalid relay configuration: %w", err)
	}
	cfg = cfg.withDefaults()
	m, err := newMetrics(cfg.MeterProvider)
	if err != nil {
		return nil, err
	}
	return &Relay{cfg: cfg, log: cfg.Logger, metrics: m, wake: make(chan struct{}, 1)}, nil
}

// Run relays until ctx ends, and then returns its error. It returns another one only if it could not begin. While another
// process relays it waits. A batch that is under way when ctx ends is finished first, within seconds; what is left waits
// for the next Run, of whatever process.
func (r *Relay) Run(ctx context.Context) error {
	stop, err := r.metrics.observe(r.cfg.Store, r.log)
	if err != nil {
		return err
	}
	defer stop()
	var retry retries
	for ctx.Err() == nil {
		err := r.lead(ctx, &retry)
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "this process does not relay events at present; trying again", slog.Any("error", err))
		}
		sleep(ctx, retry.next(), nil)
	}
	return ctx.Err()
}

// Wake has the relay look into the outbox now. Call it after each commit; it never waits, and costs next to nothing.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// lead waits until this process may relay, and does so until it may not any more or ctx ends. The error says why it may
// not.
func (r *Relay) lead(ctx context.Context, retry *retries) error {
	release, err := r.cfg.Store.Lead(ctx)
	if err != nil {
		return fmt.Errorf("become the one that relays: %w", err)
	}
	defer release()
	r.log.InfoContext(ctx, "this process relays the events now")
	r.metrics.leading.Store(true)
	defer r.metrics.leading.Store(false)

	pruning, stopPruning := context.WithCancel(ctx)
	var others sync.WaitGroup
	others.Go(func() { r.keepPruned(pruning) })
	defer others.Wait()
	defer stopPruning()
	return newTerm(r).run(ctx, retry)
}

// keepPruned deletes sent events that were kept long enough, until ctx ends.
func (r *Relay) keepPruned(ctx context.Context) {
	if r.cfg.Keep < 0 {
		return
	}
	for every := min(max(r.cfg.Keep/24, time.Minute), time.Hour); ctx.Err() == nil; sleep(ctx, every, nil) {
		n, err := r.prune(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.WarnContext(ctx, "old events could not be deleted; trying again later", slog.Any("error", err))
		case n > 0:
			r.log.DebugContext(ctx, "deleted events that were sent long ago", slog.Int64("events", n))
		}
	}
}

// prune asks again until there is nothing left, since a store may delete piece by piece.
func (r *Relay) prune(ctx context.Context) (int64, error) {
	before := time.Now().Add(-r.cfg.Keep)
	for total := int64(0); ; {
		n, err := r.cfg.Store.Prune(ctx, before)
		if total += n; err != nil || n == 0 {
			return total, err
		}
	}
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Attempts == 0 {
		c.Attempts = defaultAttempts
	}
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	return c
}
