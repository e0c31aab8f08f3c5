package discovery_test

import (
	"fmt"
	"slices"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// since is what has changed between a version and a list, and false where that cannot be said for the list's epoch.
func (m *simManager) since(v tenant.Version, list simList) (events []tenant.Event, to tenant.Changes, ok bool) {
	if v.Epoch != list.version.Epoch || v.Revision > list.version.Revision {
		return nil, to, false
	}
	start := m.starts[v.Epoch]
	for revision := v.Revision + 1; revision <= list.version.Revision; revision++ {
		evt := m.log[start+int(revision)] //nolint:gosec // there are not that many
		if evt.EventType != tenant.EventServiceDisassociated {
			events = append(events, evt) // the others are for another service
		}
	}
	to = tenant.Changes{Version: list.version, Count: len(list.rows), Environment: list.environment}
	for _, row := range list.rows {
		to.Digest ^= tenant.IDDigest(row.ID)
	}
	return events, to, true
}

// wantsChanges reports whether changes were asked for, and the manager has them.
func (s *coreSim) wantsChanges() bool {
	return s.asked != nil && s.asked.Since.Epoch != "" && s.world.Has("changes")
}

// answerChanges answers with what leads to the list. It returns false when the list itself is wanted.
func (s *coreSim) answerChanges(list simList) bool {
	events, to, ok := s.manager.since(s.asked.Since, list)
	if !ok {
		s.withhold(activeset.ChangesGone)
		return false
	}
	return s.changed(events, to)
}

func (s *coreSim) changed(events []tenant.Event, to tenant.Changes) bool {
	set, before := setOf(s.core.All()), s.core.Status().Counters
	taken := s.core.AnswerChanges(s.now, *s.asked, events, to)
	if after := s.core.Status().Counters; taken != (after.ReconcilesByChanges > before.ReconcilesByChanges || after.SnapshotsFailed > before.SnapshotsFailed) {
		s.fail(fmt.Errorf("the changes were taken: %v, and the counters went from %+v to %+v", taken, before, after))
	}
	if !taken {
		s.refusedChanges(set)
		return false
	}
	s.took(to.Version, false, before.Reconciles)
	return true
}

// withhold answers that there are no changes.
func (s *coreSim) withhold(why activeset.Refusal) {
	set := setOf(s.core.All())
	s.core.Refuse(s.now, *s.asked, why)
	s.refusedChanges(set)
}

// refusedChanges holds that nothing was taken, and that the list is wanted at once.
func (s *coreSim) refusedChanges(set tenantSet) {
	if due := s.core.Due(); setOf(s.core.All()) != set || due.After(s.now) {
		s.fail(fmt.Errorf("changes that were not taken have made %v of %v, and the list is due at %v", setOf(s.core.All()), set, due))
	}
	s.asked, s.list = nil, nil
}

// without is a manager that cannot say what has changed, or not any more.
func (s *coreSim) without(how, _ int) {
	if s.wantsChanges() {
		s.withhold([]activeset.Refusal{activeset.ChangesGone, activeset.NoChanges}[how%2])
	}
}

// crooked answers with changes of which one thing is wrong.
func (s *coreSim) crooked(how, at int) {
	if !s.wantsChanges() {
		return
	}
	list := s.manager.read()
	events, to, ok := s.manager.since(s.asked.Since, list)
	if !ok {
		return
	}
	s.unseen = true // one that was told twice may be told in vain
	certain := true
	switch n := len(events); {
	case how == 0:
		to.Count++
	case how == 1:
		to.Digest ^= 1 << (at % 64)
	case how == 2 && n > 1:
		slices.Reverse(events)
	case how == 3 && n > 0:
		events[at%n].Epoch = "other"
	case how == 4 && n > 0:
		events[at%n].Payload = nil
		certain = events[at%n].EventType.PerService()
	case how == 5 && n > 0: // which may change nothing
		events, certain, s.unnamed = slices.Delete(events, at%n, at%n+1), false, true
	default:
		to.Version.Revision = 0
		certain = n > 0 || s.asked.Since.Revision > 0
	}
	if s.changed(events, to) && certain {
		s.fail(fmt.Errorf("crooked changes were taken: %d", how))
	}
}
