package discovery_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/planted"
	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
)

// worldNumbers: how many tenants there are at the beginning, the spread in milliseconds, what seeds all jitter, how many changes of one list
// are told together, and how many tenants may have changed before the set is rebuilt (zero for both: as a discovery has it). The flags
// are versions, changes, beatless, base, undated, mixed, slow, panics, stuck, notify and file, and for heartbeats hearing, beating and stream.
var worldNumbers = []string{"tenants", "spread", "dice", "many", "slack"}

var (
	schedules = flag.Int("simulation.schedules", 300, "how many schedules TestSimulation runs of the live layer")
	perLive   = flag.Int("simulation.core", 10, "how many of the core layer for each of those")
	firstSeed = flag.Uint64("simulation.seed", 1, "the seed of the first; the others follow")
	oneLayer  = flag.String("simulation.layer", "", "only this layer, core or live")
	tracing   = flag.Bool("simulation.trace", false, "print each schedule of the live layer before it runs, to find one that ends the process")
	replayed  = flag.String("simulation.replay", "", "a schedule to run instead, as a failure prints it")
)

// TestSimulation is the proof, in two layers over one model: the manager's truth is a log of revisions. The core layer
// runs the decisions of a discovery under schedules of events, losses and answers in any order, and is the same to the bit
// each time. The live layer runs a real discovery in a bubble against a manager and a feed that fail. After each step
// what is always to hold is looked at; at the end the faults stop, and everything has to be equal.
func TestSimulation(t *testing.T) {
	switch {
	case *replayed != "":
		replay(t, *replayed)
	case *oneLayer == "" || *oneLayer == "core" || *oneLayer == "live":
		if *oneLayer != "live" {
			simulateCore(t, *schedules**perLive)
		}
		if *oneLayer != "core" {
			simulateLive(t, *schedules)
		}
	default:
		t.Fatalf("-simulation.layer=%q: it is core or live", *oneLayer)
	}
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

func run(t *testing.T, s schedule.Schedule) (passed time.Duration, err error) {
	t.Helper()
	switch s.Name {
	case "core":
		passed, _, err = runCore(s)
	case "live":
		passed, err = runLive(t, s)
	default:
		err = fmt.Errorf("%q is not a layer", s.Name)
	}
	return passed, err
}

func simulateCore(t *testing.T, n int) {
	t.Helper()
	var passed atomic.Int64 // in milliseconds, as all together may be centuries
	var next atomic.Uint64
	var failed atomic.Pointer[failing]
	all := &reached{cases: make(map[uint64]struct{}), pairs: make(map[uint64]struct{})}
	var work sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for failed.Load() == nil {
				first := next.Add(blockSize) - blockSize
				last := min(first+blockSize, uint64(n)) //nolint:gosec // a count is never negative
				if first >= last {
					return
				}
				took, found := simulateBlock(first, last, all)
				passed.Add(took.Milliseconds())
				if found != nil {
					failed.CompareAndSwap(nil, found)
				}
			}
		})
	}
	work.Wait()
	if found := failed.Load(); found != nil {
		report(t, found.schedule, found.nth)
	}
	t.Logf("core: %d schedules, %.0f hours of simulated time, %d ways of an event through the memory, %d pairs of them",
		n, float64(passed.Load())/3.6e6, len(all.cases), len(all.pairs))
}

// failing is a schedule that fails, the nth.
type failing struct {
	schedule schedule.Schedule
	nth      uint64
}

// simulateBlock runs the schedules from the first one on to before the last, which learn from each other.
func simulateBlock(first, last uint64, all *reached) (passed time.Duration, found *failing) {
	st := &steer{seen: make(map[uint64]struct{})}
	defer func() { all.add(st.seen) }()
	for i := first; i < last; i++ {
		s := st.draw(*firstSeed + i)
		sim := newCoreSim(s.World)
		sim.cases = &cases{}
		took, _, err := sim.run(s)
		passed += took
		if err != nil {
			return passed, &failing{s, i + 1}
		}
		st.learn(s, sim.cases)
	}
	return passed, nil
}

func simulateLive(t *testing.T, n int) {
	t.Helper()
	var hours float64
	for i := range uint64(n) { //nolint:gosec // a count is never negative
		if *tracing {
			_, _ = fmt.Fprintln(os.Stdout, "schedule:", drawLive(*firstSeed+i)) // not kept back until the test ends
		}
		took, err := runLive(t, drawLive(*firstSeed+i))
		hours += took.Hours()
		if err != nil {
			report(t, drawLive(*firstSeed+i), i+1)
		}
	}
	t.Logf("live: %d schedules, %.0f hours of simulated time", n, hours)
}

// report fails with the shortest schedule that it can make of the one that failed, the nth.
func report(t *testing.T, s schedule.Schedule, n uint64) {
	t.Helper()
	_, err := run(t, s)
	less := schedule.Shorten(s, func(less schedule.Schedule) bool {
		_, err := run(t, less)
		return err != nil
	})
	_, again := run(t, less)
	t.Fatal(planted.Failure(*firstSeed+n-1, n, err, less, again, "-simulation.replay="))
}

// TestCoreSimulationIsTheSameEachTime, to the bit: else a seed that failed could not be repeated.
func TestCoreSimulationIsTheSameEachTime(t *testing.T) {
	for seed := range uint64(300) {
		s := drawCore(seed)
		_, first, err := runCore(s)
		if err != nil {
			t.Fatal(err)
		}
		read, err := schedule.Parse(s.String(), worldNumbers...)
		if err != nil {
			t.Fatal(err)
		}
		if _, second, _ := runCore(read); second != first || read.String() != s.String() {
			t.Fatalf("seed %d: the second time it was not the same: %s", seed, s)
		}
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for _, text := range []string{"core: add x", "core tenants=x: add", "core what=1:", "core: nothing", "sky: add 1"} {
		s, err := schedule.Parse(text, worldNumbers...)
		if err == nil {
			_, err = run(t, s)
		}
		if err == nil {
			t.Errorf("%q passes as a schedule", text)
		}
	}
}
