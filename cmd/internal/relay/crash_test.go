package relay

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var crashKills = flag.Int("crash.kills", 5, "TestM02KilledAtRandom: how often the writer is killed, on each database")

const (
	crashWriters = 4
	// A kill comes that long after the writers have begun, at most, or after the process has.
	killWithin      = 500 * time.Millisecond
	killWithinStart = time.Second
)

// TestM02KilledAtRandom runs a process that makes changes and relays, and kills it again and again. Afterwards every change
// that it acknowledged has to be there, none may be there half, each with its events and no event without its change, and
// every event has to have been published.
func TestM02KilledAtRandom(t *testing.T) {
	onEach(t, func(t *testing.T, dsn string) {
		began := time.Now()
		server := testserver.StartRedis(t)
		heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
		h := history{}
		for life := range *crashKills {
			h.note(t, oneLife(t, job{DSN: dsn, Host: server.Host(), Port: server.Port(), Writers: crashWriters, Life: life}))
		}
		s, _ := useStore(t, dsn)
		waiting := status(t, s).Pending
		_, stop := relay(t, s, addressOf(server), Config{})
		waitUntilSent(t, s)
		stop()
		events := allEvents(t, s)
		// Whoever hears this has heard all that was published before it.
		server.Do(t.Context(), "PUBLISH", redisevents.EnvironmentChannelName(environment), endMark)
		eventually(t, "the end", func() bool { said := heard.heard(); return len(said) > 0 && said[len(said)-1] == endMark })
		said := heard.heard()

		made := checkChanges(t, s, h, events)
		twice := checkPublished(t, events, said[:len(said)-1])
		if t.Failed() {
			return
		}
		t.Logf("%d kills in %s: %d changes acknowledged, none lost; %d more were under way, of which %d were made and %d were not, "+
			"none half; %d events, revisions dense; all published, %d of them more than once, all in order for each tenant; %d were left for the last relay",
			*crashKills, time.Since(began).Round(time.Second), h.acknowledged, len(h.open), made, len(h.open)-made, len(events), twice, waiting)
	})
}

const endMark = "the end"

// oneLife starts a child, kills it, and returns what it had said. One life in eight may end before it has begun.
func oneLife(t *testing.T, j job) []string {
	t.Helper()
	c := startChild(t, j)
	within := killWithinStart
	if rand.IntN(8) > 0 { //nolint:gosec // a game
		within = killWithin
		eventually(t, "the writers", func() bool { return c.said(`"ack"`) > 0 || c.said("failed") > 0 })
	}
	<-time.After(rand.N(within)) //nolint:gosec // a game
	c.kill()
	if c.said("failed") > 0 {
		t.Fatalf("the child could not begin: %s", strings.Join(c.lines, "\n"))
	}
	return c.lines
}

// history is what the writers of all lives have said.
type history struct {
	acknowledged int
	ops          map[string][]op // by slug; all but the last are acknowledged
	open         map[string]bool // slugs whose last op is not
}

func (h *history) note(t *testing.T, lines []string) {
	t.Helper()
	if h.ops == nil {
		h.ops, h.open = map[string][]op{}, map[string]bool{}
	}
	for _, line := range lines {
		var w word
		if !strings.HasPrefix(line, "{") {
			continue // a log line
		}
		if err := json.Unmarshal([]byte(line), &w); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch w.Word {
		case "try":
			h.ops[w.Op.Slug] = append(h.ops[w.Op.Slug], w.Op)
			h.open[w.Op.Slug] = true
		case "ack":
			h.acknowledged++
			delete(h.open, w.Op.Slug)
		default:
			t.Errorf("a change failed: %s", line)
		}
	}
}

// checkChanges compares what was said with the events and the tenants that there are, and returns how many of the changes
// that were under way have been made.
func checkChanges(t *testing.T, s *store.Store, h history, events []store.Event) (made int) {
	t.Helper()
	bySlug := map[string][]string{}
	for i, event := range events {
		if event.Revision != uint64(i+1) {
			t.Fatalf("event %d has revision %d", i+1, event.Revision)
		}
		service := ""
		if strings.HasPrefix(string(event.EventType), "tenant.service.") || len(event.Payload) > 0 {
			service, _ = event.ServiceName()
		}
		bySlug[event.TenantSlug] = append(bySlug[event.TenantSlug], string(event.EventType)+" "+service)
	}
	version, err := s.Version(t.Context())
	if must(t, err); version.Revision != uint64(len(events)) {
		t.Errorf("the newest revision is %d, and there are %d events", version.Revision, len(events))
	}
	tenants := allTenants(t, s)
	for slug, ops := range h.ops {
		want, last := replay(ops, bySlug[slug], h.open[slug])
		if last {
			made++
		}
		if want.err != "" {
			t.Errorf("%s: %s", slug, want.err)
		}
		want.shadow.compare(t, s, slug, tenants[slug])
		delete(bySlug, slug)
		delete(tenants, slug)
	}
	if len(bySlug) > 0 || len(tenants) > 0 {
		t.Errorf("of nobody: events of %d tenants, %d tenants", len(bySlug), len(tenants))
	}
	return made
}

// replayed is what a tenant has to be.
type replayed struct {
	shadow *shadow
	err    string
}

// replay makes the changes of a tenant again, and takes for each the events that it has to have announced. The last one
// need not have been made, if it was not acknowledged: made says whether it was.
func replay(ops []op, events []string, open bool) (r replayed, made bool) {
	r.shadow = &shadow{}
	for i, o := range ops {
		if open && i == len(ops)-1 {
			if len(events) == 0 {
				return r, false
			}
			made = true
		}
		want := r.shadow.apply(o)
		got := slices.Clone(events[:min(len(events), len(want))])
		slices.Sort(got[min(1, len(got)):]) // the order within one change is the store's
		slices.Sort(want[1:])
		if !slices.Equal(got, want) {
			r.err = fmt.Sprintf("change %d of %d, %v (not acknowledged: %v): events %q, want %q", i+1, len(ops), o, made, got, want)
			return r, made
		}
		events = events[len(want):]
	}
	if len(events) > 0 {
		r.err = fmt.Sprintf("events without a change: %q", events)
	}
	return r, made
}

// compare looks whether the tenant in the store is as it has to be.
func (s *shadow) compare(t *testing.T, in *store.Store, slug string, got store.Tenant) {
	t.Helper()
	if s.status == "" || s.status == "deleted" {
		if got.ID != "" {
			t.Errorf("%s is there, and was deleted or never made", slug)
		}
		return
	}
	number := ""
	if s.number > 0 {
		number = fmt.Sprint(s.number)
	}
	if got.Status != s.status || got.Metadata["number"] != number {
		t.Errorf("%s is %s and has number %q, want %s and %q", slug, got.Status, got.Metadata["number"], s.status, number)
		return
	}
	associations, err := in.Associations(t.Context(), got.ID)
	must(t, err)
	var have, want []string
	for _, a := range associations {
		have = append(have, fmt.Sprint(a.Service, a.Status, a.Rotations, settingOf(t, in, got, a)))
	}
	for _, a := range s.associations {
		number := a.number
		if a.status != "active" || s.status != "active" {
			number = 0 // is not shown
		}
		want = append(want, fmt.Sprint(a.service, a.status, a.rotations, number))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("%s has %q, want %q", slug, have, want)
	}
}

// settingOf is zero for what is not active.
func settingOf(t *testing.T, s *store.Store, of store.Tenant, a store.Association) int {
	t.Helper()
	_, full, err := s.Connections(t.Context(), of.ID, a.Service)
	if _, inactive := errors.AsType[*store.Inactive](err); inactive {
		return 0
	}
	must(t, err)
	if limit := full.Connections.Limits("").MaxOpenConns; limit != nil {
		return *limit
	}
	return 0
}

func allTenants(t *testing.T, s *store.Store) map[string]store.Tenant {
	t.Helper()
	all := map[string]store.Tenant{}
	for filter := (store.TenantFilter{Limit: 1000}); ; {
		page, err := s.Tenants(t.Context(), filter)
		must(t, err)
		for _, one := range page.Tenants {
			all[one.Slug] = one
		}
		if filter.After = page.Next; page.Next == "" {
			return all
		}
	}
}

// checkPublished looks whether every event was heard, with its bytes and in the order of its tenant, and nothing else,
// and returns how many were heard more than once.
func checkPublished(t *testing.T, events []store.Event, said []string) (twice int) {
	t.Helper()
	times := map[string]int{}
	var sent []tenant.Event
	for _, data := range said {
		if times[data]++; times[data] == 2 {
			twice++
		}
		event, err := tenant.ParseEvent([]byte(data))
		must(t, err)
		sent = append(sent, event)
	}
	inOrder(t, sent)
	for _, event := range events {
		if times[string(event.Data)] == 0 {
			t.Errorf("event %d was not published, or not with its bytes", event.Revision)
		}
		delete(times, string(event.Data))
	}
	for data := range times {
		t.Errorf("published, and not in the store: %s", data)
	}
	return twice
}
