package worker

import (
	"context"
	"iter"
	"sync"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// news is what the owner of a schedule has not taken yet, folded per tenant: it never has more than the state of each, and
// changes is never held up.
type news struct {
	wake chan struct{} // one that something is there

	mu      sync.Mutex // guards pending
	pending map[string]newsItem
}

// newsItem is what became of a tenant in the end.
type newsItem struct {
	id     string
	active bool
	went   bool // it is gone, or was for a while
}

func newNews() *news { return &news{wake: make(chan struct{}, 1), pending: map[string]newsItem{}} }

// read folds changes until they or ctx end.
func (n *news) read(ctx context.Context, changes iter.Seq[tenant.Change]) error {
	for change := range changes {
		if ctx.Err() != nil {
			break
		}
		n.put(change)
	}
	return nil
}

func (n *news) put(change tenant.Change) {
	gone := change.Kind == tenant.Removed
	key := tenant.CanonicalID(change.TenantID)
	n.mu.Lock()
	n.pending[key] = newsItem{id: change.TenantID, active: !gone, went: gone || n.pending[key].went}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (n *news) take() map[string]newsItem {
	n.mu.Lock()
	defer n.mu.Unlock()
	pending := n.pending
	n.pending = map[string]newsItem{}
	return pending
}
