package tenantwatch_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// One pass over all tenants, a few at a time: a migration, a report, what an outbox has to send.
func Example_onePassOverAllTenants() {
	ctx := context.Background()
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	_ = manager.Add(ctx, "ledger", "acme", "globex", "initech")
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	if err != nil {
		panic(err)
	}
	if err := d.Start(ctx); err != nil {
		panic(err)
	}
	defer func() { _ = d.Close() }()

	err = worker.ForEach(ctx, d.All(), func(ctx context.Context, tenantID string) error {
		if tenantID == "globex" {
			return errors.New("the table is locked")
		}
		return ctx.Err()
	}, worker.ForEachConfig{
		Limit:   4,
		Timeout: time.Minute,
		Active:  d.IsActive, // who goes meanwhile is passed over, or cancelled
	})
	fmt.Println(err)
	if failed, ok := errors.AsType[*worker.PassError](err); ok {
		fmt.Println("to be tried again:", failed.Failed[0].TenantID)
	}
	// Output:
	// the work of 1 of 3 tenants failed; tenant globex: the table is locked
	// to be tried again: globex
}
