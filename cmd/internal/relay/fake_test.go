package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const epoch = "e"

// row is one event of a fakeStore.
type row struct {
	store.Event

	sent        time.Time
	quarantined string
}

func (r *row) waits() bool { return r.sent.IsZero() && r.quarantined == "" }

// fakeStore is an outbox in memory. The fields that are functions may be set under its lock to make calls fail.
type fakeStore struct {
	mu      sync.Mutex
	rows    []*row
	settled int // that many of the first rows do not wait
	pruned  []time.Time
	leads   int
	reads   int
	marks   int   // of events, one event as often as it is marked
	err     error // of everything that reads
	markErr error // of everything that writes
	lock    chan struct{}
	leading func() error
	turns   turns
}

func newFakeStore() *fakeStore { return &fakeStore{lock: make(chan struct{}, 1)} }

// add commits one event for each tenant, of the next revisions.
func (s *fakeStore) add(tenants ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range tenants {
		revision := uint64(len(s.rows) + 1)
		event := tenant.Event{
			EventID: fmt.Sprintf("id-%d", revision), EventType: tenant.EventUpdated, TenantID: id, Environment: "staging",
			Epoch: epoch, Revision: revision, Timestamp: time.Now().UTC(),
		}
		data, _ := json.Marshal(event)
		s.rows = append(s.rows, &row{Event: store.Event{Event: event, Data: data, At: time.Now()}})
	}
}

func (s *fakeStore) Environment() string { return "staging" }

func (s *fakeStore) Lead(ctx context.Context) (func(), error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case s.lock <- struct{}{}:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		<-s.lock
		return nil, s.err
	}
	s.leads++
	return func() { <-s.lock }, nil
}

func (s *fakeStore) Leading(context.Context) error {
	s.mu.Lock()
	check := s.leading
	s.mu.Unlock()
	if check == nil {
		return nil
	}
	return check()
}

func (s *fakeStore) Version(context.Context) (tenant.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tenant.Version{Epoch: epoch, Revision: uint64(len(s.rows))}, s.err
}

func (s *fakeStore) PendingAfter(_ context.Context, revision uint64, limit int) ([]store.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	s.turns.count()
	var found []store.Event
	for i := s.settled; i < len(s.rows) && len(found) < limit; i++ {
		switch {
		case s.rows[i].waits() && s.rows[i].Revision <= revision:
		case s.rows[i].waits():
			found = append(found, s.rows[i].Event)
		case i == s.settled:
			s.settled++
		}
	}
	return found, s.err
}

func (s *fakeStore) MarkSent(_ context.Context, events ...store.EventRef) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.markErr != nil {
		return s.markErr
	}
	s.marks += len(events)
	for _, event := range events {
		if r, err := s.row(event); err == nil {
			r.sent = time.Now()
		}
	}
	return nil
}

func (s *fakeStore) row(event store.EventRef) (*row, error) {
	if r := s.rows[event.Revision-1]; r.Ref() == event {
		return r, nil
	}
	return nil, store.ErrNotFound
}

func (s *fakeStore) MarkFailed(_ context.Context, event store.EventRef, _ string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.row(event)
	if err != nil {
		return 0, err
	}
	r.Attempts++
	return r.Attempts, s.markErr
}

func (s *fakeStore) Quarantine(_ context.Context, event store.EventRef, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.row(event)
	if err == nil && s.markErr == nil {
		r.quarantined = reason
	}
	return errors.Join(err, s.markErr)
}

func (s *fakeStore) Outbox(context.Context) (store.OutboxStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var status store.OutboxStatus
	for _, r := range s.rows {
		switch {
		case r.quarantined != "":
			status.Quarantined++
		case r.sent.IsZero():
			status.Pending++
			if status.Oldest.IsZero() {
				status.Oldest = r.At
			}
		}
	}
	return status, s.err
}

func (s *fakeStore) Prune(_ context.Context, before time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruned = append(s.pruned, before)
	return 0, s.err
}

// set changes the store under its lock.
func (s *fakeStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// beat is a heartbeat that a fakePublisher was given.
type beat struct {
	at       time.Duration // since the test began
	revision uint64
}

// fakePublisher keeps what it is given. refuse says what is wrong with an event, down with everything.
type fakePublisher struct {
	mu     sync.Mutex
	began  time.Time
	sent   []tenant.Event
	data   []string
	beats  []beat
	calls  int
	refuse func(tenant.Event) error
	full   bool           // the stream takes nothing
	stream []tenant.Event // what it took
	down   error
	noBeat error
	before func(ctx context.Context) // each PublishAll
}

func newFakePublisher() *fakePublisher { return &fakePublisher{began: time.Now()} }

func (p *fakePublisher) PublishAll(ctx context.Context, events [][]byte) []error {
	return p.take(ctx, events, true, true)
}

func (p *fakePublisher) AnnounceAll(ctx context.Context, events [][]byte) []error {
	return p.take(ctx, events, true, false)
}

func (p *fakePublisher) AppendAll(ctx context.Context, events [][]byte) []error {
	return p.take(ctx, events, false, true)
}

func (p *fakePublisher) take(ctx context.Context, events [][]byte, announce, add bool) []error {
	p.mu.Lock()
	before := p.before
	p.calls++
	p.mu.Unlock()
	if before != nil {
		before(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		return slices.Repeat([]error{p.down}, len(events))
	}
	errs := make([]error, len(events))
	stopped := map[string]bool{}
	for i, data := range events {
		if announce {
			errs[i] = p.publish(ctx, data, stopped)
		}
		if add && errs[i] == nil {
			errs[i] = p.append(data, announce)
		}
	}
	return errs
}

// append keeps what the stream takes. That of one tenant may come only in the order of its events.
func (p *fakePublisher) append(data []byte, announced bool) error {
	event, _ := tenant.ParseEvent(data)
	switch {
	case !p.full:
		p.stream = append(p.stream, event)
		return nil
	case announced:
		return fmt.Errorf("%w: %w", redisevents.ErrNotInStream, errUnready)
	default:
		return errUnready
	}
}

func (p *fakePublisher) publish(ctx context.Context, data []byte, stopped map[string]bool) error {
	event, err := tenant.ParseEvent(data)
	if err != nil {
		return err
	}
	if stopped[event.TenantID] {
		return redisevents.ErrSkipped
	}
	err = ctx.Err()
	if err == nil && p.refuse != nil {
		err = p.refuse(event)
	}
	if err != nil {
		stopped[event.TenantID] = true
		return err
	}
	p.sent, p.data = append(p.sent, event), append(p.data, string(data))
	return nil
}

func (p *fakePublisher) Heartbeat(_ context.Context, environment string, v tenant.Version) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if environment != "staging" || v.Epoch != epoch {
		return fmt.Errorf("a heartbeat for %q and %v", environment, v)
	}
	if err := errors.Join(p.down, p.noBeat); err != nil {
		return err
	}
	p.beats = append(p.beats, beat{time.Since(p.began), v.Revision})
	return nil
}

// set changes the publisher under its lock.
func (p *fakePublisher) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// revisions returns what was sent so far.
func (p *fakePublisher) revisions() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []uint64
	for _, event := range p.sent {
		all = append(all, event.Revision)
	}
	return all
}

// world is one relay with its fakes, in a bubble.
type world struct {
	*fakeStore

	t         *testing.T
	publisher *fakePublisher
	log       *bytes.Buffer // read it after stop
	relay     *Relay
	stop      func()
}

// passes lets simulated time pass, and returns once all is done that is due by then.
func (w *world) passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// inWorld runs a test in a bubble. The relay runs already, and has nothing to do yet.
func inWorld(t *testing.T, cfg Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{fakeStore: newFakeStore(), t: t, publisher: newFakePublisher(), log: &bytes.Buffer{}}
		cfg.Store, cfg.Publisher = w.fakeStore, w.publisher
		cfg.Logger = slog.New(slog.NewTextHandler(w.log, nil))
		w.start(cfg)
		synctest.Wait()
		test(w)
		w.stop()
	})
}

// start runs a relay until stop is called, which waits for it.
func (w *world) start(cfg Config) {
	w.t.Helper()
	relay, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	w.relay = relay
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			w.t.Errorf("Run returned %v", err)
		}
	})
}

// wake commits events, wakes the relay, and returns once it has nothing more to do.
func (w *world) wake(tenants ...string) {
	w.add(tenants...)
	w.relay.Wake()
	synctest.Wait()
}

func (w *world) status() store.OutboxStatus {
	w.t.Helper()
	status, err := w.Outbox(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}

func (w *world) expectSent(want ...uint64) {
	w.t.Helper()
	if got := w.publisher.revisions(); !slices.Equal(got, want) {
		w.t.Errorf("sent %v, want %v", got, want)
	}
}

// logged counts the lines that have all these words in them. Call it after stop.
func (w *world) logged(words ...string) int {
	n := 0
	for line := range strings.Lines(w.log.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n++
		}
	}
	return n
}

// repeat returns n times the tenants, in turn.
func repeat(n int, tenants ...string) []string {
	var all []string
	for range n {
		all = append(all, tenants...)
	}
	return all
}

// inOrder checks that the first time each event was sent is in the order of its tenant, and returns how many there were.
func inOrder(t testing.TB, sent []tenant.Event) int {
	t.Helper()
	seen, last := map[uint64]bool{}, map[string]uint64{}
	for _, event := range sent {
		if seen[event.Revision] {
			continue
		}
		seen[event.Revision] = true
		if event.Revision < last[event.TenantID] {
			t.Errorf("tenant %s: %d came after %d", event.TenantID, event.Revision, last[event.TenantID])
		}
		last[event.TenantID] = event.Revision
	}
	return len(seen)
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
