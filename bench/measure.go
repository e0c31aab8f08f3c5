package main

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"
)

// figures are what was measured of one contender in one round.
type figures struct {
	time   float64 // nanoseconds of one operation
	allocs float64 // of one operation
	peak   float64 // bytes of live and dead objects at most, above what there was before
	kept   float64 // bytes that stay, above what there was before
}

// least is how long one round of a quick operation takes at least.
const least = 60 * time.Millisecond

// quick measures an operation that takes little: run does it n times.
func quick(run func(n int)) func() figures {
	n := 0
	return func() figures {
		if n == 0 {
			n = enough(run)
		}
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		run(n)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		return figures{time: float64(took) / float64(n), allocs: float64(after.Mallocs-before.Mallocs) / float64(n)}
	}
}

// enough is how many operations take the least time.
func enough(run func(n int)) int {
	for n := 1; ; n *= 2 {
		began := time.Now()
		if run(n); time.Since(began) >= least {
			return n
		}
	}
}

// once measures an operation that takes long and leaves something: it is kept until the memory was looked at.
func once(n int, run func() (kept any)) func() figures {
	return func() figures {
		settle()
		before := heap()
		var mallocs, mallocsAfter runtime.MemStats
		runtime.ReadMemStats(&mallocs)
		peak := watchPeak()
		began := time.Now()
		left := run()
		took := time.Since(began)
		most := peak()
		runtime.ReadMemStats(&mallocsAfter)
		settle()
		kept := heap()
		runtime.KeepAlive(left)
		return figures{
			time: float64(took) / float64(n), allocs: float64(mallocsAfter.Mallocs-mallocs.Mallocs) / float64(n),
			peak: max(0, most-before), kept: max(0, kept-before),
		}
	}
}

// settle lets all go that nobody needs.
func settle() {
	for range 2 {
		runtime.GC()
	}
}

// heap is how many bytes objects take that were not freed yet.
func heap() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// watchPeak looks at the heap every half millisecond until the function that it returns is called, which says what was the most.
func watchPeak() func() float64 {
	var watcher sync.WaitGroup
	end, most := make(chan struct{}), heap()
	watcher.Go(func() {
		look := time.NewTicker(time.Millisecond / 2)
		defer look.Stop()
		for {
			select {
			case <-end:
				return
			case <-look.C:
				most = max(most, heap())
			}
		}
	})
	return func() float64 {
		close(end)
		watcher.Wait()
		return max(most, heap())
	}
}

// median of the rounds, each figure for itself.
func median(rounds []figures) figures {
	of := func(pick func(figures) float64) float64 {
		values := make([]float64, len(rounds))
		for i, f := range rounds {
			values[i] = pick(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return figures{
		time:   of(func(f figures) float64 { return f.time }),
		allocs: of(func(f figures) float64 { return f.allocs }),
		peak:   of(func(f figures) float64 { return f.peak }),
		kept:   of(func(f figures) float64 { return f.kept }),
	}
}
