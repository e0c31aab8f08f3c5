package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

func errorsIs(err, target error) bool { return errors.Is(err, target) }

// check holds what has to be true at any time.
func (s *liveSim) check() {
	set, status := setOf(s.d.All()), s.d.Status()
	s.must(s.truth.invented(set))
	if s.world.Has("versions") && status.State == discovery.Live {
		s.must(s.complete(set, status))
	}
	s.heart.heard(s.feed.Subscribers() > 0 && !s.silent)
	if status.State == discovery.Live {
		s.must(s.audible(status))
	}
	for _, y := range s.tallies() {
		s.must(y.err())
	}
	copied := s.d.ActiveTenantIDs()
	for i := range copied {
		copied[i] = "scribbled"
	}
	s.must(consistent(set, status, s.d, s.id))
	s.must(s.rate())
}

// complete is that of the model, which knows what was handed over, and by which list it was covered.
func (s *liveSim) complete(set tenantSet, status discovery.Status) error {
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	s.holes.listed = status.Version
	return s.holes.complete(s.truth, set, time.Now())
}

// tapped is the feed, of which the model hears too.
type tapped struct {
	*tenanttest.Feed

	sim *liveSim
}

// Run runs the feed.
func (f tapped) Run(ctx context.Context, sink func(tenant.Signal)) error {
	return f.Feed.Run(ctx, func(sig tenant.Signal) {
		if sig.Event.Environment != "another" {
			f.sim.heard(sig.Event)
		}
		f.sim.listens(sig)
		sink(sig)
	})
}

func (s *liveSim) heard(evt tenant.Event) {
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	s.holes.hear(evt.Version(), time.Now())
}

// consistent holds that what can be read at once fits together.
func consistent(set tenantSet, status discovery.Status, d *discovery.TenantDiscovery, idOf func(n int) string) error {
	if again := setOf(d.All()); again != set {
		return fmt.Errorf("a reader that scribbled on its copy has changed the set from %v to %v", set, again)
	}
	if count(set) != status.Tenants || d.Len() != status.Tenants {
		return fmt.Errorf("there are %d tenants, Len says %d, Status %d", count(set), d.Len(), status.Tenants)
	}
	for n := range simTenants {
		id := idOf(n)
		if d.IsActive(id) != (set&(1<<n) != 0) {
			return fmt.Errorf("IsActive(%s) does not fit %v", id, set)
		}
	}
	var fits bool
	switch status.State {
	case discovery.Live:
		fits = status.FeedConnected && status.FeedError == nil
	case discovery.Syncing:
		fits = status.FeedConnected
	case discovery.Polling:
		unheard := errorsIs(status.FeedError, redisevents.ErrNoHeartbeat)
		fits = status.FeedConnected == unheard && status.SnapshotError == nil
	case discovery.Stale:
		fits = status.SnapshotError != nil
	default:
		fits = true
	}
	if !fits {
		return fmt.Errorf("the state does not fit what is known: %+v", status)
	}
	return nil
}

// rate holds that the manager is not asked more often than it is to be.
func (s *liveSim) rate() error {
	asked, passed := s.listsAsked()-s.requests-s.refreshes, time.Since(s.began)
	// one that begins with the start and one that waits for nothing, and 20 starts at most
	if most := int(passed/s.cfg.ResyncSpread) + 22; asked > most {
		return fmt.Errorf("%d requests in %v, with at least %v between two", asked, passed, s.cfg.ResyncSpread)
	}
	return nil
}

// listsAsked is how many requests there were, without those for changes which another one for the list follows.
func (s *liveSim) listsAsked() int {
	s.holesMu.Lock()
	defer s.holesMu.Unlock()
	return s.manager.Requests() - s.withheld
}

// pass lets time pass, and looks again and again. While the manager asks for patience it gets that.
func (s *liveSim) pass(d time.Duration) {
	const looks = 20
	before, refreshes := s.listsAsked(), s.refreshes
	for range looks {
		pass(d / looks)
		s.check()
	}
	asked := s.listsAsked() - before - (s.refreshes - refreshes)
	// one may be due when this begins, and one may have begun before the manager said so
	if most := 2 + int(d/max(s.patience, 1)); s.patience > 0 && asked > most {
		s.fail(fmt.Errorf("%d requests in %v of a manager that asks for %v between two", asked, d, s.patience))
	}
}

// calm reports whether an event is to have its effect at once.
func (s *liveSim) calm() bool {
	return !s.faulty && s.gather == 0 && s.garble == 0 && s.feed.Subscribers() == 1 && s.d.Status().State == discovery.Live &&
		setOf(s.d.All()) == s.truth.now() // which is not so after a list of a replica that lags, until it shows
}

// changed makes a change at the manager; one that is not possible changes nothing. In a calm world the set follows at
// once, and asks nobody.
func (s *liveSim) changed(change func() error) {
	calm, requests, heard := s.calm(), s.manager.Requests(), len(s.past)
	_ = change() // which is not possible, or has happened
	settle()
	if calm && !s.world.Has("base") && len(s.past) > heard && s.manager.Requests() == requests {
		if set := setOf(s.d.All()); set != s.truth.now() {
			s.fail(fmt.Errorf("nothing is in the way, and the set is %v, the truth %v", set, s.truth.now()))
		}
	}
	wait(s.ctx, time.Millisecond) // so that no two events have one timestamp
}

// quiesce ends all faults, lets what is due come, and wants everything to be equal. What nobody can have noticed is told
// by a heartbeat or, without versions, by a gap.
func (s *liveSim) quiesce() {
	s.healManager()
	s.patience = 0
	s.letGo()
	s.garble = 0
	s.heart.on(true)
	s.letIn()
	s.feed.ClearFaults()
	s.must(s.feed.Flush(s.ctx))
	s.feed.Connect()
	settle()
	switch {
	case s.world.Has("versions"):
		s.feed.Heartbeat(s.manager.Version())
	case s.unseen:
		s.feed.Gap(nil)
	}
	s.unseen, s.faulty, s.silent = false, false, false
	// the longest back-off, the guard's delay and the callbacks that are slow
	s.pass(s.cfg.ResyncSpread + 60*time.Second)
	set, status := setOf(s.d.All()), s.d.Status()
	if set != s.truth.now() || status.State != discovery.Live {
		s.fail(fmt.Errorf("the set is %v, the truth %v; %+v", set, s.truth.now(), status))
	}
	for _, y := range s.tallies() {
		s.must(y.believes(set))
	}
	s.must(explained(s.d.Explain, func(n, _ int) string { return s.id(n) }, set))
	s.refreshes++
	s.must(s.d.Refresh(s.ctx))
	if marks, ahead := s.d.Remembered(); marks > 0 || ahead > 0 {
		s.fail(fmt.Errorf("%d tenants and %d revisions are remembered that a snapshot has covered", marks, ahead))
	}
}
