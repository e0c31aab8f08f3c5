package redisevents_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"

	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// A feed listens to the events of one environment, and a publisher announces one as soon as the feed is subscribed.
func Example() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	cfg := redisevents.Config{Host: server.Host(), Port: server.Port()}

	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = publisher.Close() }()
	feed, err := redisevents.NewPubSub(cfg, "staging")
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err = feed.Run(ctx, func(signal tenant.Signal) {
		switch signal.Kind {
		case tenant.SignalSubscribed:
			fmt.Println("subscribed")
			event := tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme", Environment: "staging"}
			if err := publisher.Publish(ctx, event); err != nil { // a sink of yours does not wait like this
				fmt.Println(err)
			}
		case tenant.SignalEvent:
			fmt.Println(signal.Event.EventType, signal.Event.TenantID)
			cancel()
		default:
			fmt.Println(signal.Kind, signal.Err)
		}
	})
	fmt.Println(err)
	// Output:
	// subscribed
	// tenant.suspended acme
	// context canceled
}

// A stream keeps what is published while nobody reads: a Run that lost its link goes on where it was.
func ExampleStream() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	cfg := redisevents.Config{Host: server.Host(), Port: server.Port()}

	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg, Stream: true, StreamLength: 10_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = publisher.Close() }()
	feed, err := redisevents.NewStream(cfg, "staging") // for a discovery: discovery.Config{Feed: feed, …}
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err = feed.Run(ctx, func(signal tenant.Signal) {
		switch signal.Kind {
		case tenant.SignalSubscribed:
			fmt.Println("subscribed")
			event := tenant.Event{EventType: tenant.EventSuspended, TenantID: "acme", Environment: "staging"}
			if err := publisher.Publish(ctx, event); err != nil { // a sink of yours does not wait like this
				fmt.Println(err)
			}
		case tenant.SignalEvent:
			fmt.Println(signal.Event.EventType, signal.Event.TenantID)
			cancel()
		default:
			fmt.Println(signal.Kind, signal.Err)
		}
	})
	fmt.Println(err)
	// Output:
	// subscribed
	// tenant.suspended acme
	// context canceled
}
