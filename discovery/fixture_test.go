package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

const service = "ledger"

// fixture is a manager whose events go to a feed, both in memory, and the configuration of a discovery of them.
type fixture struct {
	manager *tenanttest.Manager
	feed    *tenanttest.Feed
	cfg     discovery.Config
	log     *logBook
	d       *discovery.TenantDiscovery // the one that was made last
}

// newFixture makes one with the tenants there from the beginning.
func newFixture(t testing.TB, tenants ...string) *fixture {
	t.Helper()
	return newFixtureOf(t, nil, tenants...)
}

// newListFixture is newFixture with a manager that cannot list changes, for what is about lists, their ETags and 304.
func newListFixture(t testing.TB, tenants ...string) *fixture {
	t.Helper()
	return newFixtureOf(t, []tenanttest.Option{tenanttest.WithoutChanges()}, tenants...)
}

func newFixtureOf(t testing.TB, options []tenanttest.Option, tenants ...string) *fixture {
	t.Helper()
	f := &fixture{feed: tenanttest.NewFeed(), log: &logBook{}}
	options = append(options, tenanttest.WithPublisher(f.feed.Publish), tenanttest.WithEnvironment("test"))
	f.manager = tenanttest.NewManager(options...)
	f.add(t, tenants...)
	f.cfg = discovery.Config{
		ServiceName: service,
		TMClient:    f.manager.Fetcher(),
		Feed:        f.feed,
		Logger:      slog.New(f.log),
	}
	return f
}

func (f *fixture) add(t testing.TB, tenants ...string) {
	t.Helper()
	if err := f.manager.Add(t.Context(), service, tenants...); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) suspend(t testing.TB, tenantID string) {
	t.Helper()
	if err := f.manager.Suspend(t.Context(), tenantID); err != nil {
		t.Fatal(err)
	}
}

// new makes the discovery, which the test's end closes.
func (f *fixture) new(t testing.TB) *discovery.TenantDiscovery {
	t.Helper()
	d, err := discovery.NewTenantDiscovery(f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.d = d
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// start makes the discovery and starts it.
func (f *fixture) start(t testing.TB) *discovery.TenantDiscovery {
	t.Helper()
	d := f.new(t)
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// bubble runs the test in a bubble with a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// settle lets everything happen that happens without time passing.
func settle() { synctest.Wait() }

// pass lets time pass, and everything that happens meanwhile.
func pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

func wantSet(t testing.TB, d *discovery.TenantDiscovery, want ...string) {
	t.Helper()
	got := d.ActiveTenantIDs()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the set is %v, want %v", got, want)
	}
}

func wantState(t testing.TB, d *discovery.TenantDiscovery, want discovery.State) {
	t.Helper()
	if s := d.Status(); s.State != want {
		t.Errorf("the state is %v, want %v; feed error %v, snapshot error %v", s.State, want, s.FeedError, s.SnapshotError)
	}
}

// diary keeps what the callbacks were told.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) notef(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf(format, args...))
}

// read returns what was noted since the last read.
func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := strings.Join(d.entries, ", ")
	d.entries = nil
	return all
}

// keep registers callbacks that write into a new diary.
func keep(d *discovery.TenantDiscovery) *diary {
	var told diary
	d.OnTenantAdded(func(_ context.Context, id string) { told.notef("+%s", id) })
	d.OnTenantRemoved(func(_ context.Context, id string) { told.notef("-%s", id) })
	d.OnTenantReconfigured(func(_ context.Context, id string, reason tenant.EventType) { told.notef("~%s %s", id, reason) })
	return &told
}

func wantTold(t testing.TB, told *diary, want string) {
	t.Helper()
	if got := told.read(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// event makes one that concerns the service.
func event(eventType tenant.EventType, tenantID string) tenant.Event {
	return tenant.Event{EventType: eventType, TenantID: tenantID, Payload: []byte(`{"service_name":"` + service + `"}`)}
}

// logBook is a slog.Handler that keeps the lines.
type logBook struct {
	hook func(line string) // called with each line, if set

	mu    sync.Mutex
	lines []string
}

func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b *logBook) WithGroup(string) slog.Handler            { return b }

func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	if b.hook != nil {
		b.hook(line)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	return nil
}

// find returns the lines of the level, or above, that contain all of the words.
func (b *logBook) find(level slog.Level, words ...string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.lines {
		var of slog.Level
		name, _, _ := strings.Cut(line, " ")
		if of.UnmarshalText([]byte(name)) != nil || of < level {
			continue
		}
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found
}

func (b *logBook) want(t testing.TB, n int, level slog.Level, words ...string) {
	t.Helper()
	if found := b.find(level, words...); len(found) != n {
		t.Errorf("%d lines of %v with %q, want %d:\n%s", len(found), level, words, n, strings.Join(b.find(slog.LevelDebug), "\n"))
	}
}

// fetcher is a TMClient made of a function.
type fetcher func(ctx context.Context, service string) ([]*tenant.Summary, error)

func (f fetcher) GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error) {
	return f(ctx, service)
}
