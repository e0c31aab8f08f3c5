package worker

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestX26TheLargestDurations: no sum with them overflows, which would make them the shortest.
func TestX26TheLargestDurations(t *testing.T) {
	start := time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC) // the end of what nanoseconds count
	for _, interval := range []time.Duration{math.MaxInt64, math.MaxInt64/2 + 1, longestInterval} {
		table := newTimetable(interval, start)
		for i := range 1000 {
			phase := table.phase(fmt.Sprint(i))
			if phase < 0 || phase >= longestInterval {
				t.Fatalf("every %d: tenant %d has its first tick at %s", interval, i, phase)
			}
			if next := table.after(phase, phase); next <= phase {
				t.Fatalf("every %d: after %s comes %s", interval, phase, next)
			}
		}
	}
}
