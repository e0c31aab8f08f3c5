package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// lookEvery is how often a pass asks whether the tenants whose work runs are still active, and whether that overstays.
const lookEvery = 250 * time.Millisecond

// ForEachConfig says how [ForEach] makes its calls. The zero value uses the defaults.
type ForEachConfig struct {
	// Limit is how many calls there are at the same time, without those that overstay. Zero: as many as there are
	// processors, by [runtime.GOMAXPROCS].
	Limit int
	// Timeout is the time after which the ctx of a call ends. Zero: never.
	Timeout time.Duration
	// StopGrace is how long a call may take to return after its ctx has ended, whether by Timeout, because the tenant
	// has gone or because the ctx of the pass has ended. It is checked four times a second. A call that takes longer
	// overstays: the pass goes on without it, and the error of the pass names its tenant unless the call ends before
	// the pass does. Zero: 10 s.
	StopGrace time.Duration
	// Active says whether a tenant is still active; discovery's IsActive fits. It is called right before the turn of
	// each tenant. A tenant that is not active is passed over, even one that was never active: for a default tenant,
	// which the manager does not know, Active has to return true. The log, a metric, and the error, if there is one for
	// another reason, say how many tenants were passed over. While the work of a tenant runs, Active is called four
	// times a second, and when the tenant has gone its work is cancelled with the cause [ErrRemoved]. Active is called
	// on the goroutine of ForEach, so that the pass waits for it. Nil: every tenant counts as active.
	Active func(tenantID string) bool
	// Progress is called each time the number of tenants that are done has grown, whether their work failed or not. A
	// tenant whose work overstays is not done. Progress is called on the goroutine of ForEach, so that the pass waits
	// for it. Nil: nothing is called.
	Progress func(done, total int)
	// Logger gets a line at the end of a pass that has passed tenants over, with their number and up to ten of their
	// ids. Nil: [slog.Default], because otherwise a tenant that is passed over in each pass would go unnoticed. A
	// Logger with [slog.DiscardHandler] logs nothing.
	Logger *slog.Logger
	// MeterProvider gets the metrics. Nil: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// ForEach calls work once for each of the tenants, several at a time, and returns when all calls have returned. It
// leaves behind the goroutines of calls that overstay. ForEach first reads the sequence, such as discovery's All, to
// its end. An id that appears twice, in any spelling, counts once. Tenants have their turn in the order of the
// sequence.
//
// ForEach goes on when the work of a tenant fails, by an error, a panic or runtime.Goexit. What work returns after its
// tenant has gone is not a failure. When ctx ends, the ctx of every running call ends too, and no other call begins.
//
// ForEach returns nil when work was called without a failure for every tenant that is still active, and no call was left
// behind. Otherwise the error is a *[PassError]. When an argument is invalid, nothing runs and the error says which one it
// is. When Active or Progress panics, ForEach cancels the calls that run, waits until they have ended or overstay, and
// panics too.
func ForEach(ctx context.Context, tenantIDs iter.Seq[string], work func(ctx context.Context, tenantID string) error, cfg ForEachConfig) error {
	problems := boundsOf(cfg.Limit, cfg.Timeout, cfg.StopGrace, work == nil)
	if tenantIDs == nil {
		problems = append(problems, "tenantIDs is missing")
	}
	if len(problems) > 0 {
		return fmt.Errorf("for each tenant: %s", strings.Join(problems, "; "))
	}
	metrics, err := newPassMetrics(ctx, cfg.MeterProvider)
	if err != nil {
		return fmt.Errorf("for each tenant: %w", err)
	}
	began := time.Now()
	p := newPass(cfg, distinct(tenantIDs), work)
	err = p.run(ctx)
	ctx = context.WithoutCancel(ctx)
	metrics.duration.Record(ctx, time.Since(began).Seconds())
	metrics.passedOver.Add(ctx, int64(len(p.passedOver)))
	p.tellPassedOver(ctx)
	return err
}

// boundsOf says what is wrong with what passes and schedules have in common.
func boundsOf(limit int, timeout, grace time.Duration, noWork bool) []string {
	var problems []string
	if noWork {
		problems = append(problems, "work is missing")
	}
	if limit < 0 {
		problems = append(problems, "Limit is negative")
	}
	if timeout < 0 {
		problems = append(problems, "Timeout is negative")
	}
	if grace < 0 {
		problems = append(problems, "StopGrace is negative")
	}
	return problems
}

func distinct(tenantIDs iter.Seq[string]) []string {
	var ids []string
	seen := map[string]bool{}
	for id := range tenantIDs {
		if key := tenant.CanonicalID(id); !seen[key] {
			seen[key] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// pass is one call of ForEach. All of it belongs to the goroutine of that call.
type pass struct {
	cfg        ForEachConfig
	work       func(ctx context.Context, tenantID string) error
	ids        []string
	begun      int // so many of ids had their turn
	done       int
	running    map[int]*passRun // by the index in ids
	left       int              // so many of running overstay
	passedOver []string         // were not active when their turn came
	failed     map[int]*TenantError
	crew       *crew[passEnd]
}

type passRun struct {
	cancel    context.CancelCauseFunc
	began     time.Time
	removed   bool
	endedAt   time.Time // when its ctx was seen to have ended
	overstays bool
}

type passEnd struct {
	ending

	index int
}

func newPass(cfg ForEachConfig, ids []string, work func(ctx context.Context, tenantID string) error) *pass {
	if cfg.Limit == 0 {
		cfg.Limit = runtime.GOMAXPROCS(0)
	}
	cfg.StopGrace = cmp.Or(cfg.StopGrace, defaultStopGrace)
	return &pass{
		cfg: cfg, work: work, ids: ids, running: map[int]*passRun{}, failed: map[int]*TenantError{},
		crew: newCrew[passEnd](nil), // when nobody listens any more, the pass has ended without it
	}
}

func (p *pass) run(ctx context.Context) error {
	running, cancel := context.WithCancel(ctx)
	defer p.finish() // even when Active or Progress panics
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		for p.counted() < p.cfg.Limit && p.begun < len(p.ids) && ctx.Err() == nil {
			p.begin(running)
		}
		if p.counted() == 0 {
			return p.result(ctx)
		}
		select {
		case end := <-p.crew.ended:
			p.end(end)
		case <-look.C:
			p.cancelRemoved()
			p.leaveBehind(ctx.Err() != nil)
		}
	}
}

// counted is how many run that do not overstay.
func (p *pass) counted() int { return len(p.running) - p.left }

// finish waits for what still runs, for the grace at most, and for the goroutines of all if none is left behind.
func (p *pass) finish() {
	p.crew.await(p.cfg.StopGrace, func() bool { return p.counted() > 0 }, func(end passEnd) { p.forget(end.index) }, nil)
	p.crew.dismiss(len(p.running) > 0)
}

// begin gives the next tenant its turn.
func (p *pass) begin(ctx context.Context) {
	index := p.begun
	p.begun++
	id := p.ids[index]
	if !p.isActive(id) {
		p.passedOver = append(p.passedOver, id)
		p.step()
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.running[index] = &passRun{cancel: cancel, began: time.Now()}
	p.crew.call(func() error { return within(ctx, p.cfg.Timeout, id, p.work) }, func(e ending) passEnd { return passEnd{e, index} })
}

// within calls work with a ctx that ends after the time-out, if there is one.
func within(ctx context.Context, timeout time.Duration, id string, work func(ctx context.Context, tenantID string) error) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return work(ctx, id)
}

func (p *pass) isActive(id string) bool { return p.cfg.Active == nil || p.cfg.Active(id) }

func (p *pass) step() {
	p.done++
	if p.cfg.Progress != nil {
		p.cfg.Progress(p.done, len(p.ids))
	}
}

// end takes in what came of a run. A tenant may have gone since the last look, and its work have failed for that; a panic is
// a mistake all the same.
func (p *pass) end(e passEnd) {
	run, id := p.forget(e.index), p.ids[e.index]
	if e.err != nil && (e.panicked || !run.removed && p.isActive(id)) {
		p.failed[e.index] = &TenantError{TenantID: id, Err: e.err}
	}
	p.step()
}

func (p *pass) forget(index int) *passRun {
	run := p.running[index]
	delete(p.running, index)
	if run.overstays {
		p.left--
	}
	run.cancel(nil)
	return run
}

func (p *pass) cancelRemoved() {
	for index, run := range p.running {
		if !run.removed && !p.isActive(p.ids[index]) {
			run.removed = true
			run.cancel(ErrRemoved)
		}
	}
}

// leaveBehind finds out who overstays. The grace begins when the end of a ctx is noticed: after a process has stood still,
// runs have theirs.
func (p *pass) leaveBehind(stopped bool) {
	now := time.Now()
	for _, run := range p.running {
		switch {
		case run.overstays:
		case !run.endedAt.IsZero():
			if now.Sub(run.endedAt) >= p.cfg.StopGrace {
				run.overstays = true
				p.left++
			}
		case stopped, run.removed, p.cfg.Timeout > 0 && now.Sub(run.began) >= p.cfg.Timeout:
			run.endedAt = now
		}
	}
}

func (p *pass) result(ctx context.Context) error {
	notRun := len(p.ids) - p.begun
	if len(p.failed) == 0 && notRun == 0 && p.left == 0 {
		return nil
	}
	e := &PassError{NotRun: notRun, PassedOver: len(p.passedOver), Total: len(p.ids), StillRunning: p.stillRunning()}
	for index := range p.ids {
		if failure := p.failed[index]; failure != nil {
			e.Failed = append(e.Failed, failure)
		}
	}
	if notRun > 0 {
		e.Stopped = endOf(ctx)
	}
	return e
}

// tellPassedOver logs it in one line. A tenant that has gone since the pass began is nothing to worry about; one that is
// passed over each time is not meant to be.
func (p *pass) tellPassedOver(ctx context.Context) {
	const most = 10
	n := len(p.passedOver)
	if n == 0 {
		return
	}
	usererror.Logger(cmp.Or(p.cfg.Logger, slog.Default()), nil).LogAttrs(ctx, slog.LevelWarn, "tenants were passed over: Active says that they are not active",
		slog.Int("passed_over", n), slog.Int("of", len(p.ids)), slog.Any("tenant_ids", p.passedOver[:min(n, most)]))
}

// stillRunning names those that are left behind; nil if none is.
func (p *pass) stillRunning() *StillRunningError {
	if len(p.running) == 0 {
		return nil
	}
	still := &StillRunningError{}
	for index := range p.running {
		still.TenantIDs = append(still.TenantIDs, p.ids[index])
	}
	slices.Sort(still.TenantIDs)
	return still
}

// endOf returns the error of ctx, with its cause if that says more.
func endOf(ctx context.Context) error {
	err := ctx.Err()
	says, cause := usererror.Look(context.Cause(ctx), func(cause error) bool { return errors.Is(cause, err) })
	if says {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
