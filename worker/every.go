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

// EveryConfig says how [Every] makes its calls. The zero value uses the defaults.
type EveryConfig struct {
	// Limit is how many calls there are at the same time, without those that overstay; the other tenants wait in line.
	// Zero: as many as there are processors, by [runtime.GOMAXPROCS].
	Limit int
	// Timeout is the time after which the ctx of a call ends. Zero: never; a call that hangs then takes a place of
	// Limit for as long as its tenant is active.
	Timeout time.Duration
	// StopGrace is how long a call may take to return after its ctx has ended, whether by Timeout, because the tenant
	// has gone or because Every ends. A call that takes longer overstays: the log names its tenant once, and it no
	// longer counts towards Limit. Zero: 10 s.
	StopGrace time.Duration
	// Ended is called after each call of work, on the same goroutine, so that several goroutines may call it at once.
	// It counts as a part of the call. For a call that Every has left behind, Ended is called when that call ends,
	// after Every has returned. Nil: nothing is called.
	Ended func(Tick)
	// Logger gets a line for each failure, with the stack of a panic, for ticks that are late, and for calls that
	// overstay. Nil logs nothing.
	Logger *slog.Logger
	// MeterProvider gets the metrics. Nil: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// Tick describes one call of work by [Every].
type Tick struct {
	TenantID string
	// Took is how long the call took.
	Took time.Duration
	// Late is how many ticks of the tenant were skipped since its last Tick. They were due while this call, or the one
	// before, ran or waited in line, or while the process stood still.
	Late int
	// Err is a *[TenantError], or nil. What work returns after the tenant has gone, or after Every was told to end, is
	// not an error.
	Err error
}

// Every calls work once in each interval for each active tenant, until ctx or changes ends. It learns which tenants are
// active from changes, such as discovery's Changes. changes has to end when ctx ends.
//
// A tick is the moment at which a call for a tenant is due. The ticks of the tenants are spread over the interval. The
// place of a tenant's tick in the interval depends only on its id, in any spelling. So it is the same after a restart,
// and in every process whose clock is right. A new tenant has its first tick within one interval. When a tenant goes,
// its call is cancelled with the cause [ErrRemoved]. When a tenant is reconfigured, nothing happens before its next
// tick.
//
// A tenant never has more than one call at a time, even when the call overstays. A tick that is due while the last call
// has not ended is late: it is skipped, and counted in [Tick.Late] and in a metric. After the process stood still, for
// however long, each tenant has one tick instead of all that it missed, and the ticks of all tenants are spread again.
// Nothing is stored: a tick that was due while no process ran is not repeated later. A call that fails, by an error, a
// panic or runtime.Goexit, is logged, and does not change the next tick. Setting the clock of the machine does not
// change the ticks either. For a whole pass over the tenants in each interval, call [ForEach] in a loop over a
// [time.Ticker].
//
// At the end Every cancels the calls that run, with the cause [ErrStopping], and waits for them and for changes, at
// most for StopGrace. It returns nil when all have ended. Otherwise [errors.As] finds a *[StillRunningError], which
// names the tenants whose calls are left behind, and a *[PanicError] when changes panicked. When an argument is
// invalid, nothing runs and the error says which one it is.
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
