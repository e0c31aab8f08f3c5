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
	// tailPoll is how often such changes are looked for while there are streams.
	tailPoll = 500 * time.Millisecond
	// tailSound is how old the last complete reading may be for a heartbeat to say how far the events are.
	tailSound = 2 * time.Second
	// tailKeep is how long the memory is of use when there are no streams. What has happened since may be long.
	tailKeep = time.Minute
	// tailBatch is how many events are read, and handed out, at once.
	tailBatch = 256
)

// tail has the newest events in memory, so that ten thousand streams cost the database as much as one, and wakes those that an
// event concerns and no others. While there are streams a goroutine reads what is new. The stream that comes first starts it, and the
// one that goes last waits for its end.
type tail struct {
	store   keptEvents
	limit   time.Duration // of a reading
	reading chan struct{} // holds a token while somebody reads the database
	nudged  chan struct{} // of size one: a change was made

	mu     sync.Mutex // guards what is below
	from   tenant.Version
	events []store.Event // those after from, without a hole
	bytes  int
	readAt time.Time // when the last reading began that has read all; zero when a change is known that came later
	sound  time.Time // the same, whatever has come later
	wakes  uint64
	topics map[string]*topic // by service
	users  int
	left   time.Time // when there were no users any more
	stop   func()    // ends the goroutine and waits for it
}

// topic is what concerns one service, for all streams of it. tail's mu guards it.
type topic struct {
	users   int
	changed chan struct{} // closed at the next event that concerns it
	since   uint64        // from this revision on,
	last    uint64        // this is the last one that concerns it
}

// keptEvents is what the tail needs of a store.
type keptEvents interface {
	EventsAfter(ctx context.Context, v tenant.Version, limit int) (events []store.Event, epoch string, err error)
	Version(ctx context.Context) (tenant.Version, error)
}

func newTail(from keptEvents, limit time.Duration) *tail {
	return &tail{store: from, limit: limit, reading: make(chan struct{}, 1), nudged: make(chan struct{}, 1), topics: map[string]*topic{}}
}

// wake tells that there is something new.
func (t *tail) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wakes++
	t.readAt = time.Time{}
	select {
	case t.nudged <- struct{}{}:
	default: // it is known
	}
}

// join is for a stream of that service. leave has to be called once.
func (t *tail) join(service string) (own *topic, leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users++; t.users == 1 {
		t.begin()
	}
	if own = t.topics[service]; own == nil {
		own = &topic{changed: make(chan struct{}), since: t.newest().Revision}
		t.topics[service] = own
	}
	own.users++
	return own, func() { t.leave(service, own) }
}

// begin is called with the lock held.
func (t *tail) begin() {
	if time.Since(t.left) > tailKeep {
		t.from, t.events, t.bytes, t.readAt = tenant.Version{}, nil, 0, time.Time{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		t.follow(ctx)
	}()
}

func (t *tail) leave(service string, own *topic) {
	t.mu.Lock()
	if own.users--; own.users == 0 {
		delete(t.topics, service)
	}
	stop := func() {}
	if t.users--; t.users == 0 {
		stop, t.left = t.stop, time.Now()
	}
	t.mu.Unlock()
	stop()
}

// follow reads what is new until ctx ends. What cannot be read shows in soundly.
func (t *tail) follow(ctx context.Context) {
	poll := time.NewTicker(tailPoll)
	defer poll.Stop()
	for {
		_ = t.refresh(ctx) // the next one reads again
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		case <-t.nudged:
		}
	}
}

// news is closed at the next event that concerns the topic. Get it before looking, and wait for it afterwards.
func (t *tail) news(own *topic) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return own.changed
}

// after returns some of the events after v, in order, and how far they are all there is for the topic. ok is false when they are not in
// memory any more. The events are shared: nobody may change them.
func (t *tail) after(v tenant.Version, own *topic) (events []store.Event, upTo tenant.Version, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch newest := t.newest(); {
	case v.Epoch != t.from.Epoch || v.Revision > newest.Revision:
		return nil, v, false
	case v.Revision >= own.since && v.Revision >= own.last:
		return nil, newest, true
	case v.Revision < t.from.Revision:
		return nil, v, false
	}
	at, found := slices.BinarySearchFunc(t.events, v.Revision, func(e store.Event, revision uint64) int {
		return cmp.Compare(e.Revision, revision)
	})
	if found {
		at++
	}
	return slices.Clip(t.events[at:min(at+tailBatch, len(t.events))]), v, true
}

// now is the newest version.
func (t *tail) now(ctx context.Context) (tenant.Version, error) {
	if err := t.refresh(ctx); err != nil {
		return tenant.Version{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newest(), nil
}

// soundly reports whether what is in memory is what the database had a moment ago.
func (t *tail) soundly() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.sound) < tailSound
}

// fresh reports whether nothing has to be read.
func (t *tail) fresh() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.readAt) < tailFresh
}

// refresh reads what is new if what is there may be old.
func (t *tail) refresh(ctx context.Context) error {
	if t.fresh() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	select {
	case t.reading <- struct{}{}:
		defer func() { <-t.reading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.fresh() {
		return nil
	}
	return t.readAll(ctx)
}

// readAll reads all that is new. A change that is made meanwhile may be left for the next call.
func (t *tail) readAll(ctx context.Context) error {
	t.mu.Lock()
	began, wakes := time.Now(), t.wakes
	t.mu.Unlock()
	for more := true; more; {
		var err error
		if more, err = t.read(ctx); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sound = began
	if wakes == t.wakes {
		t.readAt = began
	}
	return nil
}

// read reads one batch, and reports whether there may be more.
func (t *tail) read(ctx context.Context) (more bool, err error) {
	t.mu.Lock()
	at := t.newest()
	t.mu.Unlock()
	if at.Epoch == "" {
		return false, t.restart(ctx)
	}
	events, _, err := t.store.EventsAfter(ctx, at, tailBatch)
	if errors.Is(err, store.ErrGone) { // a new epoch, or nobody has asked for a long time
		return false, t.restart(ctx)
	}
	if err != nil {
		return false, err
	}
	t.add(events)
	return len(events) == tailBatch, nil
}

// restart wakes all: the streams of another epoch have to end.
func (t *tail) restart(ctx context.Context) error {
	v, err := t.store.Version(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.from, t.events, t.bytes = tenant.Version{Epoch: v.Epoch, Revision: v.Revision}, nil, 0
	for _, own := range t.topics {
		own.since = v.Revision
		own.tell(0)
	}
	return nil
}

// add keeps the events, tells those that they concern, and forgets the oldest ones when there are too many.
func (t *tail) add(events []store.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		t.bytes += len(e.Data)
		for service, own := range t.topics {
			if concerns(e, service) {
				own.tell(e.Revision)
			}
		}
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

func (o *topic) tell(revision uint64) {
	o.last = revision
	close(o.changed)
	o.changed = make(chan struct{})
}

// newest is called with the lock held.
func (t *tail) newest() tenant.Version {
	if n := len(t.events); n > 0 {
		return tenant.Version{Epoch: t.from.Epoch, Revision: t.events[n-1].Revision}
	}
	return t.from
}
