package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// mostLatencies is how many of the newest latencies the percentiles are taken from.
const mostLatencies = 1 << 16

// history is what a manager keeps of its events.
type history interface {
	Version(ctx context.Context) (tenant.Version, error)
	EventsAfter(ctx context.Context, v tenant.Version, limit int) (events []store.Event, epoch string, err error)
}

// commits knows the last event of each tenant for which there was one since it was made.
type commits struct {
	history history
	read    tenant.Version // up to which events were looked at
	last    map[string]commit
}

// commit is the type of an event, and its timestamp: when the change had its turn and was about to be written. The commit,
// which waits for the disk, comes after, and so is part of the latency.
type commit struct {
	eventType tenant.EventType
	at        time.Time
}

func newCommits(ctx context.Context, h history) (*commits, error) {
	v, err := h.Version(ctx)
	return &commits{history: h, read: v, last: map[string]commit{}}, err
}

// of returns when the manager began to commit what change tells, by its own record of it. That is not known of an event that
// somebody else has published, nor of one after which there was another already.
func (c *commits) of(ctx context.Context, change tenant.Change, told time.Time) (time.Time, bool) {
	for c.readOn(ctx) {
	}
	last, known := c.last[change.TenantID]
	return last.at, known && (change.EventType == "" || change.EventType == last.eventType) && !last.at.After(told)
}

// readOn looks at the next events and reports whether there may be more. Where there is no reading them, latencies are
// not known.
func (c *commits) readOn(ctx context.Context) bool {
	const limit = 1_000
	events, _, err := c.history.EventsAfter(ctx, c.read, limit)
	if errors.Is(err, store.ErrGone) { // nobody has asked for longer than they are kept
		if v, err := c.history.Version(ctx); err == nil {
			c.read = v
		}
	}
	for _, evt := range events {
		c.last[evt.TenantID] = commit{evt.EventType, evt.Timestamp}
		c.read.Revision = evt.Revision
	}
	return len(events) == limit
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
	Kind      tenant.Kind      `json:"kind"`
	TenantID  string           `json:"tenant_id"`
	Cause     tenant.Cause     `json:"cause"`
	EventType tenant.EventType `json:"event_type,omitempty"`
	LatencyMS *float64         `json:"latency_ms,omitempty"` // absent when it is not known
}

func newChangeLine(c tenant.Change) changeLine {
	return changeLine{Kind: c.Kind, TenantID: c.TenantID, Cause: c.Cause, EventType: c.EventType}
}

// summaryLine is the end for programs.
type summaryLine struct {
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
func (r *devReport) follow(ctx context.Context, changes iter.Seq[tenant.Change]) error {
	for change := range changes {
		if change.Cause == tenant.CauseBootstrap {
			continue
		}
		if err := r.change(ctx, change, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (r *devReport) change(ctx context.Context, change tenant.Change, now time.Time) error {
	r.kinds[change.Kind]++
	line, latency := newChangeLine(change), ""
	if at, known := r.commits.of(ctx, change, now); known {
		took := now.Sub(at)
		r.keep(took)
		line.LatencyMS, latency = new(milliseconds(took)), duration(took)
	}
	if r.asJSON {
		return r.out.object("change", change.At, line)
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

// summary prints the closing line. unpublished is how many events did not get out.
func (r *devReport) summary(unpublished int) error {
	sum := summaryLine{
		Seconds: time.Since(r.began).Round(10 * time.Millisecond).Seconds(),
		Added:   r.kinds[tenant.Added], Removed: r.kinds[tenant.Removed], Reconfigured: r.kinds[tenant.Reconfigured],
		Latency: r.percentiles(), Unpublished: unpublished,
	}
	sum.Changes = sum.Added + sum.Removed + sum.Reconfigured
	if r.asJSON {
		return r.out.object("summary", time.Now(), sum)
	}
	text := fmt.Sprintf("\n%s in %.1f s (%d +, %d -, %d ~)", count(sum.Changes, "change"), sum.Seconds, sum.Added, sum.Removed, sum.Reconfigured)
	if r.told > 0 {
		text += fmt.Sprintf("; latency p50 %.2f, p99 %.2f, max %.2f ms", sum.Latency.P50, sum.Latency.P99, sum.Latency.Max)
	}
	if unpublished > 0 {
		text += fmt.Sprintf("\n%s not published; --verbose logs why", count(unpublished, "event"))
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
