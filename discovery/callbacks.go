package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// callbackKey marks the ctx of a callback with the discovery that calls it.
type callbackKey struct{}

// callbacks are the functions that were registered, in the order in which they were.
type callbacks struct {
	any atomic.Bool // there is one; else nothing need be kept for them

	mu           sync.Mutex // guards the fields below, which only grow
	added        []func(ctx context.Context, tenantID string)
	removed      []func(ctx context.Context, tenantID string)
	reconfigured []func(ctx context.Context, tenantID string, reason tenant.EventType)
	status       []func(ctx context.Context, s Status)
}

// OnTenantAdded registers fn, which is called whenever a tenant has become active.
//
// The following holds for all four methods that register a function. Several functions may be registered, at any time
// and from any goroutine; nil is ignored. The functions are called one after the other, in the order of the changes,
// and only for real changes. No function is called before Start has succeeded; for the tenants of the first set,
// functions are called only with NotifyInitial. A slow function delays the others, but no function misses anything:
// meanwhile the changes of each tenant are combined, and each function is told the net change. A panic is recovered,
// logged and counted. ctx ends when Close is called.
func (d *TenantDiscovery) OnTenantAdded(fn func(ctx context.Context, tenantID string)) {
	register(&d.callbacks, &d.callbacks.added, fn, fn == nil)
}

// OnTenantRemoved registers fn, which is called whenever a tenant is no longer active. See
// [TenantDiscovery.OnTenantAdded].
func (d *TenantDiscovery) OnTenantRemoved(fn func(ctx context.Context, tenantID string)) {
	register(&d.callbacks, &d.callbacks.removed, fn, fn == nil)
}

// OnTenantReconfigured registers fn, which is called whenever what was built from the configuration of an active tenant
// has to be built again. reason is the type of the event. If several such events were combined, it is the one after
// which most has to be built again: first rotated credentials, then updated connections, then an invalidated cache. See
// [TenantDiscovery.OnTenantAdded].
func (d *TenantDiscovery) OnTenantReconfigured(fn func(ctx context.Context, tenantID string, reason tenant.EventType)) {
	register(&d.callbacks, &d.callbacks.reconfigured, fn, fn == nil)
}

// OnStatusChange registers fn, which is called whenever the State has changed, except to [Closed]. If the State changes
// several times while fn is busy, fn is told the last one. See [TenantDiscovery.OnTenantAdded].
func (d *TenantDiscovery) OnStatusChange(fn func(ctx context.Context, s Status)) {
	register(&d.callbacks, &d.callbacks.status, fn, fn == nil)
}

func register[F any](all *callbacks, list *[]F, fn F, isNil bool) {
	if isNil {
		return
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	*list = append(*list, fn)
	all.any.Store(true)
}

func registered[F any](mu *sync.Mutex, list *[]F) []F {
	mu.Lock()
	defer mu.Unlock()
	return *list
}

// tellCallbacks empties the mailbox of the callbacks until ctx ends.
func (d *TenantDiscovery) tellCallbacks(ctx context.Context, r *run) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return
	}
	ctx = context.WithValue(ctx, callbackKey{}, d)
	for d.tellNext(ctx, r) {
	}
}

// tellNext waits for the next item and calls the functions that it is for. It returns false when ctx has ended.
func (d *TenantDiscovery) tellNext(ctx context.Context, r *run) bool {
	it := d.box.take()
	if it == nil {
		select {
		case <-d.box.wake:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for _, change := range it.changes {
		d.tellChange(ctx, r, change)
	}
	if it.status != nil {
		for _, fn := range registered(&d.callbacks.mu, &d.callbacks.status) {
			d.call(ctx, r, func() { fn(ctx, *it.status) })
		}
	}
	if ctx.Err() != nil {
		return false // not all may have been called; who waits hears of the Close
	}
	it.done()
	return true
}

func (d *TenantDiscovery) tellChange(ctx context.Context, r *run, change tenant.Change) {
	d.telemetry.told(ctx, change)
	switch change.Kind {
	case tenant.Added:
		for _, fn := range registered(&d.callbacks.mu, &d.callbacks.added) {
			d.call(ctx, r, func() { fn(ctx, change.TenantID) })
		}
	case tenant.Removed:
		for _, fn := range registered(&d.callbacks.mu, &d.callbacks.removed) {
			d.call(ctx, r, func() { fn(ctx, change.TenantID) })
		}
	case tenant.Reconfigured:
		for _, fn := range registered(&d.callbacks.mu, &d.callbacks.reconfigured) {
			d.call(ctx, r, func() { fn(ctx, change.TenantID, change.EventType) })
		}
	}
}

// call runs one function, unless ctx has ended. The mark is set before the look at ctx, so that a Close that does not see
// it can be sure that no function starts afterwards. It has a goroutine of its own, because one that ends its goroutine
// (t.FailNow does) must not end all telling.
func (d *TenantDiscovery) call(ctx context.Context, r *run, fn func()) {
	r.calling.Store(true)
	defer r.calling.Store(false)
	if ctx.Err() != nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		returned := false
		defer func() {
			if p := recover(); p != nil || !returned {
				d.callbackFailed(p, string(debug.Stack()))
			}
		}()
		fn()
		returned = true
	}()
	<-ended
}

// callbackFailed counts and logs a panic, or, where p is nil, that the function has ended its goroutine.
func (d *TenantDiscovery) callbackFailed(p any, stack string) {
	msg := "a callback panicked"
	if p == nil {
		msg = "a callback ended its goroutine"
	}
	var text string
	if err := guarded(func() { text = activeset.Cut(fmt.Sprint(p)) }); err != nil {
		text = err.Error() // what was panicked with has methods that panic, too
	}
	d.update(func(time.Time) { d.core.Panicked() })
	d.log(slog.LevelError, msg, "error", text, "stack", stack)
}
