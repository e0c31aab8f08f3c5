package tenantwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/signal"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// A program with a worker for each tenant, which starts and ends as tenants come and go. It needs a tenant manager and a Redis.
func Example() { //nolint:testableexamples // it runs until it is interrupted
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	manager, err := managerapi.NewClient(managerapi.Config{BaseURL: "https://tenants.example.com", APIKey: managerapi.StaticKey(os.Getenv("TENANTWATCH_API_KEY"))})
	if err != nil {
		panic(err)
	}
	d, err := discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: "ledger",
		TMClient:    manager,
		RedisConfig: redisevents.Config{Host: "redis", Port: "6379", Password: os.Getenv("REDIS_PASSWORD")},
		Environment: "production",
		Logger:      slog.Default(),
	})
	if err != nil {
		panic(err)
	}
	if err := d.Start(ctx); err != nil {
		panic(err) // the manager did not answer; a supervisor tries again
	}
	defer func() { _ = d.Close() }()
	g, err := worker.NewGroup(worker.Config{
		Work: func(ctx context.Context, tenantID string) error {
			fmt.Println("work for", tenantID)
			<-ctx.Done() // the tenant has gone, or was reconfigured, or the program ends
			return ctx.Err()
		},
		Logger: slog.Default(),
	})
	if err != nil {
		panic(err)
	}
	if err := g.Run(ctx, d.Changes(ctx)); err != nil { // the current tenants first, then what changes
		fmt.Println(err) // somebody has not ended in time
	}
}

// A test of a worker needs neither a manager nor a Redis: tenanttest has both in memory.
func Example_test() {
	ctx := context.Background()
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	_ = manager.Add(ctx, "ledger", "acme", "globex")

	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	if err != nil {
		panic(err)
	}
	d.OnTenantAdded(func(_ context.Context, id string) { fmt.Println("added", id) })
	d.OnTenantRemoved(func(_ context.Context, id string) { fmt.Println("removed", id) })
	if err := d.Start(ctx); err != nil {
		panic(err)
	}
	defer func() { _ = d.Close() }()
	fmt.Println(d.Len(), "tenants,", d.Status().State)

	// HandleEvent returns once the callbacks have run.
	_ = d.HandleEvent(ctx, tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme"})
	_ = d.HandleEvent(ctx, tenant.Event{
		EventType: tenant.EventServiceAssociated, TenantID: "initech", Payload: []byte(`{"service_name":"ledger"}`),
	})
	fmt.Println(d.IsActive("acme"), d.IsActive("initech"))
	// Output:
	// 2 tenants, live
	// removed acme
	// added initech
	// false true
}

// The manager of tenanttest speaks HTTP too, so that the real client can be tested against it.
func Example_overHTTP() {
	manager := tenanttest.NewManager()
	api := httptest.NewServer(manager)
	defer api.Close()
	_ = manager.Add(context.Background(), "ledger", "acme")

	client, err := managerapi.NewClient(managerapi.Config{BaseURL: api.URL, APIKey: managerapi.StaticKey(manager.APIKey())})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tenants, err := client.GetActiveTenantsByService(ctx, "ledger")
	if err != nil {
		panic(err)
	}
	for _, t := range tenants {
		fmt.Println(t.ID, t.Status)
	}
	// Output: acme active
}
