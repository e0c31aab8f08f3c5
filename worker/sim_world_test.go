package worker_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/worker"
)

const simTenants = 12

// worldNumbers: the ramp is in starts a second, times in milliseconds, max in times of min; dice seeds what steps draw.
var worldNumbers = []string{"limit", "ramp", "grace", "min", "max", "dice"}

// sim is one schedule: a Group that runs, and works and hooks that do as they are told.
type sim struct {
	world schedule.World
	cfg   worker.Config
	group *worker.Group
	rand  *rand.Rand
	model *model

	changes chan tenant.Change
	dry     chan struct{} // closed when changes end
	cancel  context.CancelFunc
	ended   chan error    // of Run
	closed  chan struct{} // at the very end: whatever still runs returns
	nudge   chan struct{} // something has happened

	mu     sync.Mutex // guards what follows
	log    []entry
	runs   [simTenants]*simRun // the last of each
	moods  [simTenants]mood    // how its runs end by themselves
	stops  [simTenants]mood    // how they do when cancelled
	hooks  [simTenants]mood
	timers int
	starts int // in this moment
	err    error
}

// mood is what something does by itself, and after which time.
type mood struct {
	what  what
	after time.Duration // never: not before it is told to
}

const never = time.Duration(-1)

// what a work or a hook does at its end.
type what int

const (
	obeys     what = iota // returns the error of its ctx, and not before that ends
	quits                 // returns nil
	fails                 // returns an error
	givesUp               // an ErrGiveUp, wrapped
	panics                // with an error
	exits                 // by runtime.Goexit
	cancels               // returns context.Canceled, though nobody has cancelled it
	breaks                // returns an error whose methods panic
	whatCount             // how many there are
)

// outcome is how a run or a call of its hook has ended.
type outcome struct {
	what what
	err  error
}

// simRun is one call of Work, as the function sees it.
type simRun struct {
	modelRun

	n    int
	ctx  context.Context //nolint:containedctx // what is looked at
	id   string
	mood mood
	stop mood
	end  chan what // told to end
	hook chan what // its hook is
}

// entry is something that has happened.
type entry struct {
	kind    kind
	n       int
	run     *simRun
	outcome outcome
	change  tenant.Change
	ctx     context.Context //nolint:containedctx // what a hook was given
	reason  tenant.EventType
}

type kind int

const (
	told kind = iota // a change
	began
	over
	hookBegan
	hookOver
	stopped // ctx or the changes have ended
)

func newSim(t *testing.T, w schedule.World) *sim {
	t.Helper()
	s := &sim{
		world: w, rand: rand.New(rand.NewPCG(uint64(w.Numbers["dice"]), 1)), //nolint:gosec // to be repeated
		changes: make(chan tenant.Change), dry: make(chan struct{}), ended: make(chan error, 1), closed: make(chan struct{}), nudge: make(chan struct{}, 1),
	}
	ms := func(name string) time.Duration { return time.Duration(w.Numbers[name]) * time.Millisecond }
	s.cfg = worker.Config{
		Work: s.work, Limit: w.Numbers["limit"], RampPerSecond: float64(w.Numbers["ramp"]), StopGrace: ms("grace"),
		MinBackoff: ms("min"), MaxBackoff: ms("min") * time.Duration(w.Numbers["max"]), MeterProvider: noop.NewMeterProvider(),
	}
	if w.Has("hook") {
		s.cfg.Reconfigured = s.hook
	}
	s.model = newModel(s.cfg)
	var err error
	if s.group, err = worker.NewGroup(s.cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() {
		s.ended <- s.group.Run(ctx, s.sequence(ctx))
		s.wake()
	}()
	return s
}

// sequence are the changes. In a heedless world it does not heed its ctx.
func (s *sim) sequence(ctx context.Context) iter.Seq[tenant.Change] {
	done := ctx.Done()
	if s.world.Has("heedless") {
		done = nil
	}
	return func(yield func(tenant.Change) bool) {
		for {
			select {
			case c := <-s.changes:
				if !yield(c) {
					return
				}
			case <-s.dry:
				return
			case <-done:
				return
			}
		}
	}
}

// run does the steps, lets the faults stop and looks at the end.
func (s *sim) run(steps []schedule.Step) error {
	defer s.close()
	s.settle()
	for _, st := range steps {
		if err := operations.Do(s, st); err != nil {
			return err
		}
		s.settle()
		if err := s.failure(); err != nil {
			return fmt.Errorf("%s: %w", st, err)
		}
	}
	s.finish()
	if err := s.failure(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}

// close lets everything end, so that the bubble can.
func (s *sim) close() {
	s.cancel()
	close(s.closed)
	if !s.model.dry {
		close(s.dry)
	}
	synctest.Wait()
}

func (s *sim) failf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *sim) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// note writes down what has happened. s.mu is held.
func (s *sim) note(e entry) {
	s.log = append(s.log, e)
	s.wake()
}

// wake has pass look at what there is.
func (s *sim) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// work is what the Group runs.
func (s *sim) work(ctx context.Context, id string) error {
	n := number(id)
	r := &simRun{n: n, ctx: ctx, id: id, end: make(chan what, 1), hook: make(chan what, 1)}
	s.mu.Lock()
	r.mood, r.stop = s.moods[n], s.stops[n]
	if s.starts++; s.starts > 50*simTenants { // or there would be no end to this moment
		r.mood = mood{}
	}
	s.runs[n] = r
	s.note(entry{kind: began, n: n, run: r})
	s.mu.Unlock()
	out := s.outcome(ctx, s.live(r), fmt.Sprintf("a run of %d", n))
	s.mu.Lock()
	s.note(entry{kind: over, n: n, run: r, outcome: out})
	s.mu.Unlock()
	return out.do()
}

// live waits until a run is to end.
func (s *sim) live(r *simRun) what {
	var fuse <-chan time.Time
	if r.mood.what != obeys {
		fuse = s.timer(r.mood.after)
	}
	select {
	case how := <-r.end:
		return how
	case <-fuse:
		return r.mood.what
	case <-s.closed:
		return obeys
	case <-r.ctx.Done():
	}
	if r.stop.after == 0 {
		return r.stop.what
	}
	select {
	case how := <-r.end:
		return how
	case <-s.timer(r.stop.after):
		return r.stop.what
	case <-s.closed:
		return obeys
	}
}

// timer differs by nanoseconds from all others, so that no two ring in the same moment.
func (s *sim) timer(after time.Duration) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after == never {
		return nil
	}
	s.timers++
	return time.After(after + time.Duration(s.timers))
}

// hook is what the Group calls when a tenant is reconfigured.
func (s *sim) hook(ctx context.Context, id string, reason tenant.EventType) error {
	n := number(id)
	s.mu.Lock()
	r, mood := s.runs[n], s.hooks[n]
	s.note(entry{kind: hookBegan, n: n, run: r, ctx: ctx, reason: reason})
	s.mu.Unlock()
	how := mood.what
	if mood.after != 0 || how == obeys {
		var done <-chan struct{}
		if how == obeys {
			done = ctx.Done()
		}
		select {
		case how = <-r.hook:
		case <-s.timer(mood.after):
		case <-done:
		case <-s.closed:
		}
	}
	out := s.outcome(ctx, how, fmt.Sprintf("the hook of %d", n))
	s.mu.Lock()
	s.note(entry{kind: hookOver, n: n, run: r, outcome: out})
	s.mu.Unlock()
	return out.do()
}

var errSim = errors.New("fails")

// brokenError cannot be asked what it is.
type brokenError struct{}

func (brokenError) Error() string { return "broken" }
func (brokenError) Is(error) bool { panic("asked") }

func (s *sim) outcome(ctx context.Context, how what, who string) outcome {
	switch how {
	case obeys:
		return outcome{how, ctx.Err()}
	case quits, exits:
		return outcome{what: how}
	case givesUp:
		return outcome{how, fmt.Errorf("%s: %w", who, worker.ErrGiveUp)}
	case cancels:
		return outcome{how, context.Canceled}
	case breaks:
		return outcome{how, brokenError{}}
	case panics:
		return outcome{how, fmt.Errorf("%s: %w, %w", who, errSim, worker.ErrGiveUp)} // which counts for nothing there
	default:
		return outcome{how, fmt.Errorf("%s: %w", who, errSim)}
	}
}

func (o outcome) do() error {
	switch o.what {
	case panics:
		panic(o.err)
	case exits:
		runtime.Goexit()
	default:
	}
	return o.err
}

// is reports whether err tells of the outcome.
func (o outcome) is(err error) bool {
	switch o.what {
	case exits:
		return err != nil && strings.Contains(err.Error(), "Goexit")
	case panics:
		return errors.Is(err, o.err) && strings.Contains(err.Error(), "panic")
	case breaks:
		return err != nil && strings.Contains(err.Error(), "whose methods fail")
	default:
		return errors.Is(err, o.err) && (err == nil) == (o.err == nil)
	}
}

// spelled is the id of a tenant in one of two spellings.
func spelled(n, spelling int) string {
	if spelling%2 == 0 {
		return fmt.Sprintf("%032X", 0xA0+n)
	}
	return fmt.Sprintf("00000000-0000-0000-0000-%012x", 0xA0+n)
}

func number(id string) int {
	n, _ := strconv.ParseUint(id[len(id)-1:], 16, 8) // spelled has written it
	return int(n)
}
