package main

import (
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// mostLatencies is how many of the newest latencies the percentiles are taken from.
const mostLatencies = 1 << 16

// commits remembers the last event of each tenant, for every tenant that the manager ever had.
type commits struct {
	mu   sync.Mutex // guards last
	last map[string]commit
}

// commit is the type of an event, and when the manager committed its change.
type commit struct {
	eventType tenant.EventType
	at        time.Time
}

func (c *commits) note(evt tenant.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[string]commit{}
	}
	c.last[evt.TenantID] = commit{evt.EventType, evt.Timestamp}
}

// of returns when the manager committed what change tells. That is not known of an event that somebody else has published,
// nor of one after which there was another already.
func (c *commits) of(change tenant.Change) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.last[change.TenantID]
	return last.at, known && (change.EventType == "" || change.EventType == last.eventType)
}

// devReport prints changes with their latency, and sums up.
type devReport struct {
	out     *printer
	asJSON  bool
	commits *commits
	rows    table
	began   time.Time
	kinds   map[tenant.Kind]int
	recent  []time.Duration // a ring, once it is full
	told    int             // that had a latency
	most    time.Duration
}

// changeLine is a change for programs.
type changeLine struct {
	tenant.Change

	Type      string   `json:"type"`
	LatencyMS *float64 `json:"latency_ms,omitempty"` // absent when it is not known
}

// summaryLine is the end for programs.
type summaryLine struct {
	Type         string      `json:"type"`
	Seconds      float64     `json:"seconds"`
	Changes      int         `json:"changes"`
	Added        int         `json:"added"`
	Removed      int         `json:"removed"`
	Reconfigured int         `json:"reconfigured"`
	Latency      percentiles `json:"latency_ms"`
	Unpublished  int         `json:"unpublished"`
}

// percentiles are in milliseconds.
type percentiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func newReport(out *printer, asJSON bool, seen *commits) *devReport {
	return &devReport{out: out, asJSON: asJSON, commits: seen, began: time.Now(), kinds: map[tenant.Kind]int{}}
}

// follow prints every change but the set that there was at the start.
func (r *devReport) follow(changes iter.Seq[tenant.Change]) error {
	for change := range changes {
		if change.Cause == tenant.CauseBootstrap {
			continue
		}
		if err := r.change(change, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (r *devReport) change(change tenant.Change, now time.Time) error {
	r.kinds[change.Kind]++
	line, latency := changeLine{Type: "change", Change: change}, ""
	if at, known := r.commits.of(change); known {
		took := now.Sub(at)
		r.keep(took)
		line.LatencyMS, latency = new(milliseconds(took)), duration(took)
	}
	if r.asJSON {
		return r.out.object(line)
	}
	return r.out.line("%s", r.rows.row(change, latency))
}

func (r *devReport) keep(latency time.Duration) {
	r.most = max(r.most, latency)
	if len(r.recent) < mostLatencies {
		r.recent = append(r.recent, latency)
	} else {
		r.recent[r.told%mostLatencies] = latency
	}
	r.told++
}

// summary prints the closing line. unpublished is how many events did not get out, and lastErr why the last did not.
func (r *devReport) summary(unpublished int, lastErr error) error {
	sum := summaryLine{
		Type: "summary", Seconds: time.Since(r.began).Round(10 * time.Millisecond).Seconds(),
		Added: r.kinds[tenant.Added], Removed: r.kinds[tenant.Removed], Reconfigured: r.kinds[tenant.Reconfigured],
		Latency: r.percentiles(), Unpublished: unpublished,
	}
	sum.Changes = sum.Added + sum.Removed + sum.Reconfigured
	if r.asJSON {
		return r.out.object(sum)
	}
	text := fmt.Sprintf("\n%s in %.1f s (%d +, %d -, %d ~)", count(sum.Changes, "change"), sum.Seconds, sum.Added, sum.Removed, sum.Reconfigured)
	if r.told > 0 {
		text += fmt.Sprintf("; latency p50 %.2f, p99 %.2f, max %.2f ms", sum.Latency.P50, sum.Latency.P99, sum.Latency.Max)
	}
	if unpublished > 0 {
		text += fmt.Sprintf("\n%s not published, the last because: %v", count(unpublished, "event"), lastErr)
	}
	return r.out.line("%s", text)
}

func (r *devReport) percentiles() percentiles {
	if len(r.recent) == 0 {
		return percentiles{}
	}
	sorted := slices.Sorted(slices.Values(r.recent))
	rank := func(percent int) float64 { return milliseconds(sorted[(len(sorted)-1)*percent/100]) }
	return percentiles{P50: rank(50), P99: rank(99), Max: milliseconds(r.most)}
}
