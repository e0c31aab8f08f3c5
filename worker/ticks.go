package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/bits"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// ticks is one call of Every. All of it belongs to the goroutine of that call, which alone changes the roll.
type ticks struct {
	cfg     EveryConfig
	work    func(ctx context.Context, tenantID string) error
	start   time.Time
	metrics tickMetrics
	crew    *crew[*seat]

	roll     *roll
	crowded  int64         // ticks skipped in line that no log line has told yet
	toldLast time.Duration // when one did
}

// run goes on until ctx or changes end, and then until what is running has ended, or the grace is over.
func (t *ticks) run(ctx context.Context, changes iter.Seq[tenant.Change]) error {
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx)) // a run's ctx is to end with a cause of ours
	defer stop(nil)
	news, read := newNews(), make(chan struct{})
	var failure error // of changes, once read is closed
	go func() {
		defer close(read)
		guard(func() error { return news.read(base, changes) }, func(e ending) { failure = e.err })
	}()
	t.supervise(ctx, base, news, read)
	stop(ErrStopping)
	if still := t.shutDown(base, read); still != nil {
		if still.Changes {
			return still
		}
		return errors.Join(still, readError(failure))
	}
	return readError(failure)
}

func readError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read changes: %w", err)
}

// supervise does what there is to do until ctx or changes end.
func (t *ticks) supervise(ctx, base context.Context, news *news, read <-chan struct{}) {
	timer := newAlarm()
	defer timer.Stop()
	for ctx.Err() == nil {
		t.callDue(base)
		t.leaveBehind(base)
		t.fill(base)
		timer.set(t.next())
		select {
		case <-ctx.Done():
		case <-read:
			return
		case <-news.wake:
			for key, item := range news.take() {
				t.roll.apply(time.Since(t.start), key, item)
			}
		case s := <-t.crew.ended:
			t.take(s)
		case <-timer.C:
			timer.at = time.Time{}
		}
	}
}

// shutDown waits for what was cancelled, for the grace at most.
func (t *ticks) shutDown(base context.Context, read <-chan struct{}) *StillRunningError {
	t.roll.stop(time.Since(t.start))
	reading := t.crew.await(t.cfg.StopGrace, func() bool { return t.roll.unfinished() > 0 }, t.take, read)
	missing := reading || t.roll.unfinished() > 0
	t.crew.dismiss(missing)
	if !missing {
		return nil
	}
	t.leaveBehind(base)
	return &StillRunningError{TenantIDs: t.roll.names(), Changes: reading}
}

// leaveBehind names who overstays from now on.
func (t *ticks) leaveBehind(ctx context.Context) {
	now := time.Since(t.start)
	for s := t.roll.expire(now); s != nil; s = t.roll.expire(now) {
		t.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a tick of a tenant was cancelled and does not end",
			slog.String("tenant_id", s.id), slog.String("grace", t.cfg.StopGrace.String()))
	}
}

// next is when there is something to do; zero if never.
func (t *ticks) next() time.Time {
	if at, ok := t.roll.next(); ok {
		return t.start.Add(at)
	}
	return time.Time{}
}

// callDue puts whose tick is due in line, and counts what is skipped.
func (t *ticks) callDue(ctx context.Context) {
	now := time.Since(t.start)
	var missed int64
	for s := t.roll.due(now); s != nil; s = t.roll.due(now) {
		was := s.state
		skipped := t.roll.turn(now, s)
		if skipped == 0 {
			continue
		}
		t.metrics.late.Add(ctx, skipped)
		late := s.late.Add(skipped)
		switch was {
		case seatIdle:
			missed += skipped
		case seatInLine:
			t.crowded += skipped
		default:
			if bits.Len64(uint64(late)) != bits.Len64(uint64(late-skipped)) { //nolint:gosec // counts are not negative
				t.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a tick of a tenant is late: the one before still runs", slog.String("tenant_id", s.id), slog.Int64("late", late))
			}
		}
	}
	t.tellOfCrowd(ctx, now, missed)
}

// tellOfCrowd logs what may concern all tenants at once in one line, and not more often than once in an interval.
func (t *ticks) tellOfCrowd(ctx context.Context, now time.Duration, missed int64) {
	if missed > 0 {
		t.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "ticks are late: the process stood still", slog.Int64("late", missed))
	}
	if t.crowded > 0 && now-t.toldLast >= t.roll.table.interval {
		t.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "ticks are late: too many wait in line for Limit",
			slog.Int64("late", t.crowded), slog.Int("in_line", t.roll.in[seatInLine].Len()), slog.Int("limit", t.cfg.Limit))
		t.crowded, t.toldLast = 0, now
	}
}

// fill starts who is first in line while there is room.
func (t *ticks) fill(base context.Context) {
	for t.roll.counted() < t.cfg.Limit && t.roll.first(seatInLine) != nil {
		ctx, cancel := context.WithCancelCause(base)
		s := t.roll.begin(time.Since(t.start), cancel)
		id := s.id // the owner may change it meanwhile
		t.crew.call(func() error {
			began := time.Now()
			guard(func() error { return within(ctx, t.cfg.Timeout, id, t.work) }, func(e ending) {
				t.conclude(ctx, s, Tick{TenantID: id, Took: time.Since(began), Err: e.err}, e)
			})
			return nil
		}, func(e ending) *seat { // even when a callback ends the goroutine
			t.noteBroken(ctx, id, e)
			return s
		})
	}
}

// conclude tells of a tick, on its goroutine.
func (t *ticks) conclude(ctx context.Context, s *seat, tick Tick, e ending) {
	if wasCancelled(ctx) && !e.panicked {
		tick.Err = nil
	}
	ctx = context.WithoutCancel(ctx)
	t.metrics.duration.Record(ctx, tick.Took.Seconds())
	id := slog.String("tenant_id", tick.TenantID)
	if tick.Err != nil {
		attrs := append([]slog.Attr{id, slog.Any("error", tick.Err)}, stackOf(e.stack)...)
		t.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a tick of a tenant failed", attrs...)
		tick.Err = &TenantError{TenantID: tick.TenantID, Err: tick.Err}
	}
	tick.Late = int(s.late.Swap(0))
	if t.cfg.Ended == nil {
		return
	}
	guard(func() error { t.cfg.Ended(tick); return nil }, func(e ending) {
		if e.err != nil {
			t.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the callback of a tick panicked", append([]slog.Attr{id, slog.Any("error", e.err)}, stackOf(e.stack)...)...)
		}
	})
}

// noteBroken says that what is told of a tick has panicked, as metrics of others may. That the work has ended its goroutine was told.
func (t *ticks) noteBroken(ctx context.Context, id string, e ending) {
	if failure, ok := e.err.(*PanicError); ok && failure.Value != errExited { //nolint:errorlint // it is ours
		t.cfg.Logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelError, "telling of a tick panicked",
			append([]slog.Attr{slog.String("tenant_id", id), slog.Any("error", e.err)}, stackOf(e.stack)...)...)
	}
}

// wasCancelled reports whether it was we who ended ctx.
func wasCancelled(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return cause == ErrRemoved || cause == ErrStopping //nolint:errorlint // it is one of these or somebody else's, whose methods are not called
}

func (t *ticks) take(s *seat) {
	s.cancel(nil)
	t.roll.end(time.Since(t.start), s)
}
