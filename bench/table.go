package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// contender is one way to do the work of a row.
type contender struct {
	name    string // hand, ours, floor, control
	measure func() figures
}

// row is a kind of work.
type row struct {
	name    string
	prepare func() (contenders []contender, done func())
	goals   []goal
}

// goal is a ratio that is to be reached.
type goal struct {
	of   func(figures) float64
	what string // in one word
	ours string // whose figure
	than string // compared with whose
	most float64
	fast bool // at least so many times faster, instead of at most so many times as much
	flat bool // most is the figure itself, and not a ratio
}

func timeOf(f figures) float64   { return f.time }
func allocsOf(f figures) float64 { return f.allocs }
func peakOf(f figures) float64   { return f.peak }
func keptOf(f figures) float64   { return f.kept }

// faster is a goal: at least so many times as fast as by hand.
func faster(times float64) goal {
	return goal{of: timeOf, what: "time", ours: "ours", than: "hand", most: times, fast: true}
}

// within is a goal: at most so many times as much.
func within(what string, of func(figures) float64, than string, times float64) goal {
	return goal{of: of, what: what, ours: "ours", than: than, most: times}
}

// allocates is a goal: at most so many allocations.
func allocates(most float64) goal {
	return goal{of: allocsOf, what: "allocs", ours: "ours", most: most, flat: true}
}

// judge compares.
func (g goal) judge(by map[string]figures) (text string, met bool) {
	ours := g.of(by[g.ours])
	if g.flat {
		return fmt.Sprintf("%s %.1f (at most %g)", g.what, ours, g.most), ours <= g.most+0.05
	}
	than := g.of(by[g.than])
	if g.fast {
		ratio := than / ours
		return fmt.Sprintf("%.2f times as fast as %s (at least %g)", ratio, g.than, g.most), ratio >= g.most
	}
	ratio := ours / than
	return fmt.Sprintf("%s %.2f of %s (at most %g)", g.what, ratio, g.than, g.most), ratio <= g.most
}

// measured is a row with what came of it.
type measured struct {
	Row   string             `json:"row"`
	Times map[string]float64 `json:"nanoseconds"`
	Peaks map[string]float64 `json:"peak_bytes"`
	Kept  map[string]float64 `json:"kept_bytes"`
	Goals []string           `json:"goals"`
	Met   bool               `json:"met"`
}

// run measures the row, and prints it as one of a table.
func (r row) run(rounds int, out io.Writer) measured {
	contenders, done := r.prepare()
	all := make(map[string][]figures)
	for range rounds {
		for _, c := range contenders {
			all[c.name] = append(all[c.name], c.measure())
		}
	}
	done()
	m := measured{Row: r.name, Times: map[string]float64{}, Peaks: map[string]float64{}, Kept: map[string]float64{}, Met: true}
	by, texts := map[string]figures{}, []string{}
	for _, c := range contenders {
		f := median(all[c.name])
		by[c.name] = f
		m.Times[c.name], m.Peaks[c.name], m.Kept[c.name] = f.time, f.peak, f.kept
		texts = append(texts, c.name+" "+f.String())
	}
	for _, g := range r.goals {
		text, met := g.judge(by)
		if !met {
			text = "**not met**: " + text
		}
		m.Goals, m.Met = append(m.Goals, text), m.Met && met
	}
	_, _ = fmt.Fprintf(out, "| %s | %s | %s |\n", r.name, strings.Join(texts, "<br>"), strings.Join(m.Goals, "<br>")) // to stdout
	return m
}

// String is for people.
func (f figures) String() string {
	text := time.Duration(f.time).String()
	switch {
	case f.time < 10_000:
		text = fmt.Sprintf("%.1f ns", f.time)
	case f.time < 10_000_000:
		text = fmt.Sprintf("%.1f µs", f.time/1e3)
	case f.time >= 1e7:
		text = fmt.Sprintf("%.3f s", f.time/1e9)
	}
	text += fmt.Sprintf(", %.1f allocs", f.allocs)
	if f.peak > 0 {
		text += fmt.Sprintf(", peak %.1f MB, kept %.1f MB", f.peak/1e6, f.kept/1e6)
	}
	return text
}
