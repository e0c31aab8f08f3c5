package discovery_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// liveOperations are the steps of the second layer.
var liveOperations = append(append(append(schedule.Operations[*liveSim]{
	{Name: "pass", Weight: 12, Draw: schedule.UpTo(12_000), Do: func(s *liveSim, a, _ int) { s.pass(time.Duration(a) * time.Millisecond) }},
	{Name: "night", Weight: 1, Do: func(s *liveSim, _, _ int) { s.pass(2 * time.Hour) }},
	{Name: "quiesce", Weight: 3, Do: func(s *liveSim, _, _ int) { s.quiesce() }},
}, liveChanges...), liveFeedFaults...), append(liveManagerFaults, liveUse...)...)

// change is a step that changes something at the manager.
func change(name string, weight int, do func(m *tenanttest.Manager, ctx context.Context, id string) error) schedule.Operation[*liveSim] {
	return schedule.Operation[*liveSim]{Name: name, Weight: weight, Draw: someTenant, Do: func(s *liveSim, a, _ int) {
		s.changed(func() error { return do(s.manager, s.ctx, s.id(a%simTenants)) })
	}}
}

var liveChanges = schedule.Operations[*liveSim]{
	change("add", 10, func(m *tenanttest.Manager, ctx context.Context, id string) error { return m.Add(ctx, service, id) }),
	change("suspend", 8, (*tenanttest.Manager).Suspend),
	change("reactivate", 9, (*tenanttest.Manager).Reactivate),
	change("delete", 2, (*tenanttest.Manager).Delete),
	change("purge", 2, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		return m.Disassociate(ctx, id, service, true)
	}),
	change("leave", 2, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		return m.Disassociate(ctx, id, service, false)
	}),
	change("pause", 4, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		return m.SuspendService(ctx, id, service)
	}),
	change("resume", 4, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		return m.ReactivateService(ctx, id, service)
	}),
	change("join", 2, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		_, err := m.Associate(ctx, id, service, managerapi.CreateAssociationRequest{IsolationMode: "isolated"})
		return err
	}),
	change("other", 2, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		_, err := m.Associate(ctx, id, "another", managerapi.CreateAssociationRequest{IsolationMode: "isolated"})
		return err
	}),
	change("rotate", 3, func(m *tenanttest.Manager, ctx context.Context, id string) error {
		return m.RotateCredentials(ctx, id, service)
	}),
	{Name: "mass", Weight: 1, Draw: schedule.UpTo(simTenants), Do: func(s *liveSim, a, _ int) { // while nobody hears it
		s.feed.Drop(a)
		for n := range a {
			_ = s.manager.Suspend(s.ctx, s.id(n%simTenants)) // or it is none
		}
		s.feed.Drop(0)
		s.unseen, s.faulty = true, true
	}},
	{Name: "backup", Weight: 1, Do: func(s *liveSim, _, _ int) { s.backups = append(s.backups, s.manager.Backup()) }},
	{Name: "restore", Weight: 1, Draw: schedule.OneOf(4), Do: func(s *liveSim, a, _ int) {
		if len(s.backups) > 0 {
			s.manager.Restore(s.backups[a%len(s.backups)])
			s.truth.commit(setOf(ids(s.manager.Active(service))))
			s.unseen, s.faulty = true, true
		}
	}},
}

// feedFault is a step after which events do not all come at once; lossy ones lose some of which nothing tells.
func feedFault(name string, weight, most int, lossy bool, do func(s *liveSim, n int)) schedule.Operation[*liveSim] {
	return schedule.Operation[*liveSim]{Name: name, Weight: weight, Draw: schedule.UpTo(most), Do: func(s *liveSim, a, _ int) {
		s.faulty, s.unseen = true, s.unseen || lossy
		do(s, a)
	}}
}

var liveFeedFaults = schedule.Operations[*liveSim]{
	feedFault("drop", 3, 5, true, func(s *liveSim, n int) { s.feed.Drop(n) }),
	feedFault("double", 3, 5, false, func(s *liveSim, n int) { s.unseen = s.unseen || s.world.Has("anonymous"); s.feed.Duplicate(n) }),
	feedFault("delay", 3, 15_000, false, func(s *liveSim, n int) { s.silent = true; s.feed.Delay(time.Duration(n) * time.Millisecond) }),
	feedFault("silence", 2, 1, true, func(s *liveSim, _ int) { s.silent = true; s.feed.Silence(true) }),
	feedFault("sound", 2, 1, true, func(s *liveSim, _ int) { s.feed.Silence(false) }),
	feedFault("disconnect", 3, 1, false, func(s *liveSim, _ int) { s.feed.Disconnect(nil) }),
	feedFault("refuse", 1, 1, false, func(s *liveSim, _ int) { s.feed.Refuse(nil) }),
	feedFault("connect", 5, 1, false, func(s *liveSim, _ int) { s.feed.Connect() }),
	feedFault("resubscribe", 1, 1, false, func(s *liveSim, _ int) { s.feed.Resubscribe() }),
	feedFault("end", 1, 1, false, func(s *liveSim, _ int) { s.feed.EndRuns(errPlanned) }),
	feedFault("gather", 3, 6, false, func(s *liveSim, n int) {
		if s.gather == 0 {
			s.gather, s.asked, s.rounds = n+1, s.manager.Requests(), false
		}
	}),
	feedFault("relay", 4, 8, false, func(s *liveSim, n int) {
		if s.gather == 0 {
			s.gather, s.asked, s.rounds = n+1, s.manager.Requests(), true
		}
	}),
	feedFault("garble", 2, 2, false, func(s *liveSim, n int) { s.garble = n }),
	feedFault("gap", 1, 1, false, func(s *liveSim, _ int) { s.feed.Gap(nil) }),
	{Name: "beat", Weight: 3, Do: func(s *liveSim, _, _ int) { s.feed.Heartbeat(s.manager.Version()) }},
	{Name: "stopbeats", Weight: 2, Do: func(s *liveSim, _, _ int) { s.heart.on(false) }},
	{Name: "startbeats", Weight: 2, Do: func(s *liveSim, _, _ int) { s.heart.on(true) }},
	feedFault("otherbeat", 1, 3, false, func(s *liveSim, n int) { // of the manager of another environment
		s.feed.Heartbeat(tenant.Version{Epoch: fmt.Sprint("other", n), Revision: s.manager.Version().Revision + 1})
	}),
	feedFault("otherevent", 1, 3, false, func(s *liveSim, n int) {
		v := s.manager.Version()
		evt := tenant.Event{EventType: tenant.EventUpdated, TenantID: s.id(n), Environment: "another", Epoch: v.Epoch, Revision: v.Revision + 1}
		s.must(s.feed.Publish(s.ctx, evt))
	}),
	{Name: "otherlist", Weight: 1, Draw: schedule.UpTo(2), Do: func(s *liveSim, a, _ int) { s.manager.ListEnvironment(a, "another"); s.refresh() }},
	feedFault("refusexadd", 3, 1, false, func(s *liveSim, _ int) { s.xadd.refuses = s.world.Has("stream") }),
	feedFault("takexadd", 3, 1, false, func(s *liveSim, _ int) { s.letIn() }),
	{Name: "replay", Weight: 4, Draw: schedule.OneOf(60), Do: func(s *liveSim, a, _ int) {
		if len(s.past) > 0 { // one that may never have come, or before the discovery was made
			s.unseen, s.faulty = true, true
			s.must(s.feed.Publish(s.ctx, s.past[len(s.past)-1-a%len(s.past)]))
		}
	}},
	{Name: "foreign", Weight: 1, Draw: someTenant, Do: func(s *liveSim, a, _ int) {
		s.must(s.feed.Publish(s.ctx, tenant.Event{EventType: tenant.EventDeleted, TenantID: s.id(a % simTenants), Environment: "another"}))
	}},
}

// patient is a fault of all requests until it is cleared, after which the discovery is to ask less often.
func patient(name string, status int, retryAfter string, least time.Duration) schedule.Operation[*liveSim] {
	return schedule.Operation[*liveSim]{Name: name, Weight: 1, Do: func(s *liveSim, _, _ int) {
		s.manager.ClearFaults()
		s.manager.FailList(-1, status, retryAfter)
		s.patience = least
	}}
}

// listFault is a fault of the next few requests.
func listFault(name string, weight int, do func(m *tenanttest.Manager, n int)) schedule.Operation[*liveSim] {
	return schedule.Operation[*liveSim]{Name: name, Weight: weight, Draw: schedule.UpTo(3), Do: func(s *liveSim, a, _ int) { s.patience = 0; do(s.manager, a) }}
}

var liveManagerFaults = schedule.Operations[*liveSim]{
	patient("deny", 401, "", 15*time.Second),
	patient("busy", 503, "7", 7*time.Second),
	listFault("fail", 3, func(m *tenanttest.Manager, n int) { m.FailList(n, 500, "") }),
	listFault("cut", 2, func(m *tenanttest.Manager, n int) { m.CutList(n) }),
	listFault("hangup", 1, func(m *tenanttest.Manager, n int) { m.DropList(n) }),
	listFault("unreadable", 2, func(m *tenanttest.Manager, n int) {
		m.AnswerList(n, tenanttest.Answer{Body: []byte(`[{"id":1,"status":"active"},{"tenantId":"t1"},{"id":"urn:t2"}]`)})
	}),
	listFault("html", 1, func(m *tenanttest.Manager, n int) { m.AnswerList(n, tenanttest.Answer{Body: []byte("<html>")}) }),
	{Name: "slow", Weight: 3, Draw: schedule.Both(schedule.UpTo(3), schedule.UpTo(6000)), Do: func(s *liveSim, a, b int) {
		s.patience = 0
		s.manager.DelayList(a, time.Duration(b)*time.Millisecond)
	}},
	{Name: "stale", Weight: 3, Draw: schedule.Both(schedule.UpTo(3), schedule.UpTo(8)), Do: func(s *liveSim, a, b int) {
		if v := s.manager.Version(); s.world.Has("versions") {
			s.manager.StaleList(a, v.Revision-min(v.Revision, uint64(b)))
		}
	}},
	{Name: "hold", Weight: 3, Do: func(s *liveSim, _, _ int) {
		_, release := s.manager.HoldList()
		s.held = append(s.held, release)
	}},
	{Name: "release", Weight: 4, Do: func(s *liveSim, _, _ int) {
		for _, release := range s.held {
			release()
		}
		s.held = nil
	}},
	{Name: "empty", Weight: 2, Do: func(s *liveSim, _, _ int) {
		// two in a row would be believed, and fewer are not held
		if s.d.Len() >= 15 && s.calm() && s.d.Status().SnapshotError == nil {
			s.manager.ClearFaults()
			s.patience = 0
			s.manager.EmptyList(1)
			s.refresh()
			settle()
			s.manager.ClearFaults() // where a request was under way
		}
	}},
	{Name: "dirt", Weight: 2, Do: func(s *liveSim, _, _ int) { s.dirt() }},
	{Name: "heal", Weight: 4, Do: func(s *liveSim, _, _ int) { s.healManager(); s.patience = 0 }},
}

// dirt answers one request with what is true and rows that say nothing.
func (s *liveSim) dirt() {
	if s.world.Has("versions") || !s.calm() {
		return // such an answer has no version
	}
	body := `[null,{},{"id":""},{"id":"-no"},{"id":"t31","status":"suspended"}`
	for id := range ids(s.manager.Active(service)) {
		body += fmt.Sprintf(`,{"id":%q,"status":"active"},{"id":%q}`, id, id)
	}
	s.manager.ClearFaults()
	s.patience = 0
	s.manager.AnswerList(1, tenanttest.Answer{Body: []byte(body + "]")})
	s.refresh()
	settle()
	s.manager.ClearFaults() // where a request was under way
}

func (s *liveSim) refresh() {
	s.refreshes++
	d := s.d
	s.work.Go(func() { _ = d.Refresh(s.ctx) })
}

// liveUse is what the discovery's own process does.
var liveUse = schedule.Operations[*liveSim]{
	{Name: "refresh", Weight: 4, Do: func(s *liveSim, _, _ int) { s.refresh() }},
	{Name: "watch", Weight: 3, Draw: schedule.OneOf(2), Do: func(s *liveSim, a, _ int) { s.watch(time.Duration(a) * 200 * time.Millisecond) }},
	{Name: "handle", Weight: 3, Draw: schedule.OneOf(20), Do: func(s *liveSim, a, _ int) {
		if len(s.past) > 0 {
			s.unseen, s.faulty = true, true
			d, evt := s.d, s.past[len(s.past)-1-a%len(s.past)]
			s.heard(evt)
			s.work.Go(func() { _ = d.HandleEvent(s.ctx, evt) })
		}
	}},
	{Name: "restart", Weight: 2, Do: func(s *liveSim, _, _ int) { s.stop(); s.start() }},
	{Name: "crash", Weight: 2, Draw: schedule.Both(schedule.OneOf(5), schedule.OneOf(3)), Do: (*liveSim).crash},
	{Name: "abort", Weight: 1, Do: (*liveSim).abort},
	{Name: "poll", Weight: 1, Do: (*liveSim).poll},
	{Name: "month", Weight: 1, Do: (*liveSim).month},
	{Name: "storm", Weight: 1, Do: (*liveSim).storm},
	{Name: "readback", Weight: 1, Draw: someTenant, Do: (*liveSim).readBack},
	{Name: "closefrom", Weight: 1, Draw: someTenant, Do: func(s *liveSim, a, _ int) {
		s.closing.Store(true)
		for _, change := range []func(context.Context, string) error{s.manager.Suspend, s.manager.Reactivate} {
			_ = change(s.ctx, s.id(a%simTenants)) // or it is none
		}
		s.pass(3 * time.Second)
		s.stop()
		s.start()
	}},
}

// poll holds that without the feed the truth is found by polling.
func (s *liveSim) poll(_, _ int) {
	s.healManager()
	s.patience, s.faulty = 0, true
	s.feed.Disconnect(nil)
	s.pass(s.cfg.ResyncSpread + longestPoll + 45*time.Second) // the longest back-off and the guard's delay as well
	if set, state := setOf(s.d.All()), s.d.Status().State; set != s.truth.now() || state != discovery.Polling {
		s.fail(fmt.Errorf("%v, the set is %v, the truth %v", state, set, s.truth.now()))
	}
}

// storm holds that many gaps do not make many requests.
func (s *liveSim) storm(_, _ int) {
	const gaps, perSpread, slack = 50, 10, 3 // one was due already, one is at the end, and one may be a Refresh
	before := s.listsAsked()
	for range gaps {
		s.feed.Gap(nil)
		pass(s.cfg.ResyncSpread / perSpread)
	}
	if asked := s.listsAsked() - before; asked > gaps/perSpread+slack {
		s.fail(fmt.Errorf("%d requests for %d gaps in %v", asked, gaps, gaps/perSpread*s.cfg.ResyncSpread))
	}
}

const longestPoll = discovery.DefaultPollInterval * 6 / 5

// month holds that what was lost without a sign is found by the reconcile that comes from time to time.
func (s *liveSim) month(_, _ int) {
	s.quiesce()
	s.feed.Drop(1)
	_ = s.manager.Suspend(s.ctx, s.id(0)) // or it is none
	s.feed.Drop(0)
	s.heart.on(false) // by which it would be told
	s.pass(s.cfg.ResyncInterval * 6 / 5)
	s.heart.on(true)
	if set := setOf(s.d.All()); set != s.truth.now() {
		s.fail(fmt.Errorf("after a month the set is %v, the truth %v", set, s.truth.now()))
	}
}

// readBack holds that a Refresh does not join a request that is older than itself.
func (s *liveSim) readBack(n, _ int) {
	s.quiesce()
	s.manager.DelayList(2, 500*time.Millisecond)
	s.refresh()
	settle()
	s.feed.Drop(2)
	_ = s.manager.Suspend(s.ctx, s.id(n%simTenants)) // or it is none
	s.feed.Drop(0)
	s.refreshes++
	err := s.d.Refresh(s.ctx)
	if set := setOf(s.d.All()); err != nil || set != s.truth.now() {
		s.fail(fmt.Errorf("refreshed, %w, and the set is %v, the truth %v", err, set, s.truth.now()))
	}
}

// crash ends the discovery, leaves the file as it was at some moment, perhaps damaged, and starts again, perhaps while
// the manager is down.
func (s *liveSim) crash(damage, down int) {
	var saved []byte
	if s.cfg.SnapshotFile != "" {
		saved, _ = os.ReadFile(s.cfg.SnapshotFile) // there may be none yet
	}
	if since := time.Since(s.d.Status().LastSnapshot); s.cfg.SnapshotFile != "" && len(saved) == 0 && since > 2*time.Second {
		s.fail(fmt.Errorf("no file was written in %v", since))
	}
	s.stop()
	if s.cfg.SnapshotFile != "" {
		switch n := len(saved); {
		case n == 0:
			_ = os.Remove(s.cfg.SnapshotFile) // there may be none
		case damage == 1:
			saved = saved[:n/2]
		case damage == 2:
			at := bytes.LastIndexByte(saved, 't')
			saved[at] = 'u' // an id that is as good, or else nonsense
		case damage == 3:
			saved = []byte{}
		}
		if damage%4 != 0 {
			defer func() { s.damaged = saved }()
		}
		if saved != nil {
			s.must(os.WriteFile(s.cfg.SnapshotFile, saved, 0o600))
		}
	}
	s.healManager()
	s.patience = 0
	if down > 0 {
		s.manager.FailList(down, 503, "")
	}
	s.start()
	good := damage%4 == 0 && !bytes.Equal(saved, s.damaged) // that one may be there still
	if state := s.d.Status().State; down > 0 && len(saved) > 0 && (state == discovery.Stale) != good {
		s.fail(fmt.Errorf("the manager is down, the file is damaged in way %d, and the state is %v", damage, state))
	}
}

// abort closes a discovery that is starting.
func (s *liveSim) abort(_, _ int) {
	s.stop()
	s.healManager()
	s.patience = 0
	_, release := s.manager.HoldList()
	s.held = append(s.held, release)
	d, err := discovery.NewTenantDiscovery(s.cfg)
	s.must(err)
	s.told, s.second = &tally{name: "the callbacks"}, &tally{name: "the second callbacks"}
	s.register(d, s.told)
	started := make(chan error, 1)
	s.work.Go(func() { started <- d.Start(s.ctx) })
	settle()
	s.must(d.Close())
	s.told.close()
	if err := <-started; s.cfg.SnapshotFile == "" && !errorsIs(err, discovery.ErrClosed) {
		s.fail(fmt.Errorf("a Start that Close ended: %w", err))
	}
	s.must(s.told.err())
	s.start()
}
