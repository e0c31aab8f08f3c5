package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestTheNumberOfTenantsHoversAroundTheTarget(t *testing.T) {
	for _, target := range []int{0, 1, 3, 20, 200} {
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers every time
		active, suspended, gone, sum := 0, 0, 0, 0
		const settle, steps = 2_000, 20_000
		seen := map[move]bool{}
		for i := range settle + steps {
			m := choose(active, target, suspended, gone, random.IntN)
			seen[m] = true
			switch m {
			case moveCreate:
				active++
			case moveReactivate:
				active, suspended = active+1, suspended-1
			case moveAssociate:
				active, gone = active+1, gone-1
			case moveSuspend:
				active, suspended = active-1, suspended+1
			case moveDisassociate:
				active, gone = active-1, gone+1
			case moveRotate:
			}
			if active < 0 || suspended < 0 || gone < 0 || active > 2*target+1 || active+suspended+gone > 2*target+10 {
				t.Fatalf("target %d: %d active, %d suspended, %d gone after %d moves", target, active, suspended, gone, i)
			}
			if i >= settle {
				sum += active
			}
		}
		if mean := float64(sum) / steps; mean < 0.7*float64(target) || mean > 1.3*float64(target)+1 {
			t.Errorf("target %d: %.1f active on average", target, mean)
		}
		if len(seen) != 6 {
			t.Errorf("target %d: only the moves %v", target, seen)
		}
	}
}

func TestReport(t *testing.T) {
	seen := commits{history: &fakeHistory{}, last: map[string]commit{}}
	now := time.Now()
	for i, id := range []string{"a", "b", "c"} {
		seen.last[id] = commit{at: now.Add(-time.Duration(i+1) * time.Millisecond)}
	}
	var out bytes.Buffer
	r := newReport(&printer{w: &out}, true, &seen)
	for i, kind := range []tenant.Kind{tenant.Added, tenant.Removed, tenant.Reconfigured} {
		id := string(rune('a' + i))
		if err := r.change(t.Context(), tenant.Change{Kind: kind, TenantID: id, Cause: tenant.CauseEvent, At: now}, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.summary(4); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if !strings.Contains(lines[1], `"latency_ms":2}`) {
		t.Errorf("the change is %s", lines[1])
	}
	var sum summaryLine
	if err := json.Unmarshal([]byte(lines[3]), &sum); err != nil {
		t.Fatal(err)
	}
	sum.Seconds = 0
	want := summaryLine{Changes: 3, Added: 1, Removed: 1, Reconfigured: 1, Latency: percentiles{2, 2, 3}, Unpublished: 4}
	if sum != want {
		t.Errorf("got %+v, want %+v", sum, want)
	}
}

func TestReportKnowsNoLatencyOfWhatTheManagerDidNotDo(t *testing.T) {
	now := time.Now()
	past, future := now.Add(-time.Hour), now.Add(time.Millisecond)
	seen := commits{history: &fakeHistory{}, last: map[string]commit{
		"acme": {tenant.EventServiceAssociated, past}, "again": {tenant.EventCredentialsRotated, future},
	}}
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		r := newReport(&printer{w: &out}, asJSON, &seen)
		for _, change := range []tenant.Change{
			{Kind: tenant.Reconfigured, TenantID: "acme", EventType: tenant.EventCacheInvalidate, At: now}, // by redis-cli
			{Kind: tenant.Removed, TenantID: "forged", Cause: tenant.CauseReconcile, At: now},
			{Kind: tenant.Reconfigured, TenantID: "again", EventType: tenant.EventCredentialsRotated, At: now}, // once more since
		} {
			if err := r.change(t.Context(), change, now); err != nil {
				t.Fatal(err)
			}
		}
		if text := out.String(); r.told != 0 || strings.Contains(text, "latency") || strings.Contains(text, " ms") || strings.Contains(text, " s\n") {
			t.Errorf("%d latencies, and it says\n%s", r.told, text)
		}
	}
}

// fakeHistory has events, and is asked for those after a revision.
type fakeHistory struct {
	events []store.Event
	pruned uint64
}

func (h *fakeHistory) Version(context.Context) (tenant.Version, error) {
	return tenant.Version{Epoch: "e", Revision: uint64(len(h.events))}, nil
}

func (h *fakeHistory) EventsAfter(_ context.Context, v tenant.Version, limit int) (events []store.Event, epoch string, err error) {
	if v.Revision < h.pruned {
		return nil, "e", store.ErrGone
	}
	rest := h.events[v.Revision:]
	return rest[:min(len(rest), limit)], "e", nil
}

func (h *fakeHistory) add(id string, at time.Time) {
	evt := store.Event{Event: tenant.Event{TenantID: id, EventType: tenant.EventServiceAssociated, Timestamp: at}}
	evt.Revision = uint64(len(h.events)) + 1
	h.events = append(h.events, evt)
}

func TestCommitsAreThoseOfTheManager(t *testing.T) {
	var h fakeHistory
	at := time.Now().Truncate(time.Second)
	h.add("before", at)
	seen, err := newCommits(t.Context(), &h)
	if err != nil {
		t.Fatal(err)
	}
	want := func(id string, known bool) {
		t.Helper()
		got, ok := seen.of(t.Context(), tenant.Change{TenantID: id, EventType: tenant.EventServiceAssociated}, at)
		if ok != known || ok && !got.Equal(at) {
			t.Errorf("%s: got %v, %t, want it to be known: %t", id, got, ok, known)
		}
	}
	want("before", false)
	for n := range 2_500 {
		h.add(tenantID(int64(n)), at)
	}
	want(tenantID(2_499), true)
	want(tenantID(0), true)
	h.add("pruned", at)
	h.pruned = uint64(len(h.events))
	want("pruned", false)
	h.add("after", at)
	want("after", true)
}

func TestReportKeepsTheNewestLatencies(t *testing.T) {
	r := newReport(&printer{}, false, nil)
	for range 3 {
		r.keep(time.Hour)
	}
	for range mostLatencies {
		r.keep(time.Millisecond)
	}
	if got := r.percentiles(); len(r.recent) != mostLatencies || got.P99 != 1 || got.Max != milliseconds(time.Hour) {
		t.Errorf("%d kept, %+v", len(r.recent), got)
	}
	if slices.Contains(r.recent, time.Hour) {
		t.Error("the oldest is still there")
	}
}

func TestReportLeavesTheFirstSetOut(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&printer{w: &out}, false, &commits{history: &fakeHistory{}})
	err := r.follow(t.Context(), slices.Values([]tenant.Change{
		{Kind: tenant.Added, TenantID: "a", Cause: tenant.CauseBootstrap},
		{Kind: tenant.Added, TenantID: "b", Cause: tenant.CauseReconcile},
	}))
	if got := out.String(); err != nil || strings.Contains(got, "  a  ") || !strings.Contains(got, "+  b  reconcile") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRowsLineUp(t *testing.T) {
	var rows table
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.Local) //nolint:gosmopolitan // it is shown as local time
	long := rows.row(tenant.Change{Kind: tenant.Removed, TenantID: "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012", Cause: tenant.CauseReconcile, At: at}, "")
	short := rows.row(tenant.Change{Kind: tenant.Added, TenantID: "acme", Cause: tenant.CauseEvent, EventType: tenant.EventServiceAssociated, At: at}, "1.00 ms")
	if want := at.Format("15:04:05.000Z07:00") + "  -  6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012  reconcile"; long != want {
		t.Errorf("got  %q\nwant %q", long, want)
	}
	if want := at.Format("15:04:05.000Z07:00") + "  +  acme                                  tenant.service.associated      1.00 ms"; short != want {
		t.Errorf("got  %q\nwant %q", short, want)
	}
}

func TestReasons(t *testing.T) {
	feed, snapshot := errors.New("no link"), errors.New("no answer")
	tests := []struct {
		name   string
		status discovery.Status
		want   string
	}{
		{"live", discovery.Status{State: discovery.Live, Tenants: 1}, "subscribed and reconciled"},
		{"live and nobody there", discovery.Status{State: discovery.Live}, "how the service is spelled"},
		{"syncing", discovery.Status{State: discovery.Syncing}, "on its way"},
		{"syncing, for a reason", discovery.Status{State: discovery.Syncing, Reason: "a revision is missing"}, "a revision is missing"},
		{"syncing after a failure", discovery.Status{State: discovery.Syncing, SnapshotError: snapshot}, "no answer"},
		{"polling", discovery.Status{State: discovery.Polling, FeedError: feed}, "no link"},
		{"polling, never confirmed", discovery.Status{State: discovery.Polling}, "not confirmed yet"},
		{"stale, with events", discovery.Status{State: discovery.Stale, FeedConnected: true, SnapshotError: snapshot}, "no list: no answer"},
		{"stale, without", discovery.Status{State: discovery.Stale, FeedError: feed, SnapshotError: snapshot}, "no answer; no events from Redis: no link"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := reasonOf(tt.status); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "c0ffee"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	info.Main.Version = "v1.2.3"
	if got := newBuild(info, true).String(); !strings.HasPrefix(got, "tenantwatch v1.2.3 commit c0ffee (modified) go1.") {
		t.Errorf("got %q", got)
	}
	if got := newBuild(nil, false).String(); !strings.HasPrefix(got, "tenantwatch unknown go1.") {
		t.Errorf("got %q", got)
	}
}

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"": "''", "plain-1.2_/:@": "plain-1.2_/:@", "two words": "'two words'", "it's": `'it'\''s'`, "a$b": "'a$b'", "x?y=1": "'x?y=1'",
	} {
		if got := quote(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}
