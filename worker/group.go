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

// The reasons for which a run is cancelled. [context.Cause] of its ctx returns one of them: the first one, even when
// another follows. For example, the tenant may be removed while its run is still ending because of a reconfiguration,
// and a removed tenant may come again. So release everything that the run holds, whatever the cause is.
var (
	// ErrRemoved means that the tenant is no longer active.
	ErrRemoved = errors.New("the tenant was removed")
	// ErrReconfigured means that the tenant's configuration has changed. A new run follows if the tenant stays active.
	ErrReconfigured = errors.New("the tenant was reconfigured")
	// ErrStopping means that the Group, or Every, is ending.
	ErrStopping = errors.New("the work is being stopped")
)

var (
	// ErrGiveUp is what Work returns, alone or wrapped, to say that trying again is useless. No run is started for the tenant
	// until it goes and comes again, or is reconfigured.
	ErrGiveUp = errors.New("given up")
	// ErrRan is returned by the second and every later call of Run.
	ErrRan = errors.New("the group ran already")
)

// Config says what a [Group] runs, and how. Only Work is required.
type Config struct {
	// Work is called for each active tenant; one such call is a run. Its ctx ends when the tenant goes ([ErrRemoved]),
	// when the tenant is reconfigured ([ErrReconfigured]) and when the Group ends ([ErrStopping]). Work has to return
	// then; what it returns then is at most logged.
	//
	// When Work returns nil before that, it is done: it is not called again until the tenant goes and comes again. So when
	// its source closes early, Work has to return an error. An error, a panic and runtime.Goexit are failures: Work is
	// called again after a back-off. [ErrGiveUp] is not tried again. Required.
	Work func(ctx context.Context, tenantID string) error
	// Reconfigured is called when a tenant's credentials, connections or caches have changed while its work runs. It
	// can pass the news on, so that the run need not end; reason is the type of the event. It runs beside Work, with
	// the ctx of the run, and has at most one call at a time for a tenant. It may be called while the run is just
	// returning. If it returns an error or panics, the run is ended and a new one started. Until it returns, the next
	// call for the tenant waits, and so does the tenant's next run. Nil: every reconfiguration ends the run and starts
	// a new one.
	Reconfigured func(ctx context.Context, tenantID string, reason tenant.EventType) error
	// Limit is how many runs there are at the same time, without those that overstay; the other tenants wait in line. A
	// tenant whose run was ended by a reconfiguration counts until its next run begins. If Work never returns and there
	// are more tenants than Limit, some tenants are never served; Status says which. Zero: no limit.
	Limit int
	// StopGrace is how long a cancelled run may take to return. After that it overstays. Zero: 10 s.
	StopGrace time.Duration
	// MinBackoff and MaxBackoff bound the wait between a failed run and the next one. The bound of the wait begins at
	// MinBackoff, doubles with each failure in a row, and stays at MaxBackoff. The wait is random: between half of the
	// bound and all of it. A run that lasts for MaxBackoff resets the bound. The runs of a tenant begin at least half
	// of MinBackoff apart, even when the tenant goes and comes, or is reconfigured, again and again. Zero: 1 s, and 1
	// min. A MaxBackoff below MinBackoff counts as MinBackoff.
	MinBackoff, MaxBackoff time.Duration
	// RampPerSecond is how many runs are started per second, evenly spaced, so that a thousand tenants do not all
	// connect at once. Zero: no limit.
	RampPerSecond float64
	// Logger gets a line for each failure, with the stack of a panic, and for each run that overstays. If its handler
	// panics, only the line is lost. Nil logs nothing.
	Logger *slog.Logger
	// MeterProvider gets the metrics. Nil: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// Group keeps one run of Config.Work for each tenant. Make it with [NewGroup].
//
// A manager announces one change of a tenant's connections by several events, one after the other. Together they
// restart the tenant's run once. The first event ends the run at once. The next run begins when no such event has come
// for 100 ms, but at the latest half a second after the first one. When such events come while the tenant waits in
// line, its next run waits for the last of them in the same way. With Config.Reconfigured there is no such wait: it is
// called for each event, or for the last of the events that arrived during a call.
type Group struct {
	cfg Config

	mu  sync.Mutex // guards what follows
	ran bool
	set *plan // the loop of Run alone changes it, and what is left when that is over
}

// NewGroup returns a Group; call Run to start it. The error names every field that is missing or invalid.
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

// Run starts and cancels runs as changes says, until ctx ends or changes ends. Then it cancels all runs and waits for
// them, at most for StopGrace. changes has to end when ctx ends, as discovery's Changes does; Run waits for that too.
//
// Run returns nil when everything has ended; the end of ctx or of changes is not an error. Otherwise [errors.As] finds
// a *[StillRunningError], and a *[PanicError] when changes panicked. Run can be called once; after that it returns
// [ErrRan].
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

// Status returns the state of the work of every tenant. It may be called at any time and from any goroutine. The result
// belongs to the caller.
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
