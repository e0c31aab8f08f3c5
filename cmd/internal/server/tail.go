package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// tailEvents and tailBytes bound what is kept in memory of the newest events.
	tailEvents = 1024
	tailBytes  = 8 << 20
	// tailFresh is how long what was read counts as all there is. Another manager over the same database makes changes
	// that nobody tells us of.
	tailFresh = 250 * time.Millisecond
	// tailBatch is how many events are read, and handed out, at once.
	tailBatch = 256
)

// tail has the newest events in memory, so that a thousand streams cost the database as much as one. It has no goroutine:
// whoever needs what is new reads it for all.
type tail struct {
	store   *store.Store
	reading chan struct{} // holds a token while somebody reads the database

	mu      sync.Mutex // guards what is below
	from    tenant.Version
	events  []store.Event // those after from, without a hole
	bytes   int
	readAt  time.Time     // zero when a change is known that was not read yet
	changed chan struct{} // closed at the next change
}

func newTail(from *store.Store) *tail {
	return &tail{store: from, reading: make(chan struct{}, 1), changed: make(chan struct{})}
}

// wake tells that there is something new.
func (t *tail) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readAt = time.Time{}
	close(t.changed)
	t.changed = make(chan struct{})
}

// news is closed at the next change that this manager makes. Get it before looking, and wait for it afterwards.
func (t *tail) news() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// after returns some of the events after v, in order, and none when v is the newest. ok is false when they are not in memory
// any more. The events are shared: nobody may change them.
func (t *tail) after(ctx context.Context, v tenant.Version) (events []store.Event, ok bool, err error) {
	if err := t.refresh(ctx); err != nil {
		return nil, false, err
	}
	events, ok = t.kept(v)
	return events, ok, nil
}

// kept looks into the memory alone.
func (t *tail) kept(v tenant.Version) ([]store.Event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.Epoch != t.from.Epoch || v.Revision < t.from.Revision || v.Revision > t.newest().Revision {
		return nil, false
	}
	at, found := slices.BinarySearchFunc(t.events, v.Revision, func(e store.Event, revision uint64) int {
		return cmp.Compare(e.Revision, revision)
	})
	if found {
		at++
	}
	return slices.Clip(t.events[at:min(at+tailBatch, len(t.events))]), true
}

// refresh reads what is new if what is there may be old.
func (t *tail) refresh(ctx context.Context) error {
	select {
	case t.reading <- struct{}{}:
		defer func() { <-t.reading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		at, fresh := t.begin()
		if fresh {
			return nil
		}
		more, err := t.read(ctx, at)
		if err != nil || !more {
			return err
		}
	}
}

// begin returns where to read on, and whether nothing has to be read. What is woken for from now on is read later.
func (t *tail) begin() (tenant.Version, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.readAt) < tailFresh {
		return tenant.Version{}, true
	}
	t.readAt = time.Now()
	return t.newest(), false
}

// read reads one batch, and reports whether there may be more. On an error the next one reads again.
func (t *tail) read(ctx context.Context, at tenant.Version) (more bool, err error) {
	defer func() {
		if err != nil || more {
			t.stale()
		}
	}()
	if at.Epoch == "" {
		return false, t.restart(ctx)
	}
	events, err := t.store.EventsAfter(ctx, at, tailBatch)
	if errors.Is(err, store.ErrGone) { // a new epoch, or nobody has asked for a long time
		return false, t.restart(ctx)
	}
	if err != nil {
		return false, err
	}
	t.add(events)
	return len(events) == tailBatch, nil
}

func (t *tail) restart(ctx context.Context) error {
	v, err := t.store.Version(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.events, t.bytes = tenant.Version{Epoch: v.Epoch, Revision: v.Revision}, nil, 0
	return nil
}

func (t *tail) stale() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readAt = time.Time{}
}

// add keeps the events, and forgets the oldest ones when there are too many.
func (t *tail) add(events []store.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		t.bytes += len(e.Data)
	}
	t.events = append(t.events, events...)
	drop := 0
	for ; drop < len(t.events) && (len(t.events)-drop > tailEvents || t.bytes > tailBytes); drop++ {
		t.bytes -= len(t.events[drop].Data)
		t.from.Revision = t.events[drop].Revision
	}
	if drop > 0 {
		t.events = slices.Clone(t.events[drop:]) // streams may still read the old ones
	}
}

// newest is called with the lock held.
func (t *tail) newest() tenant.Version {
	if n := len(t.events); n > 0 {
		return tenant.Version{Epoch: t.from.Epoch, Revision: t.events[n-1].Revision}
	}
	return t.from
}
