package tenantwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// What docs/migrating.md shows in place of migrating_before_test.go.

type outboxAfter struct {
	tenants *discovery.TenantDiscovery
	publish func(ctx context.Context, tenantID string) error
}

func (o *outboxAfter) dispatch(ctx context.Context) error {
	return worker.ForEach(ctx, o.tenants.All(), o.publish, worker.ForEachConfig{
		Limit:   8,
		Timeout: time.Minute,
		Active:  o.tenants.IsActive,
	})
}

func newConsumersAfter(consume func(ctx context.Context, tenantID string) error) (*worker.Group, error) {
	return worker.NewGroup(worker.Config{
		Work:   consume,
		Logger: slog.Default(),
	})
}

func runConsumersAfter(ctx context.Context, d *discovery.TenantDiscovery, g *worker.Group) error {
	return g.Run(ctx, d.Changes(ctx))
}

type loopAfter struct {
	interval time.Duration
	tenants  *discovery.TenantDiscovery
	work     func(ctx context.Context, tenantID string) error
}

func (l *loopAfter) run(ctx context.Context) error {
	return worker.Every(ctx, l.interval, l.tenants.Changes(ctx), l.work, worker.EveryConfig{
		Limit:   1, // if the work has to be serial; else leave it out
		Timeout: time.Minute,
		Logger:  slog.Default(),
	})
}

// differences returns the tenants that only the old way knows, and those that only the new one does.
func differences(d *discovery.TenantDiscovery, old []string) (onlyOld, onlyNew []string) {
	known := map[string]bool{}
	for _, id := range old {
		known[tenant.CanonicalID(id)] = true // dashed or not, it is the same tenant
		if !d.IsActive(id) {
			onlyOld = append(onlyOld, id)
		}
	}
	for id := range d.All() {
		if !known[tenant.CanonicalID(id)] {
			onlyNew = append(onlyNew, id)
		}
	}
	return onlyOld, onlyNew
}

// compare logs the differences, and why tenantwatch thinks so.
func compare(ctx context.Context, logger *slog.Logger, d *discovery.TenantDiscovery, old []string) {
	onlyOld, onlyNew := differences(d, old)
	for _, id := range slices.Concat(onlyOld, onlyNew) {
		logger.WarnContext(ctx, "the two ways differ", slog.String("tenant_id", id),
			slog.Bool("tenantwatch_has_it", d.IsActive(id)), slog.Any("why", d.Explain(id)), slog.Any("state", d.Status().State))
	}
}

// served counts for whom a work was called.
type served struct {
	mu    sync.Mutex
	times map[string]int
	news  chan struct{}
}

func newServed() *served { return &served{times: map[string]int{}, news: make(chan struct{}, 1)} }

func (s *served) note(id string) {
	s.mu.Lock()
	s.times[id]++
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// wait returns once each of the tenants was served.
func (s *served) wait(t *testing.T, ids ...string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		missing := slices.ContainsFunc(ids, func(id string) bool { return s.times[id] == 0 })
		got := fmt.Sprint(s.times)
		s.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("served %s, want %q", got, ids)
		}
	}
}

// once notes the tenant and returns.
func (s *served) once(_ context.Context, id string) error {
	s.note(id)
	return nil
}

// until notes the tenant and goes on until ctx ends.
func (s *served) until(ctx context.Context, id string) error {
	s.note(id)
	<-ctx.Done()
	return ctx.Err()
}

func discoveryOf(t *testing.T, ids ...string) (*discovery.TenantDiscovery, *tenanttest.Manager) {
	t.Helper()
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	if err := manager.Add(t.Context(), "ledger", ids...); err != nil {
		t.Fatal(err)
	}
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, manager
}

func TestMigratedOutboxServesTheSameTenants(t *testing.T) {
	d, manager := discoveryOf(t, "acme", "globex")
	before, after := newServed(), newServed()
	if err := (&outboxBefore{manager.Fetcher(), before.once}).dispatch(t.Context()); err != nil {
		t.Error(err)
	}
	if err := (&outboxAfter{d, after.once}).dispatch(t.Context()); err != nil {
		t.Error(err)
	}
	if fmt.Sprint(before.times) != "map[acme:1 globex:1]" || fmt.Sprint(after.times) != "map[acme:1 globex:1]" {
		t.Errorf("before %v, after %v", before.times, after.times)
	}
}

func TestMigratedConsumersServeTheSameTenants(t *testing.T) {
	d, _ := discoveryOf(t, "acme", "globex")
	before, after := newServed(), newServed()
	old := &consumersBefore{consume: before.until, known: map[string]context.CancelFunc{}}
	for id := range d.All() {
		old.Ensure(id)
	}
	before.wait(t, "acme", "globex")

	g, err := newConsumersAfter(after.until)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- runConsumersAfter(ctx, d, g) }()
	after.wait(t, "acme", "globex")
	if known := old.Known(); len(known) != 2 || g.Status().Running != 2 {
		t.Errorf("%d known, %d running", len(known), g.Status().Running)
	}
	for id := range d.All() {
		old.Stop(id)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMigratedLoopServesTheSameTenants(t *testing.T) {
	d, _ := discoveryOf(t, "acme", "globex")
	before, after := newServed(), newServed()
	ctx, stop := context.WithCancel(t.Context())
	old := &loopBefore{interval: 20 * time.Millisecond, tenants: func(context.Context) []string { return d.ActiveTenantIDs() }, work: before.once, failed: func(id string, err error) { t.Error(id, err) }}
	var loops sync.WaitGroup
	loops.Go(func() { old.run(ctx) })
	loops.Go(func() {
		if err := (&loopAfter{20 * time.Millisecond, d, after.once}).run(ctx); err != nil {
			t.Error(err)
		}
	})
	before.wait(t, "acme", "globex")
	after.wait(t, "acme", "globex")
	stop()
	loops.Wait()
}

func TestDifferences(t *testing.T) {
	const dashed, plain = "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012", "6F1C2A9E4B7D4E0F8A3B5C6D7E8F9012"
	d, _ := discoveryOf(t, dashed, "globex")
	onlyOld, onlyNew := differences(d, []string{plain, "initech"})
	if !slices.Equal(onlyOld, []string{"initech"}) || !slices.Equal(onlyNew, []string{"globex"}) {
		t.Errorf("only old %q, only new %q", onlyOld, onlyNew)
	}
	var log strings.Builder
	compare(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), d, []string{plain, "initech"})
	for _, want := range []string{"tenant_id=initech tenantwatch_has_it=false", "tenant_id=globex tenantwatch_has_it=true", "bootstrap", "state=live"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q: %s", want, &log)
		}
	}
}

// TestMigratingShowsCodeThatCompiles: what docs/migrating.md shows as Go is in the files beside this one, line by line.
func TestMigratingShowsCodeThatCompiles(t *testing.T) {
	const file = "docs/migrating.md"
	var source strings.Builder
	for _, name := range []string{"migrating_before_test.go", "migrating_test.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	if len(blocks) < 6 {
		t.Errorf("%s has %d blocks of Go", file, len(blocks))
	}
	for _, block := range blocks {
		for part := range strings.SplitSeq(block[1], "\n\n") {
			if part = strings.Trim(part, "\n"); !strings.Contains(source.String(), part+"\n") {
				t.Errorf("%s shows what is in no test:\n%s", file, part)
			}
		}
	}
}
