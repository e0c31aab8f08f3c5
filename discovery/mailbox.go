package discovery

import (
	"container/list"
	"sync"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// mailbox holds what one watcher has not been told yet. News is folded per tenant, so that it never holds more than one
// item for each, however slow the watcher is; items come out in the order in which their tenants first had news.
type mailbox struct {
	wake chan struct{} // of size one: there may be something to take

	mu    sync.Mutex // guards the fields below
	items map[string]*list.Element
	order *list.List // of *item
}

// item is what is pending for one tenant, or, under the empty key, the newest status.
type item struct {
	key     string
	changes []tenant.Change // one, or a Removed and the Added after it
	status  *Status
	told    chan struct{} // closed once the item has been dealt with; nil while nobody waits for that
}

func newMailbox() *mailbox {
	return &mailbox{wake: make(chan struct{}, 1), items: make(map[string]*list.Element), order: list.New()}
}

// put adds a change of the tenant. The caller rings afterwards, outside of its own lock.
func (m *mailbox) put(key string, change tenant.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(key, change)
}

// putAwaited is put for one who waits: what it returns is closed when the watcher has dealt with the change or it was
// folded to nothing. All who wait for one tenant share it.
func (m *mailbox) putAwaited(key string, change tenant.Change) (told <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.item(key)
	if it.told == nil {
		it.told = make(chan struct{})
	}
	told = it.told
	m.add(key, change)
	return told
}

// add folds the change into what is pending for the tenant. mu is held.
func (m *mailbox) add(key string, change tenant.Change) {
	it := m.item(key)
	it.changes = fold(it.changes, change)
	if len(it.changes) == 0 {
		m.order.Remove(m.items[key])
		delete(m.items, key)
		it.done()
	}
}

// putStatus replaces the status that is pending, if one is.
func (m *mailbox) putStatus(s Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.item("").status = &s
}

// item returns the pending item of the key, a new one at the end where there is none. mu is held.
func (m *mailbox) item(key string) *item {
	if el, pending := m.items[key]; pending {
		return el.Value.(*item)
	}
	it := &item{key: key}
	m.items[key] = m.order.PushBack(it)
	return it
}

// take removes and returns the oldest item, nil if there is none.
func (m *mailbox) take() *item {
	m.mu.Lock()
	defer m.mu.Unlock()
	el := m.order.Front()
	if el == nil {
		return nil
	}
	it := m.order.Remove(el).(*item)
	delete(m.items, it.key)
	return it
}

// ring tells the watcher that there is something to take.
func (m *mailbox) ring() {
	select {
	case m.wake <- struct{}{}:
	default: // it has been told already
	}
}

// done tells those who wait that the item has been dealt with.
func (it *item) done() {
	if it.told != nil {
		close(it.told)
	}
}

// fold merges a change into what is pending for its tenant: nothing, one change, or a Removed and the Added after it.
// What comes out leads from what the watcher was told last to what is true now.
func fold(pending []tenant.Change, change tenant.Change) []tenant.Change {
	if len(pending) == 0 {
		return []tenant.Change{change}
	}
	last := pending[len(pending)-1]
	switch {
	case last.Kind == tenant.Added && change.Kind == tenant.Removed:
		return pending[:len(pending)-1]
	case last.Kind == tenant.Removed && change.Kind == tenant.Added:
		return []tenant.Change{last, change}
	case last.Kind == tenant.Added && change.Kind == tenant.Reconfigured:
		return pending
	case last.Kind == tenant.Reconfigured && change.Kind == tenant.Reconfigured:
		return []tenant.Change{weightier(last, change)}
	}
	return []tenant.Change{change} // Reconfigured, then Removed
}

// weightier picks the reconfiguration of which more has to be built again, the later one where they are alike.
func weightier(a, b tenant.Change) tenant.Change {
	if weight(a.EventType) > weight(b.EventType) {
		return a
	}
	return b
}

func weight(t tenant.EventType) int {
	switch t {
	case tenant.EventCredentialsRotated:
		return 3
	case tenant.EventConnectionsUpdated:
		return 2
	case tenant.EventCacheInvalidate:
		return 1
	default:
		return 0
	}
}
