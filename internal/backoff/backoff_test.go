package backoff

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestTheBoundDoubles(t *testing.T) {
	tests := []struct {
		name        string
		first, most time.Duration
		want        []time.Duration
	}{
		{"to the most", 50, 800, []time.Duration{50, 100, 200, 400, 800, 800}},
		{"not further than the most", 50, 130, []time.Duration{50, 100, 130, 130}},
		{"one and the same", 7, 7, []time.Duration{7, 7}},
		{"the first is above the most", 9, 7, []time.Duration{7, 7}},
		{"nothing", 0, 7, []time.Duration{0, 0}},
		{"the largest", math.MaxInt64/2 + 1, math.MaxInt64, []time.Duration{math.MaxInt64/2 + 1, math.MaxInt64, math.MaxInt64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Range{tt.first, tt.most}
			var next, after []time.Duration
			for i := range tt.want {
				last := time.Duration(0)
				if i > 0 {
					last = next[i-1]
				}
				next, after = append(next, r.Next(last)), append(after, r.After(i+1))
			}
			if !slices.Equal(next, tt.want) || !slices.Equal(after, tt.want) {
				t.Errorf("one after the other %d, by their number %d, want %d", next, after, tt.want)
			}
		})
	}
}

// TestX26TheBoundNeverOverflows: however many failures there are.
func TestX26TheBoundNeverOverflows(t *testing.T) {
	r := Range{time.Second, math.MaxInt64}
	for failures := range 100 {
		if bound := r.After(failures); bound < time.Second {
			t.Errorf("after %d failures the bound is %s", failures, bound)
		}
	}
	if bound := r.After(math.MaxInt); bound != math.MaxInt64 {
		t.Errorf("in the end it is %s", bound)
	}
}

// TestARangeMayGrowInARow: the bound goes on from where it is.
func TestARangeMayGrowInARow(t *testing.T) {
	if bound := (Range{50, 5000}).Next(800); bound != 1600 {
		t.Errorf("after 800 comes %d", bound)
	}
}
