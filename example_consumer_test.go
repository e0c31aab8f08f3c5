package tenantwatch_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenanttest"
	"github.com/tenantwatch/tenantwatch/worker"
)

// consume reads the queue of each tenant that is active, until ctx ends.
func consume(ctx context.Context, d *discovery.TenantDiscovery, b *broker, handle func(tenantID, body string) error) error {
	g, err := worker.NewGroup(worker.Config{
		Work: func(ctx context.Context, tenantID string) error {
			queue := b.Subscribe(tenantID)
			defer queue.Close()
			for {
				message, err := queue.Next(ctx)
				if err != nil {
					return err // ctx has ended, or the broker is gone: then the Group tries again
				}
				if err := handle(tenantID, message.Body); err != nil {
					return err // not acknowledged, so that it comes again
				}
				message.Ack()
			}
		},
	})
	if err != nil {
		return err
	}
	return g.Run(ctx, d.Changes(ctx))
}

// A queue consumer for each tenant: it starts when the tenant comes and ends when the tenant goes. What fails, panics or
// loses its link is started again, with a back-off, and there are never two for one tenant.
func Example_consumerForEachTenant() {
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

	b := newBroker()
	ended := make(chan error)
	go func() {
		ended <- consume(ctx, d, b, func(tenantID, body string) error {
			fmt.Println(tenantID, "has", body)
			return nil
		})
	}()
	b.Publish("acme", "an invoice")
	b.Publish("globex", "an order")

	_ = manager.Suspend(ctx, "globex")
	fmt.Println(<-b.closed, "is not read any more")
	_ = manager.Reactivate(ctx, "globex")
	b.Publish("globex", "another order")

	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// acme has an invoice
	// globex has an order
	// globex is not read any more
	// globex has another order
	// ended: <nil>
}

// broker stands for yours.
type broker struct {
	closed chan string // the tenant of each queue that was closed

	mu     sync.Mutex
	queues map[string]*queue
}

func newBroker() *broker {
	return &broker{closed: make(chan string, 10), queues: map[string]*queue{}}
}

// Subscribe returns the queue of the tenant.
func (b *broker) Subscribe(tenantID string) *queue {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queues[tenantID] == nil {
		b.queues[tenantID] = &queue{messages: make(chan message), close: func() { b.closed <- tenantID }}
	}
	return b.queues[tenantID]
}

// Publish returns when the message was acknowledged.
func (b *broker) Publish(tenantID, body string) {
	acked := make(chan struct{})
	b.Subscribe(tenantID).messages <- message{Body: body, Ack: func() { close(acked) }}
	<-acked
}

type queue struct {
	messages chan message
	close    func()
}

type message struct {
	Body string
	Ack  func()
}

// Next waits for a message, or for the end of ctx.
func (q *queue) Next(ctx context.Context) (message, error) {
	select {
	case m := <-q.messages:
		return m, nil
	case <-ctx.Done():
		return message{}, context.Cause(ctx)
	}
}

// Close gives the queue back.
func (q *queue) Close() { q.close() }
