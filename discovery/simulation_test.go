package discovery_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

var (
	schedules = flag.Int("simulation.schedules", 500, "how many schedules TestSimulation runs")
	firstSeed = flag.Uint64("simulation.seed", 1, "the seed of the first; the others follow")
	onlySteps = flag.Int("simulation.steps", 0, "how many steps of each schedule, to shorten one that fails; 0 is all")
)

// TestSimulation runs a real discovery in a bubble against a manager and a feed that fail at random, half of them without
// versions. Then the faults stop, and the set has to be the manager's within one reconcile.
func TestSimulation(t *testing.T) {
	var passed time.Duration
	for i := range uint64(*schedules) { //nolint:gosec // a count is never negative
		seed := *firstSeed + i
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				newSimulation(t, seed).run()
				passed += time.Since(began)
			})
		})
		if !ok {
			t.Fatalf("seed %d failed; again with -simulation.schedules=1 -simulation.seed=%d, fewer with -simulation.steps", seed, seed)
		}
	}
	t.Logf("%d schedules, %v of simulated time", *schedules, passed.Round(time.Hour))
}

// simulation is one schedule.
type simulation struct {
	t        *testing.T
	rand     *rand.Rand
	f        *fixture
	d        *discovery.TenantDiscovery
	versions bool
	unseen   bool            // something may have been lost of which nothing tells
	truth    map[string]bool // by the events, up to the revision below
	sets     []string        // the truth after each revision, from zero on
	at       int             // the revision at which the set was last
	ever     map[string]bool // tenants that were true at some time
	held     []func()        // answers to release
	told     *tally          // by the callbacks
	watchers []*tally
	work     sync.WaitGroup
	cancel   context.CancelFunc
	trace    []string
}

// tally folds what a watcher is told, and complains when it does not alternate.
type tally struct {
	name string

	mu        sync.Mutex
	active    map[string]bool
	complaint error
}

func newTally(name string) *tally { return &tally{name: name, active: map[string]bool{}} }

func (y *tally) tell(kind tenant.Kind, id string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.active[id] != (kind != tenant.Added) && y.complaint == nil {
		y.complaint = fmt.Errorf("%s was told %s %s when it was not to be", y.name, kind, id)
	}
	switch kind {
	case tenant.Added:
		y.active[id] = true
	case tenant.Removed:
		delete(y.active, id)
	case tenant.Reconfigured:
	}
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	t.Helper()
	s := &simulation{t: t, rand: rand.New(rand.NewPCG(seed, 2)), ever: map[string]bool{}, told: newTally("the callbacks")} //nolint:gosec // to be repeated
	s.f = newFixture(t)
	s.versions = seed%2 == 0
	if !s.versions {
		s.f.plain(t)
	}
	s.truth, s.sets = map[string]bool{}, []string{""}
	s.f.cfg.ResyncInterval = 30 * 24 * time.Hour // which would hide what it heals
	s.f.cfg.NotifyInitial = true
	s.f.cfg.ResyncSpread = time.Duration(1+s.rand.IntN(1000)) * time.Millisecond
	for i := range s.rand.IntN(30) {
		s.f.add(t, fmt.Sprint("t", i))
	}
	s.d = s.f.new(t)
	s.register()
	return s
}

// register adds callbacks, of which some are slow and some panic after they have told.
func (s *simulation) register() {
	slow, panics := s.rand.IntN(3) == 0, s.rand.IntN(4) == 0
	tell := func(ctx context.Context, kind tenant.Kind, id string) {
		s.told.tell(kind, id)
		if slow {
			wait(ctx, 300*time.Millisecond)
		}
		if panics && len(id)%2 == 0 {
			panic("as planned")
		}
	}
	s.d.OnTenantAdded(func(ctx context.Context, id string) { tell(ctx, tenant.Added, id) })
	s.d.OnTenantRemoved(func(ctx context.Context, id string) { tell(ctx, tenant.Removed, id) })
	s.d.OnTenantReconfigured(func(ctx context.Context, id string, _ tenant.EventType) { tell(ctx, tenant.Reconfigured, id) })
}

func (s *simulation) run() {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.cancel = cancel
	defer s.end()
	s.note()
	for s.d.Start(ctx) != nil {
		s.f.manager.ClearFaults()
	}
	steps := 10 + s.rand.IntN(50)
	for i := range steps {
		if *onlySteps > 0 && i >= *onlySteps {
			break
		}
		s.step(ctx)
		settle()
		s.check()
	}
	s.quiesce()
}

// step does one thing at random.
func (s *simulation) step(ctx context.Context) {
	pick := s.rand.IntN(100)
	switch {
	case pick < 40:
		s.change(ctx)
	case pick < 60:
		s.breakFeed()
	case pick < 75:
		s.breakManager()
	case pick < 80:
		s.did("refresh")
		s.work.Go(func() { _ = s.d.Refresh(ctx) })
	case pick < 84:
		s.did("watch")
		s.watch(ctx)
	case pick < 86 && len(s.held) > 0:
		s.did("release")
		s.release()
	case pick < 88:
		s.quiesce()
	case pick < 90 && s.d.Len() >= 15 && s.d.Status().State == discovery.Live: // two in a row would be believed
		s.did("empty")
		s.f.manager.ClearFaults()
		s.f.manager.EmptyList(1)
		s.work.Go(func() { _ = s.d.Refresh(ctx) })
	default:
		s.pass(time.Duration(s.rand.ExpFloat64() * float64(5*time.Second)))
	}
}

// pass lets time pass, and looks again and again.
func (s *simulation) pass(d time.Duration) {
	const looks = 20
	s.did("pass " + d.String())
	for range looks {
		pass(d / looks)
		s.check()
	}
}

func (s *simulation) did(what string) { s.trace = append(s.trace, what) }

// change makes a random one at the manager; one that is not possible changes nothing.
func (s *simulation) change(ctx context.Context) {
	id := fmt.Sprint("t", s.rand.IntN(30))
	m := s.f.manager
	var what string
	var err error
	switch s.rand.IntN(7) {
	case 0, 1:
		what, err = "add", m.Add(ctx, service, id)
	case 2:
		what, err = "suspend", m.Suspend(ctx, id)
	case 3:
		what, err = "reactivate", m.Reactivate(ctx, id)
	case 4:
		what, err = "delete", m.Delete(ctx, id)
	case 5:
		what, err = "disassociate", m.Disassociate(ctx, id, service, s.rand.IntN(2) == 0)
	case 6:
		what, err = "rotate", m.RotateCredentials(ctx, id, service)
	}
	if err == nil {
		s.did(what + " " + id)
	}
	s.note()
	wait(ctx, time.Millisecond) // so that no two events have one timestamp
}

// note follows the truth, by the events that the manager made.
func (s *simulation) note() {
	events := s.f.manager.Events()
	for _, evt := range events[len(s.sets)-1:] {
		switch evt.EventType {
		case tenant.EventServiceAssociated, tenant.EventServiceReactivated:
			s.truth[evt.TenantID], s.ever[evt.TenantID] = true, true
		case tenant.EventServiceDisassociated, tenant.EventServiceSuspended, tenant.EventServicePurged, tenant.EventSuspended, tenant.EventDeleted:
			delete(s.truth, evt.TenantID)
		default:
		}
		s.sets = append(s.sets, joined(maps.Keys(s.truth)))
	}
}

func joined(ids iter.Seq[string]) string { return strings.Join(slices.Sorted(ids), " ") }

func (s *simulation) breakFeed() {
	feed, n := s.f.feed, 1+s.rand.IntN(8)
	faults := map[string]func(){
		"drop":        func() { feed.Drop(n); s.unseen = true },
		"duplicate":   func() { feed.Duplicate(n) },
		"reorder":     func() { feed.Reorder(n); s.unseen = true },
		"delay":       func() { feed.Delay(time.Duration(s.rand.ExpFloat64() * float64(10*time.Second))) },
		"silence":     func() { feed.Silence(s.rand.IntN(2) == 0); s.unseen = true },
		"disconnect":  func() { feed.Disconnect(nil) },
		"connect":     feed.Connect,
		"gap":         func() { feed.Gap(nil) },
		"resubscribe": feed.Resubscribe,
		"heartbeat":   func() { feed.Heartbeat(s.f.manager.Version()) },
		"end":         func() { feed.EndRuns(errors.New("as planned")) },
		"bad event":   func() { feed.PublishRaw([]byte("{")) },
	}
	s.oneOf(faults)
}

func (s *simulation) breakManager() {
	m, n := s.f.manager, 1+s.rand.IntN(3)
	faults := map[string]func(){
		"fail":    func() { m.FailList(n, 500, "") },
		"deny":    func() { m.FailList(n, 401, "") },
		"busy":    func() { m.FailList(n, 503, "3") },
		"slow":    func() { m.DelayList(n, time.Duration(s.rand.IntN(4000))*time.Millisecond) },
		"cut":     func() { m.CutList(n) },
		"drop":    func() { m.DropList(n) },
		"garbage": func() { m.AnswerList(n, tenanttest.Answer{Body: []byte("<html>")}) },
		"hold": func() {
			_, release := m.HoldList()
			s.held = append(s.held, release)
		},
		"clear": m.ClearFaults,
	}
	if s.versions {
		faults["stale"] = func() { m.StaleList(n, s.rand.Uint64N(m.Version().Revision+1)) }
	}
	s.oneOf(faults)
}

func (s *simulation) oneOf(faults map[string]func()) {
	names := make([]string, 0, len(faults))
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[s.rand.IntN(len(names))]
	s.did(name)
	faults[name]()
}

func (s *simulation) release() {
	for _, release := range s.held {
		release()
	}
	s.held = nil
}

// watch adds a loop over Changes, which may be slow.
func (s *simulation) watch(ctx context.Context) {
	y := newTally(fmt.Sprint("watcher ", len(s.watchers)))
	s.watchers = append(s.watchers, y)
	slow := time.Duration(s.rand.IntN(2)) * 200 * time.Millisecond
	s.work.Go(func() {
		for change := range s.d.Changes(ctx) {
			y.tell(change.Kind, change.TenantID)
			wait(ctx, slow)
		}
	})
}

// check holds what has to be true at any time.
func (s *simulation) check() {
	for id := range s.d.All() {
		if !s.ever[id] {
			s.failf("%s is in the set and was never true", id)
		}
	}
	s.revision()
	for _, y := range append(s.watchers, s.told) {
		y.mu.Lock()
		complaint := y.complaint
		y.mu.Unlock()
		if complaint != nil {
			s.failf("%v", complaint)
		}
	}
}

// revision holds that, with versions, the set is the truth at one revision whenever it is live, and never goes back.
func (s *simulation) revision() {
	if !s.versions || s.d.Status().State != discovery.Live {
		return
	}
	got := joined(s.d.All())
	for r, set := range s.sets[s.at:] {
		if set == got {
			s.at += r
			return
		}
	}
	s.failf("live, and the set is %q, which was the truth at no revision from %d on: %q", got, s.at, s.sets[s.at:])
}

// quiesce ends all faults, lets one reconcile come, and wants everything to be equal. What nobody can have noticed is
// told by a heartbeat, or, without versions, by a gap.
func (s *simulation) quiesce() {
	s.did("quiesce")
	s.f.manager.ClearFaults()
	s.release()
	s.f.feed.ClearFaults()
	if err := s.f.feed.Flush(s.t.Context()); err != nil {
		s.failf("%v", err)
	}
	s.f.feed.Connect()
	settle()
	if s.versions {
		s.f.feed.Heartbeat(s.f.manager.Version())
	} else if s.unseen {
		s.f.feed.Gap(nil)
	}
	s.unseen = false
	pass(s.f.cfg.ResyncSpread + 35*time.Second) // the longest back-off, and the callbacks that are slow
	truth := joined(maps.Keys(s.truth))
	if got := joined(s.d.All()); got != truth {
		s.failf("the set is %q, the truth %q; %+v", got, truth, s.d.Status())
	}
	if state := s.d.Status().State; state != discovery.Live {
		s.failf("the state is %v; %+v", state, s.d.Status())
	}
	for _, y := range append(s.watchers, s.told) {
		y.mu.Lock()
		believed := joined(maps.Keys(y.active))
		y.mu.Unlock()
		if believed != truth {
			s.failf("%s believes in %q, the truth is %q", y.name, believed, truth)
		}
	}
}

// end closes, and sees that nothing is told afterwards. That nothing is left the bubble sees itself.
func (s *simulation) end() {
	s.release()
	_ = s.d.Close()
	before := len(s.told.active)
	s.cancel()
	s.work.Wait()
	pass(time.Minute)
	if len(s.told.active) != before {
		s.t.Error("told after Close")
	}
}

func (s *simulation) failf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf(format, args...)
	s.t.Fatalf("the schedule: %q", s.trace)
}
