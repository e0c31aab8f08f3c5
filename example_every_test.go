package tenantwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// closeBooks calls closeBook for each active tenant once in each interval, until ctx ends.
func closeBooks(
	ctx context.Context, d *discovery.TenantDiscovery, interval time.Duration,
	closeBook func(ctx context.Context, tenantID string) error,
) error {
	return worker.Every(ctx, interval, d.Changes(ctx), closeBook, worker.EveryConfig{
		Limit:   8,
		Timeout: time.Minute, // so that one that hangs does not keep a place for ever
		Logger:  slog.New(slog.DiscardHandler),
	})
}

// A periodic job for all tenants. They have their turns spread over the interval, each at the same time in each, and the
// job of one that is late or fails holds up nobody else.
func Example_periodicJobForAllTenants() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	_ = manager.Add(ctx, "ledger", "acme", "globex")
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed})
	if err != nil {
		panic(err)
	}
	if err := d.Start(ctx); err != nil {
		panic(err)
	}
	defer func() { _ = d.Close() }()

	worked, ended := make(chan string), make(chan error)
	go func() {
		ended <- closeBooks(ctx, d, 20*time.Millisecond, func(ctx context.Context, tenantID string) error {
			select {
			case worked <- tenantID:
			case <-ctx.Done(): // the tenant has gone, or the time is over
			}
			return ctx.Err()
		})
	}()
	times := map[string]int{}
	for times["acme"] < 2 || times["globex"] < 2 {
		times[<-worked]++
	}
	fmt.Println("both had their turn, and another one")

	_ = manager.Add(ctx, "ledger", "initech")
	for times["initech"] == 0 {
		times[<-worked]++
	}
	fmt.Println("so had one that came later")
	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// both had their turn, and another one
	// so had one that came later
	// ended: <nil>
}
