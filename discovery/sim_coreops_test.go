package discovery_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// coreOperations are the steps of the first layer.
var coreOperations = func() schedule.Operations[*coreSim] {
	ops := schedule.Operations[*coreSim]{
		{Name: "deliver", Weight: 14, Draw: schedule.OneOf(8), Do: func(s *coreSim, a, _ int) {
			if len(s.wire) > 0 { // any of them, so that they change places
				w := s.wire[a%len(s.wire)]
				s.wire = slices.Delete(s.wire, a%len(s.wire), a%len(s.wire)+1)
				s.single(w)
			}
		}},
		{Name: "batch", Weight: 12, Draw: schedule.UpTo(6), Do: func(s *coreSim, a, _ int) { s.deliver(a) }},
		{Name: "relay", Weight: 8, Draw: schedule.Both(schedule.UpTo(12), schedule.OneOf(60)), Do: (*coreSim).relay},
		{Name: "neighbour", Weight: 3, Draw: schedule.Both(someTenant, schedule.OneOf(100)), Do: (*coreSim).neighbour},
		{Name: "forge", Weight: 2, Draw: schedule.Both(someTenant, schedule.OneOf(100)), Do: (*coreSim).forge},
		{Name: "otherlist", Weight: 2, Draw: schedule.OneOf(9), Do: (*coreSim).otherList},
		{Name: "unreadable", Weight: 2, Draw: schedule.OneOf(3), Do: (*coreSim).unreadable},
		{Name: "dirty", Weight: 2, Draw: schedule.UpTo(6), Do: (*coreSim).dirty},
		{Name: "malformed", Weight: 2, Draw: schedule.OneOf(5), Do: (*coreSim).malformed},
		{Name: "refuse", Weight: 3, Draw: schedule.OneOf(len(refusals)), Do: (*coreSim).refuse},
		{Name: "refresh", Weight: 2, Do: func(s *coreSim, _, _ int) { s.refresh() }},
		{Name: "flood", Do: func(s *coreSim, _, _ int) { s.flood() }}, // once, in a world for it
		{Name: "insist", Weight: 2, Draw: schedule.UpTo(7), Do: func(s *coreSim, a, _ int) { s.insist(a) }},
		{Name: "lose", Weight: 4, Draw: schedule.UpTo(3), Do: func(s *coreSim, a, _ int) {
			if n := min(a, len(s.wire)); n > 0 {
				s.drop(n)
				s.unseen = true
			}
		}},
		{Name: "garble", Weight: 2, Do: func(s *coreSim, _, _ int) {
			if len(s.wire) > 0 {
				s.drop(1)
				s.signal(tenant.SignalBadEvent)
			}
		}},
		{Name: "repeat", Weight: 3, Draw: schedule.OneOf(8), Do: func(s *coreSim, a, _ int) {
			if len(s.wire) > 0 {
				s.single(s.wire[a%len(s.wire)])
			}
		}},
		{Name: "replay", Weight: 4, Draw: schedule.OneOf(100), Do: func(s *coreSim, a, _ int) {
			if len(s.past) > 0 {
				s.again(s.past[a%len(s.past)])
			}
		}},
		{Name: "handle", Weight: 3, Draw: schedule.OneOf(8), Do: func(s *coreSim, a, _ int) { // by a user, who knows it from elsewhere
			if len(s.wire) == 0 {
				return
			}
			if w := s.wire[a%len(s.wire)]; s.core.Handle(s.now, w.event) == nil { // before the bootstrap it is refused
				s.taken(w)
			}
		}},
		{Name: "up", Weight: 5, Do: func(s *coreSim, _, _ int) { s.subscribe() }},
		{Name: "down", Weight: 3, Do: func(s *coreSim, _, _ int) { s.drop(len(s.wire)); s.linked = false; s.signal(tenant.SignalLost) }},
		{Name: "goon", Weight: 3, Draw: schedule.UpTo(20_000), Do: (*coreSim).goOn},
		{Name: "gap", Weight: 1, Do: func(s *coreSim, _, _ int) { s.signal(tenant.SignalGap) }},
		{Name: "beat", Weight: 3, Do: func(s *coreSim, _, _ int) { s.signal(tenant.SignalHeartbeat) }},
		{Name: "time", Weight: 4, Draw: schedule.UpTo(20_000), Do: func(s *coreSim, a, _ int) { s.pass(time.Duration(a) * time.Millisecond) }},
		{Name: "moment", Weight: 5, Draw: schedule.UpTo(130), Do: func(s *coreSim, a, _ int) { s.pass(time.Duration(a) * time.Millisecond) }},
		{Name: "ask", Weight: 12, Do: func(s *coreSim, _, _ int) {
			if s.asked == nil {
				s.ask()
			}
		}},
		{Name: "read", Weight: 8, Do: func(s *coreSim, _, _ int) {
			if s.asked != nil && s.list == nil {
				list := s.manager.read()
				s.list = &list
			}
		}},
		{Name: "answer", Weight: 14, Do: func(s *coreSim, _, _ int) {
			if s.asked != nil {
				s.honest()
			}
		}},
		{Name: "fail", Weight: 2, Do: func(s *coreSim, _, _ int) {
			if s.asked != nil {
				s.answer(simList{}, errPlanned)
			}
		}},
		{Name: "stale", Weight: 3, Draw: schedule.UpTo(6), Do: func(s *coreSim, a, _ int) {
			if s.odd++; s.asked != nil && s.world.Has("versions") && s.odd <= 3 { // five in a row would be believed
				s.unseen = true // what it lacks shows by what comes later
				if list := s.manager.readBack(a); !s.wantsChanges() {
					s.answer(list, nil)
				} else if !s.answerChanges(list) {
					s.ask()
				}
			}
		}},
		{Name: "left", Weight: 2, Do: func(s *coreSim, _, _ int) { // by a replica that knows nothing of the restore
			if s.odd++; s.asked != nil && s.world.Has("versions") && s.manager.epoch > 0 && s.shown[epochName(s.manager.epoch-1)] && s.odd <= 3 {
				s.unseen = true
				s.answer(s.manager.readLeft(), nil)
			}
		}},
		{Name: "without", Weight: 1, Draw: schedule.OneOf(2), Do: (*coreSim).without},
		{Name: "crooked", Weight: 2, Draw: schedule.Both(schedule.OneOf(7), schedule.OneOf(64)), Do: (*coreSim).crooked},
		{Name: "empty", Weight: 2, Draw: schedule.OneOf(12), Do: (*coreSim).empty},
		{Name: "epoch", Weight: 1, Draw: schedule.OneOf(12), Do: func(s *coreSim, a, _ int) {
			s.manager.restore(a)
			s.gone = s.manager.version()
			s.unheard, s.unseen = true, s.unseen || !s.world.Has("versions")
		}},
		{Name: "clock", Weight: 3, Draw: schedule.OneOf(120), Do: func(s *coreSim, a, _ int) { // of the manager, in minutes
			s.manager.offset, s.manager.skewed = time.Duration(a-60)*time.Minute, true
		}},
		{Name: "mass", Weight: 1, Draw: schedule.UpTo(simTenants), Do: (*coreSim).mass},
		{Name: "watch", Weight: 2, Do: func(s *coreSim, _, _ int) {
			name := fmt.Sprint("watcher ", len(s.watchers))
			s.watchers = append(s.watchers, &coreWatcher{tally: &tally{name: name}, mail: s.core.Watch()})
		}},
		{Name: "tell", Weight: 8, Draw: schedule.Both(schedule.OneOf(4), schedule.UpTo(8)), Do: func(s *coreSim, a, b int) { s.told(s.watchers[a%len(s.watchers)], b) }},
		{Name: "quiesce", Weight: 1, Do: func(s *coreSim, _, _ int) { s.quiesce() }},
	}
	for what, weight := range map[string]int{
		"add": 12, "suspend": 8, "reactivate": 10, "delete": 3, "pause": 5, "resume": 5, "rotate": 3, "other": 2, "update": 2, "archive": 2,
	} {
		ops = append(ops, schedule.Operation[*coreSim]{Name: what, Weight: weight, Draw: someTenant, Do: func(s *coreSim, a, _ int) {
			s.publish(s.manager.change(what, a%simTenants, s.now))
		}})
	}
	slices.SortFunc(ops, func(a, b schedule.Operation[*coreSim]) int { // the map has no order
		return strings.Compare(a.Name, b.Name)
	})
	return ops
}()

// again hands over an event that has come before. One that has no id, or whose id a flood has washed away, cannot be told
// from news by that alone.
func (s *coreSim) again(w wired) {
	s.holes.hear(w.event.Version(), s.now)
	s.meet(w.event)
	s.hearing.hear(s.now, w.event.Epoch)
	s.unseen = s.unseen || (s.manager.anonymous || s.flooded) && s.membership(w.event) && !s.tells(w)
	s.core.Apply(s.now, tenant.Signal{Kind: tenant.SignalEvent, Event: w.event})
}

// empty is an answer that lacks most of the tenants. It is held if the set is large enough, and two in a row would be
// believed.
func (s *coreSim) empty(keep, _ int) {
	if s.asked != nil || s.core.Len() < 30-keep || keep >= 10 || s.core.Held() {
		return
	}
	s.ask()
	list := s.manager.read()
	list.rows = list.rows[:min(keep, len(list.rows))]
	list.etag += "-empty"
	removed := setOf(s.core.All()) &^ setOf(ids(list.rows))
	if count(removed) >= 10 && 2*count(removed) > s.core.Len() {
		s.answer(list, nil)
		return
	}
	s.honest()
}

// mass suspends many at once, while nobody hears it.
func (s *coreSim) mass(n, _ int) {
	for i := range n {
		if events := s.manager.change("suspend", i%simTenants, s.now); len(events) > 0 {
			s.unseen = true
			s.goes(events[len(events)-1])
		}
	}
}

func ids(list []tenant.Summary) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, row := range list {
			if !yield(row.ID) {
				return
			}
		}
	}
}

func count(s tenantSet) int { return bits.OnesCount64(uint64(s)) }

// someTenant draws the number of one, often one of a few, so that more than one thing happens to it.
func someTenant(r *rand.Rand) (n, _ int) {
	return r.IntN([]int{2, 4, simTenants - 2}[r.IntN(3)]), 0
}
