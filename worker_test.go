package tenantwatch_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// pools is a worker of yours that keeps something for each tenant.
type pools struct {
	mu   sync.Mutex
	open map[string]bool
}

func (p *pools) set(id string, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[id] = true
	} else {
		delete(p.open, id)
	}
}

func (p *pools) ActiveTenantIDs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := make([]string, 0, len(p.open))
	for id := range p.open {
		ids = append(ids, id)
	}
	return ids
}

// TestAWorkerOfYours is how a worker is tested: whatever gets lost on the way, it ends with the right tenants.
func TestAWorkerOfYours(t *testing.T) {
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	if err := manager.Add(t.Context(), "ledger", "acme", "globex"); err != nil {
		t.Fatal(err)
	}
	d, err := discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed, NotifyInitial: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	worker := &pools{open: map[string]bool{}}
	d.OnTenantAdded(func(_ context.Context, id string) { worker.set(id, true) })
	d.OnTenantRemoved(func(_ context.Context, id string) { worker.set(id, false) })
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	tenanttest.Converges(t, worker, manager, "ledger", 5*time.Second)

	feed.Drop(1) // what tells of this suspension gets lost
	if err := manager.Suspend(t.Context(), "globex"); err != nil {
		t.Fatal(err)
	}
	if err := manager.Add(t.Context(), "ledger", "initech"); err != nil { // whose event shows that one is missing
		t.Fatal(err)
	}
	tenanttest.Converges(t, worker, manager, "ledger", 5*time.Second)
}
