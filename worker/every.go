package worker

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// EveryConfig is how [Every] goes about its ticks. The zero value will do.
type EveryConfig struct {
	// Limit is how many tenants are worked for at the same time, not counting calls that overstay; the others wait in
	// line. Zero: as many as there are processors, by [runtime.GOMAXPROCS].
	Limit int
	// Timeout is when the ctx of a tick ends, after its beginning. Zero: never, and a call that hangs keeps its place as long
	// as its tenant is active.
	Timeout time.Duration
	// StopGrace is how long a call may take to return after its ctx has ended, be it by Timeout, because its tenant has gone
	// or because the schedule ends. One that takes longer overstays: it is named in the log, once, and counts towards
	// Limit no more. Zero: 10 s.
	StopGrace time.Duration
	// Ended is told of each tick that was run. It is called where the tick was run, so by several goroutines at once, and
	// counts as a part of it. Of a call that Every has left behind it is told when that ends, after Every has returned. Nil:
	// nobody is told.
	Ended func(Tick)
	// Logger gets a line for each failure, with the stack of a panic, for ticks that are late, and for calls that overstay.
	// Nil is silent.
	Logger *slog.Logger
	// MeterProvider gets the metrics. Nil: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// Tick is one call of work by [Every].
type Tick struct {
	TenantID string
	// Took is how long the call took.
	Took time.Duration
	// Late is how many ticks of the tenant were skipped since the Tick before: they were due while this one, or the one
	// before, ran or waited in line, or while the process stood still.
	Late int
	// Err is a *[TenantError], or nil. What is returned after the tenant has gone, or after the schedule has ended, is no
	// error.
	Err error
}

// Every calls work for each active tenant once in each interval, until ctx or changes end. It knows the active tenants from
// changes, such as those of discovery's Changes, which has to end with ctx.
//
// The ticks of the tenants are spread over the interval. When in it a tenant has its tick depends on nothing but its id, in
// whatever spelling, and is the same after a restart and in every process whose clock is right. A tenant that comes has its
// first tick within an interval; the call for one that goes is cancelled, with the cause [ErrRemoved]. That a tenant was
// reconfigured changes nothing: its next tick is near.
//
// There is never more than one call for a tenant, even when the one before overstays. A tick that is due while that has not
// ended is late: it is skipped, and counted in [Tick.Late] and in a metric. After the process stood still, for however long,
// a tenant has one tick for all that it missed, and those of all tenants are spread again. A tick that was due while there
// was no process is not made up for: nothing is kept of it. A call that fails, by an error, a panic or runtime.Goexit, is
// logged, and the next tick is as if nothing had been. The clock may be set at any time, and changes nothing. For a whole
// pass over the tenants in each interval, call [ForEach] in a loop over a [time.Ticker].
//
// At the end the calls that run are cancelled, with the cause [ErrStopping], and Every waits for them and for changes, for
// StopGrace at most. It returns nil when all have ended. Otherwise [errors.As] finds a *[StillRunningError], which names those
// whose goroutines are left behind, and a *[PanicError] when changes panicked; or the error says which argument makes no
// sense.
func Every(ctx context.Context, interval time.Duration, changes iter.Seq[tenant.Change], work func(ctx context.Context, tenantID string) error, cfg EveryConfig) error {
	problems := boundsOf(cfg.Limit, cfg.Timeout, cfg.StopGrace, work == nil)
	if interval <= 0 {
		problems = append(problems, "interval is not above zero")
	}
	if changes == nil {
		problems = append(problems, "changes is missing")
	}
	if len(problems) > 0 {
		return fmt.Errorf("every interval: %s", strings.Join(problems, "; "))
	}
	cfg.Limit = cmp.Or(cfg.Limit, runtime.GOMAXPROCS(0))
	cfg.StopGrace = cmp.Or(cfg.StopGrace, defaultStopGrace)
	cfg.Logger = usererror.Logger(cfg.Logger, nil)
	metrics, err := newTickMetrics(ctx, cfg.MeterProvider)
	if err != nil {
		return fmt.Errorf("every interval: %w", err)
	}
	start := time.Now()
	t := &ticks{
		cfg: cfg, work: work, start: start, metrics: metrics, crew: newCrew[*seat](nil),
		roll: newRoll(newTimetable(interval, start), cfg.Timeout, cfg.StopGrace),
	}
	if err := t.run(ctx, changes); err != nil {
		return fmt.Errorf("every interval: %w", err)
	}
	return nil
}
