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

const (
	// mostWaves is how many lists with many changes may be pending. What the oldest has to tell becomes items when there are more.
	mostWaves = 4
	// piece is how many changes are looked at before others are let in.
	piece = 1000
)

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
	m.last++
	m.waves = append(m.waves, m.order.PushBack(&swell{wave: wave, number: m.last}))
}

// trim makes items of what the oldest waves have to tell, while more than mostWaves are pending. Whoever takes news and whoever puts
// some is let in between.
func (m *mailbox) trim() {
	for m.trimSome(piece) {
	}
}

// trimSome looks at n places at most. It returns false when not too many waves are pending.
func (m *mailbox) trimSome(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waves) <= mostWaves {
		return false
	}
	el := m.waves[0]
	w := el.Value.(*swell)
	for ; n > 0 && w.next < w.wave.Len(); n, w.next = n-1, w.next+1 {
		if _, folded := w.folded[w.next]; folded {
			continue
		}
		if change, ok := w.wave.At(w.next); ok {
			m.item(tenant.CanonicalID(change.TenantID)) // which takes it out of the wave
		}
	}
	if w.next == w.wave.Len() {
		m.drop(el)
	}
	return true
}

// drop removes a wave that has nothing more to tell. mu is held.
func (m *mailbox) drop(el *list.Element) {
	m.order.Remove(el)
	m.waves = slices.DeleteFunc(m.waves, func(other *list.Element) bool { return other == el })
}

// take removes and returns the oldest item, nil if there is none. Where many turn out to be nothing, whoever puts news is let in between.
func (m *mailbox) take() *item {
	for {
		if it, more := m.takeSome(piece); it != nil || !more {
			return it
		}
	}
}

// takeSome is take that looks at n items at most. more says that there are others.
func (m *mailbox) takeSome(n int) (it *item, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; n > 0; n-- {
		el := m.order.Front()
		if el == nil {
			return nil, false
		}
		if it = m.takeFrom(el); it == nil {
			continue
		}
		if m.fold(it); len(it.changes) > 0 || it.status != nil {
			return it, true
		}
		it.done()
	}
	return nil, true
}

// takeFrom removes an item, or the next of a wave, where it has one. mu is held.
func (m *mailbox) takeFrom(el *list.Element) *item {
	if it, single := el.Value.(*item); single {
		m.order.Remove(el)
		delete(m.items, it.key)
		return it
	}
	w := el.Value.(*swell)
	if w.next == w.wave.Len() {
		m.drop(el)
		return nil
	}
	return w.take()
}

// take returns the change at the next place as an item, nil where there is none.
func (w *swell) take() *item {
	place := w.next
	w.next++
	if _, folded := w.folded[place]; folded {
		delete(w.folded, place)
		return nil
	}
	change, ok := w.wave.At(place)
	if !ok {
		return nil
	}
	return &item{key: tenant.CanonicalID(change.TenantID), changes: []tenant.Change{change}, wave: w.number}
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
