package discovery

import (
	"context"
	"iter"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Changes yields the current set, each tenant as [tenant.Added], and then every change, until ctx ends or the discovery is
// closed. Nothing is missed between the two. Every loop over it has a mailbox of its own: one that is slow delays nobody
// else and loses nothing, as news is folded per tenant, so that it holds at most one item for each. The Cause of what is
// in the set already is the one by which it came there.
//
// A loop that begins before Start hears of the set once Start has succeeded, each tenant with [tenant.CauseBootstrap], or
// with [tenant.CauseSnapshotFile] where Start had to take the set from the SnapshotFile. What the first list then shows to be
// different is [tenant.CauseReconcile].
func (d *TenantDiscovery) Changes(ctx context.Context) iter.Seq[tenant.Change] {
	return func(yield func(tenant.Change) bool) {
		if d == nil {
			return
		}
		box := d.watch()
		defer d.unwatch(box)
		for {
			it := box.take()
			if it == nil {
				select {
				case <-box.wake:
				case <-ctx.Done():
				case <-d.closed:
				}
			}
			ended := func() bool { return ctx.Err() != nil || d.isClosed() }
			if ended() || it != nil && !yieldAll(it.changes, ended, yield) {
				return
			}
		}
	}
}

// yieldAll yields what is pending for one tenant. The loop over it may take its time, so that each is preceded by a look.
func yieldAll(changes []tenant.Change, ended func() bool, yield func(tenant.Change) bool) bool {
	for _, change := range changes {
		if ended() || !yield(change) {
			return false
		}
	}
	return true
}

// watch copies the set into a new mailbox and registers it, in one critical section.
func (d *TenantDiscovery) watch() *mailbox {
	box := newMailbox()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handOver(box)
	return box
}

// handOver puts the set into the mailbox and registers it. mu is held.
func (d *TenantDiscovery) handOver(box *mailbox) {
	for news := range d.core.Initial() {
		box.put(news.Key, news.Change)
	}
	d.watchers[box] = struct{}{}
}

func (d *TenantDiscovery) unwatch(box *mailbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watchers, box)
}

func (d *TenantDiscovery) isClosed() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}
