package worker_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/worker"
)

var costOf = flag.String("worker.cost", "", "print what 100,000 tenants cost in a process of their own: group or map")

// cost is what tenants cost whose work runs.
type cost struct {
	bytes float64       // of heap and stacks, a tenant
	start time.Duration // until the work of the last has begun
	sys   float64       // MiB that the process has taken from the system
}

const costTenants = 100_000

// BenchmarkTenants prints what 100,000 tenants cost in a Group, in the middle of its rounds, and how many times that is what
// a goroutine each and a map of them cost, which is the least that anything can that runs something for each. Every round is
// a process of its own, as goroutines leave something behind.
//
//	go test ./worker -run '^$' -bench Tenants -benchtime 5x
func BenchmarkTenants(b *testing.B) {
	var group, plain []cost
	for b.Loop() {
		group = append(group, costInProcess(b, "group"))
		plain = append(plain, costInProcess(b, "map"))
	}
	g, m := middle(group), middle(plain)
	b.ReportMetric(g.bytes, "B/tenant")
	b.ReportMetric(g.sys, "MiB")
	b.ReportMetric(g.start.Seconds(), "s-to-start")
	b.ReportMetric(g.bytes/m.bytes, "x-memory")
	b.ReportMetric(g.start.Seconds()/m.start.Seconds(), "x-time")
	b.ReportMetric(0, "ns/op") // is of both, and says nothing
	b.Logf("%d tenants in a Group: %.0f B each, %.0f MiB in all, the last started after %v; in a map: %.0f B, %.0f MiB, %v; ratios %.2f, %.2f, %.2f",
		costTenants, g.bytes, g.sys, g.start, m.bytes, m.sys, m.start, g.bytes/m.bytes, g.sys/m.sys, g.start.Seconds()/m.start.Seconds())
}

// costInProcess runs TestCost in a process of its own.
func costInProcess(b *testing.B, of string) cost {
	b.Helper()
	binary, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	out, err := exec.CommandContext(b.Context(), binary, "-test.run=^TestCost$", "-test.v", "-worker.cost="+of).CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	var c cost
	_, line, _ := strings.Cut(string(out), "cost: ")
	if _, err := fmt.Sscanf(line, "%g %d %g", &c.bytes, &c.start, &c.sys); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return c
}

// TestCost prints one round of BenchmarkTenants.
func TestCost(t *testing.T) {
	var c cost
	switch ids := manyIDs(costTenants); *costOf {
	case "group":
		c = costInGroup(t, ids)
	case "map":
		c = costInMap(t, ids)
	default:
		t.Skip("for BenchmarkTenants")
	}
	t.Logf("cost: %g %d %g", c.bytes, c.start, c.sys)
}

// TestATenantCostsLittle: 100,000 are to cost less than 1 GiB, whatever they are at.
func TestATenantCostsLittle(t *testing.T) {
	const most = (1 << 30) / 100_000
	ids := manyIDs(5000)
	if one := costInGroup(t, ids); one.bytes > most {
		t.Errorf("a tenant whose work runs costs %.0f bytes, the most is %d", one.bytes, most)
	}
	for _, state := range []worker.State{worker.Waiting, worker.Restarting, worker.Done, worker.GivenUp} {
		if one, goroutines := costOfState(t, ids, state); one.bytes > most/8 || goroutines > 20 {
			t.Errorf("a tenant that is %v costs %.0f bytes, the most is %d; there are %d goroutines more", state, one.bytes, most/8, goroutines)
		}
	}
}

// costInGroup is what they cost when each runs.
func costInGroup(tb testing.TB, ids []string) cost {
	tb.Helper()
	var running atomic.Int64
	all := make(chan struct{})
	before := memory()
	began := time.Now()
	_, end := runGroup(tb, ids, worker.Config{Work: func(ctx context.Context, _ string) error {
		if running.Add(1) == int64(len(ids)) {
			close(all)
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	<-all
	start := time.Since(began)
	c := cost{float64(memory()-before) / float64(len(ids)), start, taken()}
	end()
	return c
}

// costInMap is what they cost with a goroutine each and a map of their cancel functions, and nothing else.
func costInMap(tb testing.TB, ids []string) cost {
	tb.Helper()
	var running atomic.Int64
	all := make(chan struct{})
	before := memory()
	began := time.Now()
	ctx, end := context.WithCancel(tb.Context())
	var mu sync.Mutex
	var ended sync.WaitGroup
	cancels := map[string]context.CancelFunc{}
	for id := range changesOf(ctx, ids) {
		one, cancel := context.WithCancel(ctx)
		mu.Lock()
		cancels[id.TenantID] = cancel
		mu.Unlock()
		ended.Go(func() {
			if running.Add(1) == int64(len(ids)) {
				close(all)
			}
			<-one.Done()
		})
		if len(cancels) == len(ids) {
			break
		}
	}
	<-all
	start := time.Since(began)
	c := cost{float64(memory()-before) / float64(len(ids)), start, taken()}
	end()
	ended.Wait()
	runtime.KeepAlive(cancels)
	return c
}

// costOfState is what they cost in a state in which nothing runs, and how many goroutines there are for them.
func costOfState(t *testing.T, ids []string, state worker.State) (cost, int) {
	t.Helper()
	cfg := worker.Config{MinBackoff: time.Hour, MaxBackoff: time.Hour, Work: func(context.Context, string) error { return nil }}
	switch state { //nolint:exhaustive // those in which nothing runs
	case worker.Waiting:
		cfg.RampPerSecond = 1e-9
	case worker.Restarting:
		cfg.Work = func(context.Context, string) error { return errFails }
	case worker.GivenUp:
		cfg.Work = func(context.Context, string) error { return worker.ErrGiveUp }
	}
	before, goroutines := memory(), runtime.NumGoroutine()
	g, end := runGroup(t, ids, cfg)
	defer end()
	deadline := time.Now().Add(time.Minute)
	for ; inState(g, state) < len(ids)-1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d are %v", inState(g, state), len(ids), state)
		}
	}
	return cost{bytes: float64(memory()-before) / float64(len(ids))}, runtime.NumGoroutine() - goroutines
}

var errFails = errors.New("fails")

func inState(g *worker.Group, state worker.State) int {
	s := g.Status()
	return *count(&s, state)
}

// runGroup runs a Group that is told of the tenants, until end.
func runGroup(tb testing.TB, ids []string, cfg worker.Config) (group *worker.Group, end func()) {
	tb.Helper()
	cfg.MeterProvider = noop.NewMeterProvider()
	g, err := worker.NewGroup(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, changesOf(ctx, ids)) }()
	return g, func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	}
}

// changesOf adds the tenants and then goes on until ctx ends.
func changesOf(ctx context.Context, ids []string) iter.Seq[tenant.Change] {
	return func(yield func(tenant.Change) bool) {
		for _, id := range ids {
			if !yield(tenant.Change{Kind: tenant.Added, TenantID: id}) {
				return
			}
		}
		<-ctx.Done()
	}
}

func manyIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("0190d3f0-7a5c-7000-8000-%012x", i)
	}
	return ids
}

// memory is how much heap and stacks there are when what is garbage is gone.
func memory() int64 {
	runtime.GC()
	runtime.GC() // what a finalizer or a pool had kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) //nolint:gosec // less than all memory of the machine
}

// taken is how many MiB the process has taken from the system.
func taken() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / (1 << 20)
}

// middle is the median of each figure.
func middle(costs []cost) cost {
	at := func(less func(a, b cost) int) cost {
		slices.SortFunc(costs, less)
		return costs[len(costs)/2]
	}
	return cost{
		bytes: at(func(a, b cost) int { return int(a.bytes - b.bytes) }).bytes,
		start: at(func(a, b cost) int { return int(a.start - b.start) }).start,
		sys:   at(func(a, b cost) int { return int(a.sys - b.sys) }).sys,
	}
}
