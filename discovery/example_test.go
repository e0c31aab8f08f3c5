package discovery_test

import (
	"context"
	"fmt"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// exampleOf starts a discovery of a manager in memory that has these tenants.
func exampleOf(ids ...string) (*discovery.TenantDiscovery, *tenanttest.Manager) {
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	must(manager.Add(context.Background(), "ledger", ids...))
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	must(err)
	must(d.Start(context.Background()))
	return d, manager
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// One loop is told of the current tenants, and then of what changes.
func ExampleTenantDiscovery_Changes() {
	d, manager := exampleOf("acme")
	defer func() { must(d.Close()) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for change := range d.Changes(ctx) {
		fmt.Println(change.Kind, change.TenantID, "by", change.Cause)
		switch change.Kind {
		case tenant.Added:
			must(manager.RotateCredentials(ctx, "acme", "ledger"))
		case tenant.Reconfigured:
			must(manager.Suspend(ctx, "acme"))
		case tenant.Removed:
			cancel()
		}
	}
	// Output:
	// added acme by bootstrap
	// reconfigured acme by event
	// removed acme by event
}

// A pass over all tenants sees those of the moment at which it began.
func ExampleTenantDiscovery_All() {
	d, _ := exampleOf("acme")
	defer func() { must(d.Close()) }()
	for tenantID := range d.All() {
		fmt.Println("dispatch the outbox of", tenantID)
	}
	// Output: dispatch the outbox of acme
}

// Why is this tenant not worked for?
func ExampleTenantDiscovery_Explain() {
	d, _ := exampleOf("acme")
	defer func() { must(d.Close()) }()
	must(d.HandleEvent(context.Background(), tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme"}))
	for _, change := range d.Explain("acme") {
		fmt.Println(change.Kind, "by", change.Cause)
	}
	fmt.Println("active:", d.IsActive("acme"))
	// Output:
	// added by bootstrap
	// removed by event
	// active: false
}

// A probe asks nobody.
func ExampleTenantDiscovery_Status() {
	d, _ := exampleOf("acme", "globex")
	defer func() { must(d.Close()) }()
	s := d.Status()
	fmt.Println(s.Ready(), s.Tenants, s.SnapshotError)
	// Output: true 2 <nil>
}

// Everything that is missing is named at once.
func ExampleNewTenantDiscovery() {
	_, err := discovery.NewTenantDiscovery(discovery.Config{})
	fmt.Println(err)
	// Output: discovery: config: missing: ServiceName, TMClient, RedisConfig.Host
}
