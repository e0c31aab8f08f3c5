package discovery_test

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// coreOperations are the steps of the first layer.
var coreOperations = func() operations[*coreSim] {
	ops := operations[*coreSim]{
		{"deliver", 14, oneOf(8), func(s *coreSim, a, _ int) {
			if len(s.wire) > 0 { // any of them, so that they change places
				w := s.wire[a%len(s.wire)]
				s.wire = slices.Delete(s.wire, a%len(s.wire), a%len(s.wire)+1)
				s.single(w)
			}
		}},
		{"batch", 12, upTo(6), func(s *coreSim, a, _ int) { s.deliver(a) }},
		{"lose", 4, upTo(3), func(s *coreSim, a, _ int) {
			if n := min(a, len(s.wire)); n > 0 {
				s.wire = slices.Delete(s.wire, 0, n)
				s.unseen = true
			}
		}},
		{"garble", 2, nil, func(s *coreSim, _, _ int) {
			if len(s.wire) > 0 {
				s.wire = slices.Delete(s.wire, 0, 1)
				s.signal(tenant.SignalBadEvent)
			}
		}},
		{"repeat", 3, oneOf(8), func(s *coreSim, a, _ int) {
			if len(s.wire) > 0 {
				s.single(s.wire[a%len(s.wire)])
			}
		}},
		{"replay", 4, oneOf(100), func(s *coreSim, a, _ int) {
			if len(s.past) > 0 {
				s.core.Apply(s.now, tenant.Signal{Kind: tenant.SignalEvent, Event: s.past[a%len(s.past)]})
			}
		}},
		{"up", 5, nil, func(s *coreSim, _, _ int) { s.linked = true; s.signal(tenant.SignalSubscribed) }},
		{"down", 3, nil, func(s *coreSim, _, _ int) { s.linked, s.wire = false, nil; s.signal(tenant.SignalLost) }},
		{"gap", 1, nil, func(s *coreSim, _, _ int) { s.signal(tenant.SignalGap) }},
		{"beat", 3, nil, func(s *coreSim, _, _ int) { s.signal(tenant.SignalHeartbeat) }},
		{"time", 4, upTo(20_000), func(s *coreSim, a, _ int) { s.now = s.now.Add(time.Duration(a) * time.Millisecond) }},
		{"ask", 12, nil, func(s *coreSim, _, _ int) {
			if s.asked == nil {
				s.ask()
			}
		}},
		{"read", 8, nil, func(s *coreSim, _, _ int) {
			if s.asked != nil && s.list == nil {
				list := s.manager.read()
				s.list = &list
			}
		}},
		{"answer", 14, nil, func(s *coreSim, _, _ int) {
			if s.asked != nil {
				s.honest()
			}
		}},
		{"fail", 2, nil, func(s *coreSim, _, _ int) {
			if s.asked != nil {
				s.answer(simList{}, errPlanned)
			}
		}},
		{"stale", 3, upTo(6), func(s *coreSim, a, _ int) {
			if s.odd++; s.asked != nil && s.world.has("versions") && s.odd <= 3 { // five in a row would be believed
				s.unseen = true // what it lacks shows by what comes later
				s.answer(s.manager.readBack(a), nil)
			}
		}},
		{"left", 2, nil, func(s *coreSim, _, _ int) { // by a replica that knows nothing of the restore
			if s.odd++; s.asked != nil && s.world.has("versions") && s.manager.epoch > 0 && s.shown[fmt.Sprint("epoch", s.manager.epoch-1)] && s.odd <= 3 {
				s.unseen = true
				s.answer(s.manager.readLeft(), nil)
			}
		}},
		{"empty", 2, oneOf(12), (*coreSim).empty},
		{"epoch", 1, oneOf(12), func(s *coreSim, a, _ int) {
			s.manager.restore(a)
			s.unheard, s.unseen = true, s.unseen || !s.world.has("versions")
		}},
		{"clock", 3, oneOf(120), func(s *coreSim, a, _ int) { // of the manager, in minutes
			s.manager.offset, s.manager.skewed = time.Duration(a-60)*time.Minute, true
		}},
		{"mass", 1, upTo(simTenants), (*coreSim).mass},
		{"watch", 2, nil, func(s *coreSim, _, _ int) {
			name := fmt.Sprint("watcher ", len(s.watchers))
			s.watchers = append(s.watchers, &coreWatcher{tally: &tally{name: name}, mail: s.core.Watch(s.now)})
		}},
		{"tell", 8, both(oneOf(4), upTo(8)), func(s *coreSim, a, b int) { s.told(s.watchers[a%len(s.watchers)], b) }},
		{"quiesce", 1, nil, func(s *coreSim, _, _ int) { s.quiesce() }},
	}
	for what, weight := range map[string]int{
		"add": 12, "suspend": 8, "reactivate": 10, "delete": 3, "pause": 5, "resume": 5, "rotate": 3, "other": 2, "update": 2, "archive": 2,
	} {
		ops = append(ops, operation[*coreSim]{what, weight, someTenant, func(s *coreSim, a, _ int) {
			s.publish(s.manager.change(what, a%simTenants, s.now))
		}})
	}
	slices.SortFunc(ops, func(a, b operation[*coreSim]) int { // the map has no order
		return strings.Compare(a.name, b.name)
	})
	return ops
}()

// empty is an answer that lacks most of the tenants. It is held if the set is large enough, and two in a row would be
// believed.
func (s *coreSim) empty(keep, _ int) {
	if s.asked != nil || s.core.Len() < 30-keep || keep >= 10 || s.core.Held() {
		return
	}
	s.ask()
	list := s.manager.read()
	list.rows = list.rows[:min(keep, len(list.rows))]
	list.version.ETag += "-empty"
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
