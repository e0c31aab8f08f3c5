package discovery

import (
	"context"
	"iter"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Changes yields the current set, each tenant as [tenant.Added], and then every change, until ctx ends or the discovery
// is closed. Nothing is missed between the two. Every loop has a mailbox of its own. A slow loop delays no other loop
// and loses nothing: the changes that wait for it are combined, at most one net change for each tenant. For the tenants
// of the current set, Cause says how they came into the set.
//
// A loop that begins before Start yields the first set once Start has succeeded. Each tenant then has the cause
// [tenant.CauseBootstrap], or [tenant.CauseSnapshotFile] if Start took the set from the SnapshotFile. In the second
// case the differences that the first list shows have [tenant.CauseReconcile].
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
			if ended() || it != nil && !d.yieldAll(it.changes, ended, yield) {
				return
			}
		}
	}
}

// yieldAll yields what is pending for one tenant. The loop over it may take its time, so that each is preceded by a look.
func (d *TenantDiscovery) yieldAll(changes []tenant.Change, ended func() bool, yield func(tenant.Change) bool) bool {
	for _, change := range changes {
		if ended() || !yield(d.cameBy(change)) {
			return false
		}
	}
	return true
}

// cameBy completes the change of a tenant that was in the set when the loop began.
func (d *TenantDiscovery) cameBy(change tenant.Change) tenant.Change {
	if change.Cause != "" {
		return change
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.core.CameBy(change)
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
	for _, news := range d.core.Initial() {
		box.put(news)
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
