package discovery_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// forgery is what somebody has published who is not the manager. It may be believed until the next list that was asked for
// after it and is not older.
type forgery struct {
	made     int
	believed bool
	newest   tenant.Version // the highest revision that was made up, or used again
}

// covered notes that a list was taken, asked for when that many forgeries had been made, of a manager in that epoch.
func (f *forgery) covered(v tenant.Version, made int, epoch string) {
	outgrown := v.Epoch == "" || v.Epoch == epoch && (f.newest.Epoch != epoch || f.newest.Revision <= v.Revision)
	if f.made == made && outgrown {
		*f = forgery{made: f.made}
	}
}

// hearing is the model of what came by the subscription that is up: where heartbeats are expected, the set may be said to be
// live only where something of the list's epoch did and, if that came later than expected, by a list that was asked for after it.
type hearing struct {
	began   time.Time // the subscription
	epochs  map[string]bool
	late    int // how many came later than expected
	asked   int // of these, when the list was asked for
	covered int // of these, by the last list that was taken
}

func (h *hearing) subscribed(now time.Time) { h.began, h.epochs = now, make(map[string]bool) }

func (h *hearing) hear(now time.Time, epoch string) {
	if epoch == "" || h.epochs[epoch] || h.began.IsZero() {
		return
	}
	h.epochs[epoch] = true
	if now.Sub(h.began) >= heardWithin {
		h.late++
	}
}

// complete holds that.
func (h *hearing) complete(list tenant.Version) error {
	switch {
	case list.Epoch == "":
		return nil
	case !h.epochs[list.Epoch]:
		return fmt.Errorf("live, and nothing was heard of %s since the subscription", list)
	case h.covered < h.late:
		return fmt.Errorf("live, and no list was asked for since %s was heard at last", list)
	default:
		return nil
	}
}

// heardWithin is how long the first heartbeat of a subscription may take.
const heardWithin = 11 * time.Second

// otherList answers with the list of another environment, where one is configured.
func (s *coreSim) otherList(n, _ int) {
	if s.asked == nil || !s.manager.configured {
		return
	}
	list := s.manager.read()
	list.environment, list.etag = "other", list.etag+"-other"
	list.version.Revision += uint64(n) //nolint:gosec // never negative
	list.rows = list.rows[:len(list.rows)/2]
	s.refused(list)
}

// refused answers with a list of which nothing may be taken.
func (s *coreSim) refused(list simList) {
	set, starting := setOf(s.core.All()), s.core.Status().State == discovery.Starting
	s.core.Answer(s.now, *s.asked, list.rows, list.with(), nil)
	if err := s.core.Status().SnapshotError; setOf(s.core.All()) != set || err == nil && !starting {
		s.fail(fmt.Errorf("a list that is to be refused: %w, and the set is %v", err, setOf(s.core.All())))
	}
	s.asked, s.list = nil, nil
}

// relay delivers the wire's first n events as the manager's relay does, in rounds, with a pause before each but the first.
func (s *coreSim) relay(n, pause int) {
	n = min(n, len(s.wire))
	batch := slices.Clone(s.wire[:n])
	s.wire = slices.Delete(s.wire, 0, n)
	began := s.now
	for i, round := range roundsOfWired(batch) {
		if i > 0 {
			s.pass(min(time.Duration(pause)*time.Millisecond, max(holePatience-time.Millisecond-s.now.Sub(began), 0)))
		}
		signals := make([]tenant.Signal, len(round))
		for j, w := range round {
			signals[j] = s.delivered(w)
		}
		s.core.Apply(s.now, signals...)
		s.check()
	}
}

func roundsOfWired(batch []wired) (rounds [][]wired) {
	seen := make(map[int]int)
	for _, w := range batch {
		tenantNumber, _ := numberOf(w.event.TenantID)
		n := seen[tenantNumber]
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n], seen[tenantNumber] = append(rounds[n], w), n+1
	}
	return rounds
}

// calmSteps are those that leave the world calm.
var calmSteps = map[string]bool{
	"relay": true, "batch": true, "time": true, "moment": true, "ask": true, "read": true, "answer": true, "watch": true, "tell": true,
	"add": true, "suspend": true, "delete": true, "pause": true, "resume": true, "rotate": true, "other": true, "update": true,
	"neighbour": true, "dirty": true, "beat": false, "quiesce": true,
}

// calms keeps the world calm from a quiesce on, or the first list, for as long as nothing gets lost or comes in another
// order than a relay's.
func (s *coreSim) calms(step string) {
	begins := step == "quiesce" || step == "answer" && s.snapshots == 1 && len(s.past)+len(s.wire) == 0
	s.calm = s.world.Has("versions") && s.linked && (calmSteps[step] && s.calm || begins && s.core.Status().State == discovery.Live && !s.unseen && !s.unheard)
}

// neighbour is an event of another environment, with our tenants, revisions and perhaps even our epoch. Where an environment is
// configured it changes nothing.
func (s *coreSim) neighbour(n, b int) {
	if !s.manager.configured {
		return
	}
	evt := s.invented(n, b)
	evt.Environment = "other"
	s.core.Look(s.now) // the state is the current one
	before, due, look := s.core.Status(), s.core.Due(), s.core.NextLook()
	set := setOf(s.core.All())
	s.core.Apply(s.now, tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
	after := s.core.Status()
	if setOf(s.core.All()) != set || after.State != before.State || !s.core.Due().Equal(due) || !s.core.NextLook().Equal(look) {
		s.fail(fmt.Errorf("%s of %s in another environment has changed %v to %v", evt.EventType, evt.TenantID, before.State, after.State))
	}
}

// invented is an event that the manager never made.
func (s *coreSim) invented(n, b int) tenant.Event {
	kinds := []tenant.EventType{tenant.EventSuspended, tenant.EventServiceAssociated, tenant.EventActivated, tenant.EventDeleted, tenant.EventCredentialsRotated}
	n %= simTenants
	evt := tenant.Event{EventType: kinds[b%len(kinds)], TenantID: s.manager.id(n, b), Payload: forUs}
	if s.truth.ever&(1<<n) == 0 || evt.EventType == tenant.EventCredentialsRotated {
		evt.EventType = tenant.EventSuspended // what never was does not come to be by this
	}
	if v := s.manager.version(); b%2 == 0 {
		evt.Epoch, evt.Revision = v.Epoch, v.Revision+uint64(b%7) //nolint:gosec // never negative
	}
	if b%3 == 0 {
		evt.Timestamp = s.now.Add(time.Duration(b-50) * time.Minute)
	}
	return evt
}

// forge hands over an event that the manager never made: without a version, with a revision that it has not reached, or of an
// epoch that it never had. The last leads to a list and to nothing else.
func (s *coreSim) forge(n, b int) {
	evt := s.invented(n, b)
	s.forgery.made++
	if b%5 == 0 && s.world.Has("versions") {
		evt.Epoch, evt.Revision = "forged", uint64(b+1) //nolint:gosec // never negative
	} else {
		s.forgery.newest, s.forgery.believed = higher(s.forgery.newest, evt.Version()), true
	}
	s.unseen = true
	s.meet(evt)
	s.hearing.hear(s.now, evt.Version().Epoch)
	s.holes.hear(evt.Version(), s.now)
	s.core.Apply(s.now, tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
}

func higher(a, b tenant.Version) tenant.Version {
	if b.Epoch == "" || a.Epoch == b.Epoch && a.Revision > b.Revision {
		return a
	}
	return b
}

// outgrow lets the manager go on until no forged revision is ahead of it: until then its lists look old.
func (s *coreSim) outgrow() {
	for v := s.manager.version(); s.forgery.newest.Epoch == v.Epoch && v.Epoch != "" && v.Revision < s.forgery.newest.Revision; v = s.manager.version() {
		s.publish(s.manager.change("update", 0, s.now))
	}
}

// unreadable answers with a list in another form than ours.
func (s *coreSim) unreadable(form, _ int) {
	if s.asked == nil {
		return
	}
	list := s.manager.read()
	list.etag += "-unreadable"
	switch rows := len(list.rows); form {
	case 0:
		list.rows = []tenant.Summary{{}}
	case 1:
		list.rows = slices.Concat(make([]tenant.Summary, rows+20), list.rows)
	default:
		for i := range list.rows {
			list.rows[i].ID = "urn:" + list.rows[i].ID
		}
		list.rows = append(list.rows, tenant.Summary{ID: "-"})
	}
	s.refused(list)
}

// dirty answers with what is true and some rows that say nothing.
func (s *coreSim) dirty(n, _ int) {
	if s.asked == nil {
		return
	}
	list := s.manager.read()
	if 2*n >= len(list.rows) {
		s.honest()
		return
	}
	twice := list.rows[0]
	list.rows = append(list.rows, tenant.Summary{ID: "other", Status: "suspended"}, twice)
	for i := range n - 1 {
		list.rows = slices.Insert(list.rows, i, tenant.Summary{ID: []string{"", "-no", "a b"}[i%3]})
	}
	s.odd = 0
	s.answer(list, nil)
}
