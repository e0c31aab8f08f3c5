package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// What a Config that leaves it open gets.
const (
	defaultStopGrace  = 10 * time.Second
	defaultMinBackoff = time.Second
	defaultMaxBackoff = time.Minute
)

// Why a run was cancelled, as [context.Cause] of its ctx says. It is the first reason, and stays that: a tenant may go, or the
// Group end, while a run that was reconfigured is ending, and one that was removed may come again. So a run that ends has to
// release what it holds, whatever the cause.
var (
	// ErrRemoved means that the tenant is not active any more.
	ErrRemoved = errors.New("the tenant was removed")
	// ErrReconfigured means that the tenant's configuration has changed: a new run follows, if it stays.
	ErrReconfigured = errors.New("the tenant was reconfigured")
	// ErrStopping means that the Group, or Every, ends.
	ErrStopping = errors.New("the work is being stopped")
)

var (
	// ErrGiveUp is for Work to return, alone or wrapped: there is no use in trying again. The tenant is not started any more
	// until it goes and comes again, or is reconfigured.
	ErrGiveUp = errors.New("given up")
	// ErrRan is what Run returns the second time.
	ErrRan = errors.New("the group ran already")
)

// Config is what a Group is made of.
type Config struct {
	// Work is run for each tenant that is active, until it returns or ctx ends. Its ctx ends when the tenant goes
	// ([ErrRemoved]), when it is reconfigured ([ErrReconfigured]) and when the Group ends ([ErrStopping]); it has to return
	// then. Nil is done: nothing more is run for the tenant until it goes and comes again, so a loop whose source has closed
	// before ctx ended has to return an error. An error, a panic and runtime.Goexit are failures: it is run again, after a
	// back-off. An [ErrGiveUp] is not tried again. What it returns after its ctx was cancelled is logged at most. Required.
	Work func(ctx context.Context, tenantID string) error
	// Reconfigured is called when a tenant's credentials, connections or caches have changed while its work runs, so that
	// it can be told without being started again; reason is the event. It is called beside the run, once at a time for a
	// tenant, with the run's ctx, and may be called for a run that is just returning. If it returns an error or panics the
	// run is started again. Until it returns, the next call for its tenant waits, and so does the next run. Nil: every run is
	// started again.
	Reconfigured func(ctx context.Context, tenantID string, reason tenant.EventType) error
	// Limit is how many run at the same time, not counting those that overstay; the others wait in line. A tenant whose run
	// was ended by a reconfiguration counts until its next run begins. Where more tenants than that have work that never
	// returns, some are not worked for, and Status says which. Zero: no limit.
	Limit int
	// StopGrace is how long a run that was cancelled may take to return before it counts as overstaying. Zero: 10 s.
	StopGrace time.Duration
	// MinBackoff and MaxBackoff bound how long a failed run waits for the next: the bound doubles with each failure in a
	// row, and the wait is drawn between half of it and all of it. A run that lasts for MaxBackoff begins a new row. The runs
	// of a tenant begin at least half of MinBackoff apart, even when it goes and comes, or is reconfigured, again and again. Zero:
	// 1 s, and 1 min. A MaxBackoff below MinBackoff is MinBackoff.
	MinBackoff, MaxBackoff time.Duration
	// RampPerSecond is how many runs are started in a second, evenly, so that a thousand tenants do not all connect at once.
	// Zero: as many as there are.
	RampPerSecond float64
	// Logger gets a line for each failure, with the stack of a panic, and for each tenant that overstays. A handler that panics loses its
	// line and ends nothing. Nil is silent.
	Logger *slog.Logger
	// MeterProvider gets the metrics. Nil: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// Group keeps one run of Work for each tenant. Make it with NewGroup.
//
// A manager announces one change of a tenant's connections by several events, one after the other. They restart its run once:
// the first of them ends the run at once, and the next run begins when none has come for 100 ms, half a second after the
// first at the latest. So does the run of one that waits in line when they come. With Config.Reconfigured nothing is held up:
// the run is told of each, or of the last of those that came while it was being told.
type Group struct {
	cfg Config

	mu  sync.Mutex // guards what follows
	ran bool
	set *plan // the loop of Run alone changes it, and what is left when that is over
}

// NewGroup returns a Group that Run starts. The error names every field that makes no sense.
func NewGroup(cfg Config) (*Group, error) {
	var problems []string
	demand := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, problem)
		}
	}
	demand(cfg.Work != nil, "Work is missing")
	demand(cfg.Limit >= 0, "Limit is negative")
	demand(cfg.StopGrace >= 0, "StopGrace is negative")
	demand(cfg.MinBackoff >= 0 && cfg.MaxBackoff >= 0, "MinBackoff or MaxBackoff is negative")
	demand(cfg.RampPerSecond >= 0 && !math.IsInf(cfg.RampPerSecond, 0), "RampPerSecond is negative, or no number") // NaN is not ≥ 0
	if len(problems) > 0 {
		return nil, fmt.Errorf("new group: %s", strings.Join(problems, "; "))
	}
	cfg = withDefaults(cfg)
	g := &Group{cfg: cfg}
	g.set = newPlan(rules{
		limit: cfg.Limit, grace: cfg.StopGrace, minBackoff: cfg.MinBackoff, maxBackoff: max(cfg.MinBackoff, cfg.MaxBackoff),
		rampInterval: rampInterval(cfg.RampPerSecond), hook: cfg.Reconfigured != nil, dice: rand.Float64,
	})
	return g, nil
}

// Run starts and stops runs as changes say, until ctx ends or changes does, and then stops them all and waits for them, for
// StopGrace at most. changes has to end with ctx, as discovery's Changes does; Run waits for that as well.
//
// It returns nil when all have ended: that ctx or changes have is not an error. Otherwise [errors.As] finds a *[StillRunningError],
// and a *[PanicError] when changes panicked. Run can be called once; the second time it returns [ErrRan].
func (g *Group) Run(ctx context.Context, changes iter.Seq[tenant.Change]) error {
	g.mu.Lock()
	ran := g.ran
	g.ran = true
	g.mu.Unlock()
	switch {
	case ran:
		return ErrRan
	case changes == nil:
		return errors.New("run group: changes is missing")
	}
	unregister, err := g.register()
	if err != nil {
		return fmt.Errorf("run group: %w", err)
	}
	return errors.Join(newLoop(g).run(ctx, changes), unregister())
}

// Status says how every tenant is doing. It may be called at any time, from any goroutine, and what it returns is the
// caller's own.
func (g *Group) Status() Status {
	s := g.copyStatus()
	slices.SortFunc(s.Tenants, func(a, b TenantStatus) int { return strings.Compare(a.TenantID, b.TenantID) })
	return s
}

func (g *Group) copyStatus() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := &g.set.byState
	s := Status{
		Waiting: n[Waiting], Running: n[Running], Stopping: n[Stopping], Overstaying: n[Overstaying],
		Restarting: n[Restarting], Done: n[Done], GivenUp: n[GivenUp], Limit: g.cfg.Limit,
	}
	places := make(map[*task]int, g.set.line.len())
	for t := range g.set.line.all() {
		places[t] = len(places) + 1
	}
	s.Tenants = make([]TenantStatus, 0, len(g.set.tasks))
	for _, t := range g.set.tasks {
		if t.state == cooling {
			continue
		}
		one := TenantStatus{
			TenantID: t.id, State: t.state, Since: t.since, Place: places[t], Active: t.active,
			Restarts: t.restarts, LastError: t.lastErr,
		}
		if t.state == Restarting {
			one.Next = t.due
		}
		if t.hooking {
			one.Reconfiguring = t.hookSince
		}
		s.Tenants = append(s.Tenants, one)
	}
	return s
}

// unfinished are the tenants whose run has not ended, sorted.
func (g *Group) unfinished() []string {
	var ids []string
	for _, t := range g.Status().Tenants {
		if t.State == Running || t.State == Stopping || t.State == Overstaying {
			ids = append(ids, t.TenantID)
		}
	}
	return ids
}

// decide lets the plan decide, and returns what it wants done.
func (g *Group) decide(fn func(p *plan, now time.Time)) []order {
	g.mu.Lock()
	defer g.mu.Unlock()
	fn(g.set, time.Now())
	return g.set.take()
}

// next is when the plan has something to do, unless something happens before.
func (g *Group) next() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.set.next()
}

// note writes the log line of an order that is nothing else.
func (g *Group) note(ctx context.Context, o order) {
	id := slog.String("tenant_id", o.id)
	switch o.what {
	case noteFailed:
		attrs := []slog.Attr{id, slog.Any("error", o.cause), slog.Int("failures_in_a_row", o.count), slog.String("again_in", o.wait.String())}
		g.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the work of a tenant failed", append(attrs, stackOf(o.stack)...)...)
	case noteGivenUp:
		g.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the work of a tenant gave up", id, slog.Any("error", o.cause))
	case noteOverstaying:
		g.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the work of a tenant was cancelled and does not end", id, slog.String("grace", o.wait.String()))
	case noteHookFailed:
		attrs := append([]slog.Attr{id, slog.Any("error", o.cause)}, stackOf(o.stack)...)
		g.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a tenant could not be reconfigured; its work is started again", attrs...)
	default:
		attrs := append([]slog.Attr{id, slog.Any("error", o.cause)}, stackOf(o.stack)...)
		g.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the work of a tenant failed while it was ending", attrs...)
	}
}

func stackOf(stack []byte) []slog.Attr {
	if len(stack) == 0 {
		return nil
	}
	return []slog.Attr{slog.String("stack", string(stack))}
}

func withDefaults(cfg Config) Config {
	cfg.StopGrace = cmp.Or(cfg.StopGrace, defaultStopGrace)
	cfg.MinBackoff = cmp.Or(cfg.MinBackoff, defaultMinBackoff)
	cfg.MaxBackoff = cmp.Or(cfg.MaxBackoff, defaultMaxBackoff)
	cfg.Logger = usererror.Logger(cfg.Logger, nil)
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	return cfg
}

func rampInterval(perSecond float64) time.Duration {
	if perSecond == 0 {
		return 0
	}
	return time.Duration(min(max(float64(time.Second)/perSecond, 1), float64(math.MaxInt64/4))) // else it overflows
}
