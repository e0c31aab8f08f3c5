package discovery_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// coreSim is the first layer: the decisions of a discovery, without goroutines and clock, under a schedule. The manager,
// the wire and the requests are played here, so that the same schedule always leads to the same, to the bit.
type coreSim struct {
	core    *discovery.Core
	world   schedule.World
	truth   *truth
	manager *simManager
	now     time.Time
	err     error
	trail   uint64 // a hash of all that came of it

	linked    bool
	wire      []wired        // published and not delivered yet
	gone      tenant.Version // the newest of those that will never be
	past      []wired        // delivered at some time
	unseen    bool           // something is missing of which nothing tells
	unnamed   bool           // an event that may have a name was left out of changes, of which nothing tells
	unheard   bool           // the manager has a new epoch, and no event of it has come
	snapshots int            // that were taken
	newest    [simTenants]wired
	holes     simHoles
	forgery   forgery
	flooded   bool   // more has come than can be remembered
	cases     *cases // nil where nobody asks
	hearing   hearing
	calm      bool // what came was all there was, in an order in which a relay sends it, since all was equal

	asked    *activeset.Request
	serial   int             // of forgeries, when it was asked
	list     *simList        // what was read for it; nil before that
	odd      int             // answers in a row that were old
	shown    map[string]bool // the epochs of lists that were taken
	watchers []*coreWatcher
}

// wired is an event on its way.
type wired struct {
	event     tenant.Event
	serial    int // in the order of publishing, from 1 on
	snapshots int // that were taken when it was delivered
}

type coreWatcher struct {
	tally *tally
	mail  discovery.Mail
}

var errPlanned = errors.New("as planned")

func newCoreSim(w schedule.World) *coreSim {
	s := &coreSim{world: w, truth: newTruth(), now: time.Unix(1_700_000_000, 0), shown: make(map[string]bool)}
	s.manager = newSimManager(w, s.truth)
	for n := range min(w.Numbers["tenants"], simTenants) {
		s.manager.change("add", n, s.now)
	}
	s.gone = s.manager.version()
	s.core = discovery.NewCore(discovery.Config{
		ServiceName: service, ResyncInterval: 30 * 24 * time.Hour, ResyncSpread: time.Duration(max(w.Numbers["spread"], 1)) * time.Millisecond,
		NotifyInitial: w.Has("notify"), Names: w.Has("names"), Environment: environmentOf(w),
	}, w.Numbers["many"], w.Numbers["slack"])
	s.watchers = []*coreWatcher{{tally: &tally{name: "the callbacks", late: !w.Has("notify")}, mail: s.core.Callbacks()}}
	return s
}

// runCore runs a schedule to its end and returns what was wrong, how much time passed in it, and a hash of what came of
// it.
func runCore(s schedule.Schedule) (passed time.Duration, trail uint64, err error) {
	return newCoreSim(s.World).run(s)
}

func (s *coreSim) run(what schedule.Schedule) (passed time.Duration, trail uint64, err error) {
	began := s.now
	for _, st := range append(slices.Clone(what.Steps), schedule.Step{Op: "quiesce"}) {
		s.fail(coreOperations.Do(s, st))
		s.calms(st.Op)
		s.check()
		if s.err != nil {
			return 0, 0, fmt.Errorf("%s: %w", st, s.err)
		}
	}
	return s.now.Sub(began), s.trail, nil
}

func environmentOf(w schedule.World) string {
	if w.Has("configured") {
		return simEnvironment
	}
	return ""
}

func (s *coreSim) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// check holds what has to be true at any time.
func (s *coreSim) check() {
	set, state := setOf(s.core.All()), s.core.Status().State
	if s.cases == nil {
		s.note(fmt.Sprintf("%d %x", state, uint64(set)))
	}
	s.fail(s.truth.invented(set))
	if s.world.Has("versions") && state == discovery.Live && !s.forgery.believed {
		s.fail(s.holes.complete(s.truth, set, s.now))
		s.fail(s.holes.behind())
	}
	if s.world.Has("hearing") && state == discovery.Live {
		s.fail(s.hearing.complete(s.core.Status().Version))
	}
	if s.calm && state != discovery.Live {
		s.fail(fmt.Errorf("nothing was lost, and the state is %v", state))
	}
	for _, w := range s.watchers {
		s.fail(w.tally.err())
	}
}

// pass lets time pass, and the core look when it is to.
func (s *coreSim) pass(d time.Duration) {
	until := s.now.Add(d)
	for look := s.core.NextLook(); !look.IsZero() && !look.After(until) && s.err == nil; look = s.core.NextLook() {
		s.now = later(s.now, look)
		s.core.Look(s.now)
		s.check()
	}
	s.now = until
	s.core.Look(s.now) // time alone may change the state
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// note goes into the trail, where nobody wants to know the cases instead: it takes a while.
func (s *coreSim) note(what string) {
	if s.cases != nil {
		return
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, s.trail)
	_, _ = io.WriteString(h, what)
	s.trail = h.Sum64()
}

// publish puts events on the wire, if one is there.
func (s *coreSim) publish(events []tenant.Event) {
	for _, evt := range events {
		s.manager.serial++
		if s.linked && !(s.world.Has("base") && withheld(evt)) {
			s.wire = append(s.wire, wired{event: evt, serial: s.manager.serial})
		} else {
			s.goes(evt)
		}
	}
}

// drop loses the first n of the wire.
func (s *coreSim) drop(n int) {
	for _, w := range s.wire[:n] {
		s.goes(w.event)
	}
	s.wire = slices.Delete(s.wire, 0, n)
}

// goes notes that the event will never be delivered.
func (s *coreSim) goes(evt tenant.Event) {
	if v := evt.Version(); v.Epoch == s.gone.Epoch {
		s.gone.Revision = max(s.gone.Revision, v.Revision)
	}
}

// goOn lets the link break, and the feed go on where it was: nothing that is on the wire gets lost, and it says so.
func (s *coreSim) goOn(millis, _ int) {
	if !s.linked || !s.world.Has("versions") {
		return
	}
	s.signal(tenant.SignalLost)
	s.pass(time.Duration(millis) * time.Millisecond)
	s.hearing.subscribed(s.now)
	s.holes.promised = s.gone
	s.core.Apply(s.now, tenant.Signal{Kind: tenant.SignalSubscribed, Heartbeats: s.world.Has("hearing"), Version: s.gone})
}

// withheld reports whether a manager that announces a reactivation by tenant.activated alone says this.
func withheld(evt tenant.Event) bool {
	return evt.EventType == tenant.EventServiceReactivated && evt.TenantSlug == "reactivated"
}

// deliver hands the wire's first n events over, at once.
func (s *coreSim) deliver(n int) {
	n = min(n, len(s.wire))
	batch := make([]tenant.Signal, n)
	for i, w := range s.wire[:n] {
		batch[i] = s.delivered(w)
	}
	s.wire = slices.Delete(s.wire, 0, n)
	s.core.Apply(s.now, batch...)
}

// delivered notes that the feed brings the event now.
func (s *coreSim) delivered(w wired) tenant.Signal {
	s.hearing.hear(s.now, w.event.Epoch)
	s.taken(w)
	return tenant.Signal{Kind: tenant.SignalEvent, Event: w.event}
}

// taken notes that the event comes now, perhaps after a newer one of its tenant. That the newer one was so nobody can
// tell where there are neither versions nor dates that can be trusted, or a snapshot has covered it.
func (s *coreSim) taken(w wired) {
	s.meet(w.event)
	s.past = append(s.past, w)
	s.holes.hear(w.event.Version(), s.now)
	s.unheard = s.unheard && w.event.Epoch != s.manager.version().Epoch
	n, ok := numberOf(w.event.TenantID)
	if newest := &s.newest[n]; ok && s.membership(w.event) {
		if w.serial > newest.serial {
			*newest = w
			newest.snapshots = s.snapshots
		}
		s.unseen = s.unseen || w.serial < newest.serial && !s.tells(w)
	}
}

// tells reports whether it can be known that the event is older than the newest one of its tenant. That it is this one again
// only a revision says, or its id: without both it may be another of the same moment.
func (s *coreSim) tells(w wired) bool {
	n, _ := numberOf(w.event.TenantID)
	newest := s.newest[n]
	if w.event.Epoch != newest.event.Epoch || newest.event.EventType == eventArchived {
		return false
	}
	return s.world.Has("versions") ||
		w.serial < newest.serial && !s.world.Has("undated") && !s.manager.skewed && s.snapshots == newest.snapshots
}

// single hands over one event, which may not change what a newer one of its tenant has said.
func (s *coreSim) single(w wired) {
	sig := s.delivered(w)
	before := s.core.IsActive(w.event.TenantID)
	s.core.Apply(s.now, sig)
	n, ok := numberOf(w.event.TenantID)
	if ok && w.serial < s.newest[n].serial && s.tells(w) && !s.forgery.believed && !s.flooded && s.core.IsActive(w.event.TenantID) != before {
		s.fail(fmt.Errorf("%s of %s has changed the set, and was older than what had come before", w.event.EventType, w.event.TenantID))
	}
}

func (s *coreSim) membership(evt tenant.Event) bool {
	switch evt.EventType {
	case tenant.EventActivated:
		return s.world.Has("base") // which says nothing else of a reactivation
	case tenant.EventServiceAssociated, tenant.EventServiceReactivated, tenant.EventServiceSuspended, tenant.EventSuspended,
		tenant.EventDeleted, eventArchived:
		return true
	default:
		return false
	}
}

func (s *coreSim) signal(kind tenant.SignalKind) {
	sig := tenant.Signal{Kind: kind}
	switch kind {
	case tenant.SignalLost, tenant.SignalGap, tenant.SignalBadEvent:
		sig.Err = errPlanned
	case tenant.SignalHeartbeat:
		sig.Version = s.manager.version()
		s.hearing.hear(s.now, sig.Version.Epoch)
	case tenant.SignalSubscribed:
		sig.Heartbeats = s.world.Has("hearing")
		s.hearing.subscribed(s.now)
	default:
	}
	s.core.Apply(s.now, sig)
}

func (s *coreSim) subscribe() {
	s.linked, s.holes.promised = true, tenant.Version{}
	s.signal(tenant.SignalSubscribed)
}

func (s *coreSim) ask() {
	req := s.core.Ask(s.now)
	s.asked, s.list, s.serial, s.hearing.asked = &req, nil, s.forgery.made, s.hearing.late
}

// answer answers what was asked, with what was read for it.
func (s *coreSim) answer(list simList, err error) {
	with := list.with()
	unchanged := err == nil && list.etag != "" && list.etag == s.asked.Have.ETag
	if err != nil || unchanged {
		list.rows = nil
	}
	s.calm = s.calm && !unchanged // which may not fit what was heard meanwhile
	if with.NotModified = unchanged; err != nil {
		with = tenant.Snapshot{}
	}
	version := with.Version
	starting, before := s.core.Status().State == discovery.Starting, s.core.Status().Counters.Reconciles
	s.core.Answer(s.now, *s.asked, list.rows, with, err)
	if starting && err == nil && !s.world.Has("notify") {
		s.watchers[0].tally.knows(setOf(s.core.All()))
	}
	if err == nil {
		s.shown[s.core.Status().Version.Epoch] = true
	}
	if err == nil {
		s.took(version, starting, before)
	}
	s.asked, s.list = nil, nil
}

// took notes that an answer of the version was taken, if it was.
func (s *coreSim) took(version tenant.Version, starting bool, reconciles uint64) {
	if starting || s.core.Status().Counters.Reconciles > reconciles {
		s.snapshots++
		if !s.core.Held() {
			s.holes.listed, s.hearing.covered = version, s.hearing.asked
			s.forgery.covered(version, s.serial, s.manager.version().Epoch)
		}
	}
	s.asked, s.list = nil, nil
}

// honest answers with what is true, or was when it was read.
func (s *coreSim) honest() {
	if s.list == nil {
		list := s.manager.read()
		s.list = &list
	}
	s.odd = 0
	if s.wantsChanges() {
		if s.answerChanges(*s.list) {
			return
		}
		s.ask() // at once, as it wants
		list := s.manager.read()
		s.list = &list
	}
	s.answer(*s.list, nil)
}

// told empties a mailbox, n items at most.
func (s *coreSim) told(w *coreWatcher, n int) {
	for range n {
		changes, some := w.mail.Take()
		if !some {
			return
		}
		if len(changes) > 2 {
			s.fail(fmt.Errorf("%d changes of one tenant are pending", len(changes)))
		}
		for _, c := range changes {
			w.tally.tell(c.Kind, c.TenantID)
			if n, ok := numberOf(c.TenantID); ok && !s.manager.anonymous && !s.flooded && w.tally.reconfigurations(n) > s.manager.rotations[n] {
				s.fail(fmt.Errorf("%s was reconfigured %d times, of which it was told more often", c.TenantID, s.manager.rotations[n]))
			}
			s.note(w.tally.name + string(c.Kind) + c.TenantID + string(c.Cause))
		}
	}
}

// quiesce ends all faults, and lets the requests happen that are planned. What nobody can have noticed is told by a
// heartbeat or, without versions, by a gap.
func (s *coreSim) quiesce() {
	s.outgrow()
	if s.asked != nil {
		s.honest()
	}
	s.deliver(len(s.wire))
	s.pass(holePatience)
	if !s.linked {
		s.subscribe()
	}
	switch {
	case s.world.Has("versions") && (s.unseen || s.unheard || s.world.Has("hearing") || !s.world.Has("beatless")):
		s.signal(tenant.SignalHeartbeat)
	case s.unseen:
		s.signal(tenant.SignalGap)
	}
	s.unseen, s.unheard = false, false
	const most = 8
	for range most {
		due := s.core.Due()
		if due.After(s.now.Add(10 * time.Minute)) {
			break
		}
		if due.After(s.now) {
			s.pass(due.Sub(s.now))
		}
		s.ask()
		s.honest()
	}
	if s.forgery.believed { // until the next list
		s.ask()
		s.honest()
	}
	s.settled()
	if s.world.Has("versions") && s.forgery.made == 0 && !s.unnamed {
		s.knowsNames()
	}
	s.fail(explained(s.core.Explain, s.manager.id, setOf(s.core.All())))
	s.ask() // like a Refresh; it may find nothing
	s.honest()
	s.settled()
	if s.forgery.made == 0 && !s.unnamed || !s.world.Has("changes") {
		s.knowsNames()
	}
	if marks, ahead := s.core.Remembered(); marks > 0 || ahead > 0 {
		s.fail(fmt.Errorf("%d tenants and %d revisions are remembered that a snapshot has covered", marks, ahead))
	}
}

// settled holds that everything is equal.
func (s *coreSim) settled() {
	set, status := setOf(s.core.All()), s.core.Status()
	if set != s.truth.now() || status.State != discovery.Live {
		s.fail(fmt.Errorf("the set is %v, the truth %v, the state %v, due %v; %+v",
			set, s.truth.now(), status.State, s.core.Due().Sub(s.now), status))
	}
	for _, w := range s.watchers {
		s.told(w, 2*simTenants)
		s.fail(w.tally.err())
		s.fail(w.tally.believes(set))
	}
}

// knowsNames holds that the names are those that the manager has. A forged revision may hide one until the list is read again.
func (s *coreSim) knowsNames() {
	for n := range simTenants {
		name, known := s.core.Name(s.manager.id(n, n))
		want := s.world.Has("names") && s.core.IsActive(s.manager.id(n, n))
		if known != want || want && name != s.manager.name(n) {
			s.fail(fmt.Errorf("the name of %s is %q, %t; the manager has %q", s.manager.id(n, n), name, known, s.manager.name(n)))
		}
	}
}

// explained holds that the last change of each tenant leads to where it is.
func explained(explain func(string) []tenant.Change, idOf func(n, way int) string, set tenantSet) error {
	for i := range simTenants {
		id := idOf(i, i)
		changes := explain(id)
		there := len(changes) > 0 && changes[len(changes)-1].Kind != tenant.Removed
		if there != (set&(1<<i) != 0) {
			return fmt.Errorf("of %s Explain says %v, the set is %v", id, changes, set)
		}
	}
	return nil
}
