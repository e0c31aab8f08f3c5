package worker_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/planted"
	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
)

var (
	schedules = flag.Int("worker.schedules", 2000, "how many schedules TestSimulation runs")
	firstSeed = flag.Uint64("worker.seed", 1, "the seed of the first; the others follow")
	tracing   = flag.Bool("worker.trace", false, "print each schedule before it runs, one at a time, to find one that ends the process")
	replayed  = flag.String("worker.replay", "", "a schedule to run instead, as a failure prints it")
)

// TestSimulation is the proof of a Group: a real one in a bubble, under drawn schedules of changes and of works that return,
// fail, panic, stop slowly or do not stop at all. A model of what a Group promises follows; after each moment in which
// something happened it is compared with what was run and with Status, and at the end the faults stop.
func TestSimulation(t *testing.T) {
	if *replayed != "" {
		replay(t, *replayed)
		return
	}
	var next, failed atomic.Uint64
	var passed atomic.Int64
	t.Run("schedules", func(t *testing.T) { // returns when all that are parallel have
		for i := range parallel() {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1); n <= uint64(*schedules) && failed.Load() == 0; n = next.Add(1) { //nolint:gosec // a count is never negative
					if *tracing {
						_, _ = fmt.Fprintln(os.Stdout, "schedule:", draw(*firstSeed+n-1)) // not kept back until the test ends
					}
					took, err := run(t, draw(*firstSeed+n-1))
					passed.Add(took.Milliseconds())
					if err != nil {
						failed.CompareAndSwap(0, n)
					}
				}
			})
		}
	})
	if n := failed.Load(); n > 0 {
		report(t, draw(*firstSeed+n-1), n)
	}
	t.Logf("%d schedules, %.0f hours of simulated time", *schedules, float64(passed.Load())/3.6e6)
}

func parallel() int {
	if *tracing {
		return 1
	}
	return runtime.GOMAXPROCS(0)
}

// replay runs one schedule, and fails when that does.
func replay(t *testing.T, text string) {
	t.Helper()
	s, err := schedule.Parse(text, worldNumbers...)
	if err != nil {
		t.Fatalf("%q is not a schedule: %v", text, err)
	}
	if _, err := run(t, s); err != nil {
		t.Errorf("%v\n%v", err, s)
	}
}

// tooLong is how much real time one schedule may take: one that goes round and round within one moment takes for ever.
const tooLong = 20 * time.Second

// run runs a schedule to its end and returns what was wrong, and how much time passed in it.
func run(t *testing.T, s schedule.Schedule) (passed time.Duration, err error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil { // a bubble in which something is blocked for ever
			err = fmt.Errorf("%v", p)
		}
	}()
	dog := time.AfterFunc(tooLong, func() { panic("no end: " + s.String()) })
	defer dog.Stop()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err = newSim(t, s.World).run(s.Steps)
		passed = time.Since(began)
	})
	return passed, err
}

// report fails with the shortest schedule that it can make of the one that failed, the nth. Which of two goroutines of one
// moment is first is not drawn, so that what depends on it may need more than one try.
func report(t *testing.T, s schedule.Schedule, n uint64) {
	t.Helper()
	fails := func(s schedule.Schedule) (err error) {
		for i := 0; i < 3 && err == nil; i++ {
			_, err = run(t, s)
		}
		return err
	}
	err := fails(s)
	less := schedule.Shorten(s, func(s schedule.Schedule) bool { return fails(s) != nil })
	t.Fatal(planted.Failure(*firstSeed+n-1, n, err, less, fails(less), "-worker.replay="))
}
