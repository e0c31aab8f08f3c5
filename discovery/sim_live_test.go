package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// liveSim is the second layer: a real discovery in a bubble, against a manager and a feed in memory that fail by a
// schedule.
type liveSim struct {
	t       *testing.T
	world   schedule.World
	rand    *rand.Rand // of the events that are gathered
	truth   *truth
	manager *tenanttest.Manager
	feed    *tenanttest.Feed
	cfg     discovery.Config
	backups []*tenanttest.Backup
	damaged []byte // what was put into the snapshot file last that is of no use

	ctx    context.Context //nolint:containedctx // of the schedule: the steps are methods of one shape
	cancel context.CancelFunc
	work   sync.WaitGroup
	held   []func() // answers to release

	unseen   bool           // something is missing of which nothing tells
	silent   bool           // the feed brings nothing, or late
	faulty   bool           // the feed does not bring every event at once
	garble   int            // how many events arrive as garbage
	gather   int            // how many are held back, to be shuffled
	gathered []tenant.Event // what is held back
	rounds   bool           // not to be shuffled, but sent as a relay does
	asked    int            // requests for lists when that began
	past     []tenant.Event // all that were published

	patience  time.Duration // the least time between two requests that the manager's answers ask for; zero if none
	refreshes int           // requests that no rate limits
	rotated   [simTenants]int

	d        *discovery.TenantDiscovery
	began    time.Time // of d
	requests int       // before that
	told     *tally    // by the callbacks
	second   *tally    // by others that were registered after them
	watchers []*tally
	retired  []*tally    // of discoveries that were closed
	closing  atomic.Bool // the next callback closes the discovery

	holesMu  sync.Mutex // guards holes, hearing and withheld
	holes    simHoles
	hearing  hearing
	withheld int // requests for changes that the manager refused, since d began

	heart heart
	xadd  refusedXAdd

	mu  sync.Mutex // guards err
	err error
}

// runLive runs a schedule to its end and returns what was wrong, and how much time passed in it.
func runLive(t *testing.T, s schedule.Schedule) (passed time.Duration, err error) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		began := time.Now()
		sim := newLiveSim(t, s.World)
		sim.run(s.Steps)
		err, passed = sim.failure(), time.Since(began)
	})
	return passed, err
}

func drawLive(seed uint64) schedule.Schedule {
	r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // to be repeated
	s := schedule.Schedule{Name: "live", World: drawWorld(r, seed)}
	for flag, share := range map[string]int{"slow": 3, "panics": 4, "stuck": 5, "file": 12, "spelled": 6, "anonymous": 7} {
		if rand.New(rand.NewPCG(seed, uint64(share))).IntN(share) == 0 { //nolint:gosec // of its own, as a map has no order
			s.World.Flags = append(s.World.Flags, flag)
		}
	}
	if s.World.Has("versions") && rand.New(rand.NewPCG(seed, 21)).IntN(3) > 0 { //nolint:gosec // to be repeated
		s.World.Flags = append(s.World.Flags, "changes")
	}
	if w := rand.New(rand.NewPCG(seed, 20)).IntN(4); w < 2 && s.World.Has("versions") { //nolint:gosec // to be repeated
		s.World.Flags = append(s.World.Flags, []string{"beating", "stream"}[w])
	}
	slices.Sort(s.World.Flags)
	for range 5 + r.IntN(55) {
		s.Steps = append(s.Steps, liveOperations.Draw(r))
	}
	return s
}

func newLiveSim(t *testing.T, w schedule.World) *liveSim {
	t.Helper()
	s := &liveSim{t: t, world: w, truth: newTruth(), feed: newSimFeed(w), rand: rand.New(rand.NewPCG(uint64(w.Numbers["dice"]), 4))} //nolint:gosec // to be repeated
	s.ctx, s.cancel = context.WithCancel(t.Context())
	options := []tenanttest.Option{tenanttest.WithPublisher(s.publish), tenanttest.WithEnvironment("test")}
	if !w.Has("versions") {
		options = append(options, tenanttest.WithoutVersions())
	}
	s.manager = tenanttest.NewManager(options...)
	s.cfg = discovery.Config{
		ServiceName: service, TMClient: s.client(), Feed: tapped{s.feed, s}, Logger: slog.New(slog.DiscardHandler), Environment: "test",
		ResyncInterval: 30 * 24 * time.Hour, // which would hide what it heals
		ResyncSpread:   time.Duration(max(w.Numbers["spread"], 1)) * time.Millisecond,
		NotifyInitial:  w.Has("notify"),
	}
	if w.Has("file") {
		s.cfg.SnapshotFile = filepath.Join(t.TempDir(), "set")
	}
	for n := range min(w.Numbers["tenants"], simTenants) {
		s.must(s.manager.Add(s.ctx, service, s.id(n)))
	}
	return s
}

// client is the TMClient. In a world without changes it cannot ask for them.
func (s *liveSim) client() discovery.ActiveTenantsFetcher {
	from := s.manager.Fetcher()
	lists := asked{from, s}
	if s.world.Has("changes") {
		return askedChanges{lists, from}
	}
	return lists
}

func (s *liveSim) run(steps []schedule.Step) {
	defer s.end()
	s.heart.on(true)
	if s.world.Has("beating") || s.world.Has("stream") {
		s.work.Go(s.beat)
	}
	s.start()
	for _, st := range append(slices.Clone(steps), schedule.Step{Op: "quiesce"}) {
		s.must(liveOperations.Do(s, st))
		settle()
		s.check()
		if err := s.failure(); err != nil {
			s.mu.Lock()
			s.err = fmt.Errorf("%s: %w", st, err)
			s.mu.Unlock()
			return
		}
	}
}

func (s *liveSim) must(err error) {
	if err != nil {
		s.fail(err)
	}
}

func (s *liveSim) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *liveSim) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// publish follows the truth, and lets the event through what goes wrong with it here; the feed has faults of its own.
func (s *liveSim) publish(ctx context.Context, evt tenant.Event) error {
	payload, _ := tenant.DecodePayload[tenant.ServiceReactivated](evt)
	s.truth.commit(s.truth.after(evt, payload.ServiceName == service))
	if evt.EventType == tenant.EventCredentialsRotated {
		if n, ok := numberOf(evt.TenantID); ok {
			s.rotated[n]++
		}
	}
	evt = s.asSent(evt)
	s.past = append(s.past, evt)
	switch {
	case s.world.Has("base") && payload.PreviousStatus == "suspended" && evt.EventType == tenant.EventServiceReactivated && s.tenantWasSuspended():
		return nil
	case s.garble > 0:
		s.garble--
		s.feed.PublishRaw([]byte(`{"event_type":`))
		return nil
	case s.xadd.refuses:
		s.xadd.keep(evt)
		return nil
	case s.gather > 0:
		s.gathered = append(s.gathered, evt)
		if len(s.gathered) >= s.gather {
			s.letGo()
		}
		return nil
	default:
		return s.feed.Publish(ctx, evt)
	}
}

// id is that of the nth tenant, as the manager has it.
func (s *liveSim) id(n int) string {
	if s.world.Has("spelled") {
		return spelled(n, 0)
	}
	return simIDs[n]
}

// asSent is the event without what this world's manager leaves out, and as it spells the id.
func (s *liveSim) asSent(evt tenant.Event) tenant.Event {
	if s.world.Has("undated") {
		evt.Timestamp = time.Time{}
	}
	if s.world.Has("anonymous") {
		evt.EventID = ""
	}
	if n, ok := numberOf(evt.TenantID); ok && s.world.Has("spelled") {
		evt.TenantID = spelled(n, len(s.past))
	}
	evt.Environment = []string{evt.Environment, "", " TEST"}[len(s.past)%3]
	return evt
}

// tenantWasSuspended reports whether the event before was the tenant.activated that a plain manager leaves it at.
func (s *liveSim) tenantWasSuspended() bool {
	return len(s.past) > 1 && s.past[len(s.past)-2].EventType == tenant.EventActivated
}

// letGo delivers what was gathered, in another order. Without versions a snapshot that came meanwhile makes it impossible
// to know what is old, as the lack of dates does.
func (s *liveSim) letGo() {
	events := s.gathered
	s.gathered, s.gather = nil, 0
	if s.rounds {
		events = slices.Concat(roundsOf(events)...)
	} else {
		s.rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	s.unseen = s.unseen || s.world.Has("undated") || s.manager.Requests() != s.asked
	for _, evt := range events {
		s.must(s.feed.Publish(s.ctx, evt))
	}
}

// start makes a discovery and starts it, if need be after the manager is healthy again. One watcher is there before.
func (s *liveSim) start() {
	d, err := discovery.NewTenantDiscovery(s.cfg)
	s.must(err)
	d.Load(uint64(s.world.Numbers["dice"])) //nolint:gosec // a seed may be anything
	d.Bound(s.world.Numbers["many"], s.world.Numbers["slack"])
	s.d, s.truth.at = d, 0
	s.holesMu.Lock()
	s.holes, s.hearing, s.withheld = simHoles{}, hearing{}, 0
	s.holesMu.Unlock()
	s.closing.Store(false)
	s.began, s.requests, s.refreshes, s.patience = time.Now(), s.manager.Requests(), 0, 0
	s.told, s.watchers = &tally{name: "the callbacks", late: !s.world.Has("notify")}, nil
	s.second = &tally{name: "the second callbacks", late: s.told.late}
	s.register(d, s.told)
	s.register(d, s.second)
	s.watch(0)
	settle()
	for range 20 {
		ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
		err = d.Start(ctx)
		cancel() // it bounds Start alone
		if err == nil {
			s.quiet(d.Status().Counters)
			return
		}
		if d.Len() > 0 || d.Status().State != discovery.Starting {
			s.fail(fmt.Errorf("a Start that failed, %w, has left %+v", err, d.Status()))
		}
		s.healManager()
	}
	s.fail(fmt.Errorf("start: %w", err))
}

// quiet holds that what was bootstrapped is not told without NotifyInitial.
func (s *liveSim) quiet(n discovery.Counters) {
	settle()
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	if !s.world.Has("notify") && n.Reconciles+n.EventsApplied == 0 && s.told.known != 0 {
		s.fail(fmt.Errorf("the callbacks were told of %v, which was bootstrapped", s.told.known))
	}
}

// register adds callbacks, of which some are slow and some panic after they have told.
func (s *liveSim) register(d *discovery.TenantDiscovery, told *tally) {
	tell := func(ctx context.Context, kind tenant.Kind, id string) {
		told.tell(kind, id)
		if s.closing.Load() {
			if err := d.Close(); !errorsIs(err, discovery.ErrCallbackRunning) {
				s.fail(fmt.Errorf("close from a callback: %w", err))
			}
		}
		switch n, _ := numberOf(id); {
		case n == 0 && s.world.Has("stuck"):
			wait(context.WithoutCancel(ctx), 1500*time.Millisecond)
		case s.world.Has("slow"):
			wait(ctx, 300*time.Millisecond)
		}
		if s.world.Has("panics") && len(id)%2 == 0 {
			panic("as planned")
		}
	}
	d.OnTenantAdded(func(ctx context.Context, id string) { tell(ctx, tenant.Added, id) })
	d.OnTenantRemoved(func(ctx context.Context, id string) { tell(ctx, tenant.Removed, id) })
	d.OnTenantReconfigured(func(ctx context.Context, id string, _ tenant.EventType) { tell(ctx, tenant.Reconfigured, id) })
}

func (s *liveSim) tallies() []*tally { return append(slices.Clone(s.watchers), s.told, s.second) }

// watch adds a loop over Changes that waits for a while after each.
func (s *liveSim) watch(slow time.Duration) {
	y, d := &tally{name: fmt.Sprint("watcher ", len(s.watchers))}, s.d
	s.watchers = append(s.watchers, y)
	s.work.Go(func() {
		for change := range d.Changes(s.ctx) {
			y.tell(change.Kind, change.TenantID)
			wait(s.ctx, slow)
		}
	})
}

// stop closes the discovery, and sees that it comes to an end.
func (s *liveSim) stop() {
	began, last := time.Now(), s.truthful()
	err := s.d.Close()
	took := time.Since(began)
	switch {
	case err != nil && !errorsIs(err, discovery.ErrCallbackRunning):
		s.fail(fmt.Errorf("close: %w", err))
	case took > 1100*time.Millisecond:
		s.fail(fmt.Errorf("close took %v", took))
	}
	for _, y := range s.tallies() {
		y.close()
	}
	s.retired = append(s.retired, s.tallies()...)
	settle()
	if set := setOf(s.d.All()); set != last {
		s.fail(fmt.Errorf("close has changed the set from %v to %v", last, set))
	}
	if state := s.d.Status().State; state != discovery.Closed {
		s.fail(fmt.Errorf("closed, and the state is %v", state))
	}
}

// truthful returns the set once all is settled.
func (s *liveSim) truthful() tenantSet {
	settle()
	return setOf(s.d.All())
}

func (s *liveSim) healManager() {
	s.manager.ClearFaults()
	for _, release := range s.held {
		release()
	}
	s.held = nil
}

// end closes, and sees that nothing is told afterwards. That nothing is left the bubble sees itself.
func (s *liveSim) end() {
	s.healManager()
	s.stop()
	s.cancel()
	s.work.Wait()
	pass(time.Minute)
	for _, y := range s.retired {
		s.must(y.err())
	}
	if s.cfg.SnapshotFile != "" {
		s.must(s.onlyTheFile())
	}
}

// onlyTheFile holds that no other files are left beside it.
func (s *liveSim) onlyTheFile() error {
	entries, err := os.ReadDir(filepath.Dir(s.cfg.SnapshotFile))
	if err == nil && len(entries) > 1 {
		err = fmt.Errorf("%d files are left beside the snapshot file", len(entries)-1)
	}
	return err
}
