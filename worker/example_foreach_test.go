package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// ledgerTenants starts a discovery of a manager in memory that has these tenants.
func ledgerTenants(ctx context.Context, ids ...string) (*discovery.TenantDiscovery, error) {
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	if err := manager.Add(ctx, "ledger", ids...); err != nil {
		return nil, err
	}
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	if err != nil {
		return nil, err
	}
	err = d.Start(ctx)
	return d, err
}

// A job of the night does something for each tenant, eight at a time, and says for whom it could not.
func ExampleForEach() {
	ctx := context.Background()
	d, err := ledgerTenants(ctx, "acme", "globex", "initech")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = d.Close() }()

	err = worker.ForEach(ctx, d.All(), func(ctx context.Context, tenantID string) error {
		if tenantID == "globex" {
			return errors.New("no such table: invoices")
		}
		return nil // close the books of tenantID
	}, worker.ForEachConfig{Limit: 8, Timeout: time.Minute, Active: d.IsActive})

	if pass, ok := errors.AsType[*worker.PassError](err); ok {
		for _, failed := range pass.Failed {
			fmt.Println("try again later:", failed.TenantID)
		}
	}
	fmt.Println(err)
	// Output:
	// try again later: globex
	// the work of 1 of 3 tenants failed; tenant globex: no such table: invoices
}

// Each tenant's outbox is looked into once in an interval, at a time of its own.
func ExampleEvery() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d, err := ledgerTenants(ctx, "acme", "globex")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = d.Close() }()

	dispatched := make(chan string)
	go func() { // until both have had their turn
		seen := []string{}
		for len(seen) < 2 {
			if id := <-dispatched; !slices.Contains(seen, id) {
				seen = append(seen, id)
			}
		}
		cancel()
		slices.Sort(seen)
		dispatched <- fmt.Sprint(seen)
	}()

	err = worker.Every(ctx, 20*time.Millisecond, d.Changes(ctx), func(ctx context.Context, tenantID string) error {
		select {
		case dispatched <- tenantID:
		case <-ctx.Done():
		}
		return nil
	}, worker.EveryConfig{Timeout: time.Minute, Ended: func(tick worker.Tick) {
		if tick.Err != nil {
			fmt.Println(tick.Err, "and", tick.Late, "ticks late")
		}
	}})
	fmt.Println(<-dispatched, err)
	// Output: [acme globex] <nil>
}
