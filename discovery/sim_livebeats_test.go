package discovery_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// beatEvery is how often a manager sends heartbeats; a reader of a stream looks within that and a hole's patience.
const beatEvery = 5 * time.Second

// newSimFeed is like Pub/Sub in a world where heartbeats are expected, and like a stream where they are heard only.
func newSimFeed(w schedule.World) *tenanttest.Feed {
	if w.Has("beating") {
		return tenanttest.NewFeed(tenanttest.WithHeartbeats())
	}
	return tenanttest.NewFeed()
}

// heart is the manager's: it beats, or has stopped.
type heart struct {
	mu    sync.Mutex // guards what follows
	beats bool
	turns chan struct{} // closed when it goes on
	quiet time.Time     // when it was last not to be heard
}

func (h *heart) on(beats bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if beats && !h.beats && h.turns != nil {
		close(h.turns)
	}
	if !beats && h.beats || h.turns == nil { // one that has stopped already is waited for by what there is
		h.turns = make(chan struct{})
	}
	if !beats {
		h.quiet = time.Now()
	}
	h.beats = beats
}

// stopped returns what is closed when it goes on, nil while it beats.
func (h *heart) stopped() chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.beats {
		return nil
	}
	return h.turns
}

// heard notes whether it can be heard now.
func (h *heart) heard(audible bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !audible || !h.beats {
		h.quiet = time.Now()
	}
}

func (h *heart) since() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.quiet
}

// beat sends heartbeats, as the manager does.
func (s *liveSim) beat() {
	for s.ctx.Err() == nil {
		if stopped := s.heart.stopped(); stopped != nil {
			select {
			case <-stopped:
			case <-s.ctx.Done():
			}
			continue
		}
		s.feed.Heartbeat(s.manager.Version())
		wait(s.ctx, beatEvery)
	}
}

// refusedXAdd is a Redis that takes PUBLISH, by which heartbeats go, and no entry of the stream.
type refusedXAdd struct {
	refuses bool
	kept    []tenant.Event // by the manager, in their order
	since   time.Time
}

func (x *refusedXAdd) keep(evt tenant.Event) {
	if len(x.kept) == 0 {
		x.since = time.Now()
	}
	x.kept = append(x.kept, evt)
}

// letIn has the stream take what the manager has kept.
func (s *liveSim) letIn() {
	kept := s.xadd.kept
	s.xadd = refusedXAdd{}
	for _, evt := range kept {
		s.must(s.feed.Publish(s.ctx, evt))
	}
}

// audible holds that a set which is said to be live is that of a manager that is heard, where it has to be, and that a
// reader of the stream has looked once a heartbeat could tell that it was behind.
func (s *liveSim) audible(status discovery.Status) error {
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	if s.world.Has("beating") {
		return s.hearing.complete(status.Version)
	}
	if len(s.xadd.kept) == 0 {
		return nil
	}
	first := s.xadd.kept[0].Version()
	told := time.Since(later(s.xadd.since, s.heart.since())) > beatEvery+time.Second
	if v := status.Version; told && v.Epoch == first.Epoch && v.Revision < first.Revision {
		return fmt.Errorf("live with the list of %s, and %s has not been in the stream for %v", v, first, time.Since(s.xadd.since))
	}
	return nil
}

// listens notes what came by the feed.
func (s *liveSim) listens(sig tenant.Signal) {
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	switch sig.Kind {
	case tenant.SignalSubscribed:
		s.hearing.subscribed(time.Now())
	case tenant.SignalHeartbeat:
		s.hearing.hear(time.Now(), sig.Version.Epoch)
	case tenant.SignalEvent:
		if sig.Event.Environment != "another" {
			s.hearing.hear(time.Now(), sig.Event.Version().Epoch)
		}
	default:
	}
}

// asked is the TMClient, of which the model knows what had been heard when a list was asked for.
type asked struct {
	bothFetchers

	sim *liveSim
}

// FetchSnapshot asks the manager.
func (a asked) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	s := a.sim
	s.holesMu.Lock()
	late := s.hearing.late
	s.holesMu.Unlock()
	got, err := a.bothFetchers.FetchSnapshot(ctx, req)
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	if err == nil {
		s.hearing.covered = max(s.hearing.covered, late)
	}
	return got, err
}

// askedChanges is asked, of a manager that can list changes.
type askedChanges struct {
	asked

	changes discovery.ChangesFetcher
}

// FetchChanges asks the manager. When it refuses, the list is asked for at once.
func (a askedChanges) FetchChanges(ctx context.Context, req tenant.ChangesRequest) (tenant.Changes, error) {
	s := a.sim
	s.holesMu.Lock()
	late := s.hearing.late
	s.holesMu.Unlock()
	got, err := a.changes.FetchChanges(ctx, req)
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	switch {
	case err == nil:
		s.hearing.covered = max(s.hearing.covered, late)
	case errorsIs(err, tenant.ErrChangesGone), errorsIs(err, tenant.ErrNoChanges):
		s.withheld++
	}
	return got, err
}
