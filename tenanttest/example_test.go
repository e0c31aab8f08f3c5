package tenanttest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// A manager behind a server, read by the real client. The first request fails, and the client tries again.
func ExampleManager() {
	ctx := context.Background()
	manager := tenanttest.NewManager()
	server := httptest.NewServer(manager)
	defer server.Close()

	client, err := managerapi.NewClient(managerapi.Config{BaseURL: server.URL, APIKey: managerapi.StaticKey(manager.APIKey()), BackoffBase: 1, BackoffMax: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	if err := manager.Add(ctx, "ledger", "acme", "globex", "initech"); err != nil {
		fmt.Println(err)
	}
	if err := manager.Suspend(ctx, "globex"); err != nil {
		fmt.Println(err)
	}
	manager.FailList(1, 503, "")

	active, err := client.GetActiveTenantsByService(ctx, "ledger")
	for _, row := range active {
		fmt.Println(row.ID, row.Status)
	}
	fmt.Println("requests:", manager.Requests(), "error:", err)
	// Output:
	// acme active
	// initech active
	// requests: 2 error: <nil>
}

// A feed that gets its events from a manager and loses its link in between.
func ExampleFeed() {
	ctx, cancel := context.WithCancel(context.Background())
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))

	subscribed, ended := make(chan struct{}, 2), make(chan error)
	go func() {
		ended <- feed.Run(ctx, func(s tenant.Signal) {
			switch s.Kind {
			case tenant.SignalEvent:
				fmt.Println(s.Event.EventType, s.Event.TenantID)
			case tenant.SignalSubscribed:
				fmt.Println(s.Kind)
				subscribed <- struct{}{}
			default:
				fmt.Println(s.Kind)
			}
		})
	}()
	<-subscribed

	do := func(err error) {
		if err != nil {
			fmt.Println(err)
		}
	}
	do(manager.Add(ctx, "ledger", "acme"))
	feed.Disconnect(nil)
	do(manager.Suspend(ctx, "acme")) // nobody hears of it
	feed.Connect()
	<-subscribed
	do(manager.Reactivate(ctx, "acme"))
	do(feed.Flush(ctx))
	cancel()
	fmt.Println(<-ended)
	// Output:
	// subscribed
	// tenant.created acme
	// tenant.service.associated acme
	// lost
	// subscribed
	// tenant.activated acme
	// tenant.service.reactivated acme
	// context canceled
}

// The list is held after it was read, and a change slips in before the answer goes out.
func ExampleManager_HoldList() {
	ctx := context.Background()
	manager := tenanttest.NewManager()
	reached, release := manager.HoldList()

	answer := make(chan int)
	go func() {
		rows, err := manager.Fetcher().GetActiveTenantsByService(ctx, "ledger")
		if err != nil {
			fmt.Println(err)
		}
		answer <- len(rows)
	}()
	<-reached
	if err := manager.Add(ctx, "ledger", "acme"); err != nil {
		fmt.Println(err)
	}
	release()
	fmt.Println("the answer has", <-answer, "tenants, the manager has", len(manager.Active("ledger")))
	// Output:
	// the answer has 0 tenants, the manager has 1
}
