package tenantwatch_test

// What services wrote by hand, as docs/migrating.md shows it. It compiles; its mistakes are meant.

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
)

type outboxBefore struct {
	manager discovery.ActiveTenantsFetcher
	publish func(ctx context.Context, tenantID string) error
}

func (o *outboxBefore) dispatch(ctx context.Context) error {
	tenants, err := o.manager.GetActiveTenantsByService(ctx, "ledger")
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	for _, t := range tenants {
		if err := o.publish(ctx, t.ID); err != nil {
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

type consumersBefore struct {
	consume func(ctx context.Context, tenantID string) error
	mu      sync.Mutex
	known   map[string]context.CancelFunc
}

func (c *consumersBefore) Ensure(tenantID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[tenantID] != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.known[tenantID] = cancel
	go func() { _ = c.consume(ctx, tenantID) }()
}

func (c *consumersBefore) Stop(tenantID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.known[tenantID]; cancel != nil {
		cancel()
		delete(c.known, tenantID)
	}
}

func (c *consumersBefore) Known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for id := range c.known {
		ids = append(ids, id)
	}
	return ids
}

type loopBefore struct {
	mu       sync.Mutex
	interval time.Duration
	tenants  func(ctx context.Context) []string
	work     func(ctx context.Context, tenantID string) error
	failed   func(tenantID string, err error)
}

func (l *loopBefore) run(ctx context.Context) {
	for ctx.Err() == nil {
		l.mu.Lock() // one pass at a time
		for _, tenantID := range l.tenants(ctx) {
			if err := l.work(ctx, tenantID); err != nil {
				l.failed(tenantID, err)
			}
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(l.interval):
		}
	}
}
