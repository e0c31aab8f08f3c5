package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// loop is the one goroutine that changes a Group's plan, and does what the plan wants done.
type loop struct {
	group  *Group
	runs   map[string]*run // that have not ended, by canonical id
	crew   *crew[happening]
	broken error // how changes ended, if not by returning; to be read once that is told
}

// run is one that has not ended.
type run struct {
	ctx    context.Context //nolint:containedctx // its hook is given it too
	cancel context.CancelCauseFunc
}

// happening is the end of a run, or of a call of its hook.
type happening struct {
	ending

	key  string // the canonical id
	hook bool
}

func newLoop(g *Group) *loop {
	l := &loop{group: g, runs: map[string]*run{}}
	l.crew = newCrew(l.noteLate)
	return l
}

// run goes on until ctx or changes end, and then until what is running has ended, or the grace is over.
func (l *loop) run(ctx context.Context, changes iter.Seq[tenant.Change]) error {
	in, quit, read := make(chan tenant.Change), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		guard(func() error { return forward(changes, in, quit) }, func(e ending) { l.broken = e.err })
	}()
	base := context.WithoutCancel(ctx) // a run's ctx is to end with the cause that the plan gives
	l.supervise(ctx, base, in, read)
	close(quit)
	return l.shutDown(base, read)
}

func forward(changes iter.Seq[tenant.Change], in chan<- tenant.Change, quit <-chan struct{}) error {
	for c := range changes {
		select {
		case in <- c:
		case <-quit:
			return nil
		}
	}
	return nil
}

// supervise does what there is to do until ctx or changes end.
func (l *loop) supervise(ctx, base context.Context, in <-chan tenant.Change, read <-chan struct{}) {
	timer := newAlarm()
	defer timer.Stop()
	for ctx.Err() == nil { // select may prefer a change to the end
		select {
		case <-ctx.Done():
			return
		case <-read:
			return
		case c := <-in:
			l.do(base, func(p *plan, now time.Time) { p.change(now, c) })
		case h := <-l.crew.ended:
			l.take(base, h)
		case <-timer.C:
			timer.at = time.Time{}
			l.do(base, (*plan).tick)
		}
		timer.set(l.group.next())
	}
}

// shutDown cancels what is running and waits for it. It does not wait by crew.await, which knows one deadline: the runs that were
// cancelled before have earlier ones, and the plan has to name each of them in time.
func (l *loop) shutDown(base context.Context, read <-chan struct{}) error {
	missing := true
	defer func() { l.crew.dismiss(missing) }()
	l.do(base, (*plan).stop)
	grace := time.NewTimer(l.group.cfg.StopGrace)
	defer grace.Stop()
	timer := newAlarm() // some were cancelled before, and overstay before grace is over
	defer timer.Stop()
	reading := true
	for reading || len(l.runs) > 0 {
		timer.set(l.group.next())
		select {
		case h := <-l.crew.ended:
			l.take(base, h)
		case <-timer.C:
			timer.at = time.Time{}
			l.do(base, (*plan).tick)
		case <-read:
			reading, read = false, nil
		case <-grace.C:
			l.do(base, (*plan).tick)
			still := &StillRunningError{TenantIDs: l.group.unfinished(), Changes: reading}
			if reading {
				return still
			}
			return errors.Join(still, l.readError())
		}
	}
	missing = false
	return l.readError()
}

func (l *loop) readError() error {
	if l.broken == nil {
		return nil
	}
	return fmt.Errorf("run group: read changes: %w", l.broken)
}

func (l *loop) take(base context.Context, h happening) {
	l.do(base, func(p *plan, now time.Time) { p.happened(now, h) })
}

// do lets the plan decide, and then does what it wants.
func (l *loop) do(base context.Context, decide func(p *plan, now time.Time)) {
	for _, o := range l.group.decide(decide) {
		switch o.what {
		case startRun:
			l.start(base, o)
		case callHook:
			l.callHook(o)
		case cancelRun:
			l.runs[o.run].cancel(o.cause)
		case forgetRun:
			l.runs[o.run].cancel(nil)
			delete(l.runs, o.run)
		default:
			l.group.note(base, o)
		}
	}
}

func (l *loop) start(base context.Context, o order) {
	ctx, cancel := context.WithCancelCause(base)
	l.runs[o.run] = &run{ctx, cancel}
	work := l.group.cfg.Work
	l.crew.call(func() error { return work(ctx, o.id) }, func(e ending) happening { return happening{key: o.run, ending: e} })
}

func (l *loop) callHook(o order) {
	ctx, hook := l.runs[o.run].ctx, l.group.cfg.Reconfigured
	l.crew.call(func() error { return hook(ctx, o.id, o.reason) }, func(e ending) happening { return happening{key: o.run, hook: true, ending: e} })
}

// noteLate is for what ends when the loop is over. Nobody decides anything any more then, and the plan is told for the sake of Status.
func (l *loop) noteLate(h happening) {
	for _, o := range l.group.decide(func(p *plan, now time.Time) { p.happened(now, h) }) {
		if o.what != forgetRun {
			l.group.note(context.Background(), o)
		}
	}
}

// alarm is a timer that may be set to no time.
type alarm struct {
	*time.Timer

	at time.Time
}

func newAlarm() *alarm {
	a := &alarm{Timer: time.NewTimer(time.Hour)}
	a.Stop()
	return a
}

// set lets it ring at a time; zero is never.
func (a *alarm) set(at time.Time) {
	switch {
	case at.Equal(a.at):
	case at.IsZero():
		a.Stop()
	default:
		a.Reset(time.Until(at))
	}
	a.at = at
}
