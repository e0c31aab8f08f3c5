package discovery

import (
	"container/list"
	"slices"
	"sync"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// mailbox holds what one watcher has not been told yet. News is folded per tenant, so that it never holds more than one
// item for each, however slow the watcher is; items come out in the order in which their tenants first had news. What a list has
// changed for many tenants at once is one element, from which their items are made when they are taken.
type mailbox struct {
	wake chan struct{} // of size one: there may be something to take

	mu    sync.Mutex // guards the fields below
	items map[string]*list.Element
	order *list.List      // of *item and *swell
	waves []*list.Element // those of them that are a *swell
	last  int             // the number of the last wave
}

// mostWaves is how many lists with many changes may be pending. What the oldest has to tell becomes items when there are more.
const mostWaves = 4

// item is what is pending for one tenant, or, under the empty key, the newest status.
type item struct {
	key     string
	changes []tenant.Change // one, or a Removed and the Added after it
	status  *Status
	told    chan struct{} // closed once the item has been dealt with; nil while nobody waits for that
	wave    int           // the number of the last wave that changes takes account of
}

// swell is a wave on its way to the watcher.
type swell struct {
	wave   *activeset.Wave
	number int
	next   int              // place
	folded map[int]struct{} // places from next on whose change is part of an item
}

func newMailbox() *mailbox {
	return &mailbox{wake: make(chan struct{}, 1), items: make(map[string]*list.Element), order: list.New()}
}

// put adds news. The caller rings afterwards, outside of its own lock.
func (m *mailbox) put(news activeset.News) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if news.Wave != nil {
		m.putWave(news.Wave)
		return
	}
	m.add(news.Key, news.Change)
}

// putAwaited is put for one who waits: what it returns is closed when the watcher has dealt with the change or it was
// folded to nothing. All who wait for one tenant share it.
func (m *mailbox) putAwaited(news activeset.News) (told <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.item(news.Key)
	if it.told == nil {
		it.told = make(chan struct{})
	}
	told = it.told
	m.add(news.Key, news.Change)
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

// item returns the pending item of the key, a new one where there is none: at the end, or where the first wave is that has news of the
// tenant. mu is held.
func (m *mailbox) item(key string) *item {
	if el, pending := m.items[key]; pending {
		it := el.Value.(*item)
		m.fold(it)
		return it
	}
	it := &item{key: key}
	if first := m.fold(it); first != nil {
		m.items[key] = m.order.InsertBefore(it, first)
	} else {
		m.items[key] = m.order.PushBack(it)
	}
	return it
}

// fold brings into the item what waves, later than those that it takes account of, have to tell of its tenant. It returns the first
// that had something. mu is held.
func (m *mailbox) fold(it *item) (first *list.Element) {
	for _, el := range m.waves {
		w := el.Value.(*swell)
		if w.number <= it.wave || it.key == "" {
			continue
		}
		if change, pending := w.pick(it.key); pending {
			it.changes = fold(it.changes, change)
			if first == nil {
				first = el
			}
		}
	}
	it.wave = m.last
	return first
}

// pick takes the tenant's change out of the wave, where there is one that was not told.
func (w *swell) pick(key string) (change tenant.Change, pending bool) {
	place := w.wave.Find(key)
	if _, folded := w.folded[place]; place < w.next || folded {
		return change, false
	}
	if w.folded == nil {
		w.folded = make(map[int]struct{})
	}
	w.folded[place] = struct{}{}
	return w.wave.At(place)
}

// putWave adds a wave. mu is held.
func (m *mailbox) putWave(wave *activeset.Wave) {
	if len(m.waves) == mostWaves {
		m.spill(m.waves[0])
	}
	m.last++
	m.waves = append(m.waves, m.order.PushBack(&swell{wave: wave, number: m.last}))
}

// spill makes items of all that the wave has to tell, in its place. mu is held.
func (m *mailbox) spill(el *list.Element) {
	w := el.Value.(*swell)
	for it := w.take(); it != nil; it = w.take() {
		if m.fold(it); len(it.changes) > 0 {
			m.items[it.key] = m.order.InsertBefore(it, el)
		}
	}
	m.drop(el)
}

// drop removes a wave that has nothing more to tell. mu is held.
func (m *mailbox) drop(el *list.Element) {
	m.order.Remove(el)
	m.waves = slices.DeleteFunc(m.waves, func(other *list.Element) bool { return other == el })
}

// take returns the next tenant's change as an item, nil where there is no more.
func (w *swell) take() *item {
	for ; w.next < w.wave.Len(); w.next++ {
		if _, folded := w.folded[w.next]; folded {
			delete(w.folded, w.next)
			continue
		}
		if change, ok := w.wave.At(w.next); ok {
			w.next++
			return &item{key: tenant.CanonicalID(change.TenantID), changes: []tenant.Change{change}, wave: w.number}
		}
	}
	return nil
}

// take removes and returns the oldest item, nil if there is none.
func (m *mailbox) take() *item {
	m.mu.Lock()
	defer m.mu.Unlock()
	for el := m.order.Front(); el != nil; el = m.order.Front() {
		it, single := el.Value.(*item)
		if single {
			m.order.Remove(el)
			delete(m.items, it.key)
		} else if it = el.Value.(*swell).take(); it == nil {
			m.drop(el)
			continue
		}
		if m.fold(it); len(it.changes) > 0 || it.status != nil {
			return it
		}
		it.done()
	}
	return nil
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
