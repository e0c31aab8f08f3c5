package worker_test

import (
	"math/rand/v2"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/worker"
)

// draw makes the schedule of a seed.
func draw(seed uint64) schedule.Schedule {
	r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // to be repeated
	pick := func(of ...int) int { return of[r.IntN(len(of))] }
	s := schedule.Schedule{Name: "group", World: schedule.World{Numbers: map[string]int{
		"limit": pick(0, 0, 1, 2, 3, 5), "ramp": pick(0, 0, 0, 1, 7, 50, 400), "grace": pick(100, 1000, 10_000),
		"min": pick(10, 100, 1000), "max": pick(0, 1, 2, 8, 60), "dice": 1 + r.IntN(1<<20),
	}}}
	if r.IntN(2) == 0 {
		s.World.Flags = append(s.World.Flags, "hook")
	}
	if r.IntN(8) == 0 {
		s.World.Flags = append(s.World.Flags, "heedless")
	}
	for range 5 + r.IntN(40) {
		s.Steps = append(s.Steps, operations.Draw(r))
	}
	return s
}

// operations are what happens in a schedule. A is mostly the number of a tenant.
var operations = schedule.Operations[*sim]{
	{Name: "add", Weight: 160, Draw: schedule.Both(someTenant, schedule.OneOf(2)), Do: func(s *sim, n, spelling int) { s.tell(tenant.Added, n, spelling) }},
	{Name: "remove", Weight: 70, Draw: schedule.Both(someTenant, schedule.OneOf(2)), Do: func(s *sim, n, spelling int) { s.tell(tenant.Removed, n, spelling) }},
	{Name: "reconfigure", Weight: 60, Draw: schedule.Both(someTenant, schedule.OneOf(4)), Do: func(s *sim, n, spelling int) { s.tell(tenant.Reconfigured, n, spelling) }},
	{Name: "burst", Weight: 30, Draw: schedule.Both(someTenant, schedule.UpTo(simTenants)), Do: (*sim).burst},
	{Name: "flap", Weight: 15, Draw: schedule.Both(someTenant, schedule.UpTo(50)), Do: (*sim).flap},
	{Name: "storm", Weight: 20, Draw: schedule.Both(someTenant, schedule.UpTo(20)), Do: (*sim).storm},
	{Name: "mood", Weight: 60, Draw: schedule.Both(someTenant, schedule.OneOf(int(whatCount)*5)), Do: (*sim).setMood},
	{Name: "stops", Weight: 50, Draw: schedule.Both(someTenant, schedule.OneOf(int(whatCount)*5)), Do: (*sim).setStop},
	{Name: "hooks", Weight: 40, Draw: schedule.Both(someTenant, schedule.OneOf(int(whatCount)*5)), Do: (*sim).setHook},
	{Name: "end", Weight: 70, Draw: schedule.Both(someTenant, schedule.OneOf(int(whatCount))), Do: (*sim).end},
	{Name: "unhook", Weight: 20, Draw: schedule.Both(someTenant, schedule.OneOf(int(whatCount))), Do: (*sim).unhook},
	{Name: "pass", Weight: 100, Draw: schedule.UpTo(2000), Do: func(s *sim, ms, _ int) { s.pass(time.Duration(ms) * time.Millisecond) }},
	{Name: "grace", Weight: 15, Do: func(s *sim, _, _ int) { s.pass(s.model.grace) }},
	{Name: "wait", Weight: 30, Draw: schedule.UpTo(8), Do: func(s *sim, quarters, _ int) { s.pass(time.Duration(quarters) * s.model.max / 4) }},
	{Name: "cancel", Weight: 5, Do: func(s *sim, _, _ int) { s.stop(!s.world.Has("heedless"), s.cancel) }},
	{Name: "dry", Weight: 5, Do: func(s *sim, _, _ int) { s.stop(true, func() {}) }},
}

// someTenant draws the number of one, often one of a few, so that more than one thing happens to it.
func someTenant(r *rand.Rand) (n, _ int) { return r.IntN([]int{2, 4, simTenants}[r.IntN(3)]), 0 }

// tell tells the Group of a change and waits until it has been taken. The second spelling of a reconfiguration has no reason.
func (s *sim) tell(kind tenant.Kind, n, spelling int) {
	c := tenant.Change{Kind: kind, TenantID: spelled(n, spelling)}
	if kind == tenant.Reconfigured && spelling < 3 {
		c.EventType = []tenant.EventType{tenant.EventCredentialsRotated, tenant.EventConnectionsUpdated, tenant.EventCacheInvalidate}[spelling]
	}
	if !s.model.stopped.IsZero() {
		return
	}
	s.mu.Lock()
	s.log = append(s.log, entry{kind: told, n: n, change: c})
	s.mu.Unlock()
	select {
	case s.changes <- c:
	case <-time.After(time.Hour):
		s.failf("a change is not taken")
	}
}

// toggle lets a tenant come that is gone, and go that is there.
func (s *sim) toggle(n int) {
	if s.model.tenants[n].active {
		s.tell(tenant.Removed, n, s.rand.IntN(2))
	} else {
		s.tell(tenant.Added, n, s.rand.IntN(2))
	}
}

// burst is a change of each of k tenants, without a pause.
func (s *sim) burst(n, k int) {
	for i := range min(k, simTenants) {
		s.toggle((n + i) % simTenants)
	}
}

// flap lets a tenant come and go a hundred times a second.
func (s *sim) flap(n, k int) {
	for range k {
		if s.failure() != nil || !s.model.stopped.IsZero() {
			return
		}
		s.toggle(n)
		s.settle()
		s.pass(5 * time.Millisecond)
	}
}

// storm is many changes of one tenant at once, so that nobody can say what has run in between.
func (s *sim) storm(n, k int) {
	if r := s.model.tenants[n].run; !s.model.stopped.IsZero() || r != nil && r.hooking {
		return
	}
	s.model.storm = n
	kinds := []tenant.Kind{tenant.Added, tenant.Removed, tenant.Reconfigured}
	if s.model.hook {
		kinds = kinds[:2]
	}
	for range k {
		s.tell(kinds[s.rand.IntN(len(kinds))], n, s.rand.IntN(2))
	}
}

// setMood says how runs of a tenant end by themselves from now on.
func (s *sim) setMood(n, b int) {
	s.set(&s.moods[n%simTenants], b, 0, time.Millisecond, 300*time.Millisecond, s.model.max, never)
}

// setStop says how they do when they are cancelled, and after how long.
func (s *sim) setStop(n, b int) {
	s.set(&s.stops[n%simTenants], b, 0, time.Millisecond, s.model.grace/2, 2*s.model.grace, never)
}

// setHook says what becomes of the tenant's hook. One that obeys goes on until its ctx ends.
func (s *sim) setHook(n, b int) {
	s.set(&s.hooks[n%simTenants], b, 0, 0, time.Millisecond, 3*s.model.grace, never)
}

func (s *sim) set(m *mood, b int, after ...time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*m = mood{what: what(b) % whatCount, after: after[b/int(whatCount)%len(after)]}
}

// end ends the run of a tenant, whatever it is at.
func (s *sim) end(n, b int) {
	how := what(b) % whatCount
	if r := s.model.tenants[n].run; r != nil && !r.over {
		send(r.end, how)
	}
}

// unhook ends the call of a tenant's hook.
func (s *sim) unhook(n, b int) {
	if r := s.model.tenants[n].run; r != nil && r.hooking {
		send(r.hook, what(b)%whatCount)
	}
}

func send(to chan what, how what) {
	select {
	case to <- how:
	default: // it has been told
	}
}

// stop ends the changes or ctx, which ends the Group.
func (s *sim) stop(dry bool, also func()) {
	s.mu.Lock()
	s.log = append(s.log, entry{kind: stopped})
	s.mu.Unlock()
	if dry && !s.model.dry {
		s.model.dry = true
		close(s.dry)
	}
	also()
	s.settle()
}

// finish lets the faults stop, wants everybody to be served, and ends.
func (s *sim) finish() {
	if s.model.stopped.IsZero() {
		s.heal()
		s.serve()
		for n := range s.model.tenants {
			s.tell(tenant.Removed, n, 0)
		}
		s.settle()
		if s.rand.IntN(2) == 0 {
			s.stop(true, func() {})
		} else {
			s.stop(true, s.cancel)
		}
	}
	s.pass(s.model.grace + 1) // Run returns, which is looked at
	s.free()
	s.stop(true, s.cancel)
	s.pass(2*s.model.max + time.Minute) // nothing starts any more
	if left := s.group.Status().Tenants; len(left) > 0 && s.failure() == nil {
		s.failf("left at the end: %+v", left)
	}
}

// heal ends all faults. Everybody runs then, or waits for somebody who does.
func (s *sim) heal() {
	s.mu.Lock()
	s.moods, s.stops, s.hooks = [simTenants]mood{}, [simTenants]mood{}, [simTenants]mood{}
	s.mu.Unlock()
	s.free()
	s.pass(2*s.model.max + 6*s.model.grace + simTenants*s.model.interval + time.Second)
	s.free() // a run that was begun in an older mood may not have been stopped until now
	s.pass(2*s.model.max + simTenants*s.model.interval + time.Second)
	for _, t := range s.group.Status().Tenants {
		if t.State == worker.Stopping || t.State == worker.Overstaying || t.State == worker.Restarting {
			s.failf("%s is %v, and all faults have ended", t.TenantID, t.State)
		}
	}
}

// free lets everything end that does not by itself.
func (s *sim) free() {
	for n := range s.model.tenants {
		r := s.model.tenants[n].run
		if r == nil {
			continue
		}
		if r.hooking {
			send(r.hook, quits)
			s.settle()
		}
		if !r.over && !r.stopping.IsZero() {
			send(r.end, obeys)
			s.settle()
		}
	}
}

// serve ends each run that goes well, until nobody is in line any more.
func (s *sim) serve() {
	for range simTenants {
		for n := range s.model.tenants {
			s.end(n, int(quits))
		}
		s.settle()
		s.pass(s.model.interval)
	}
	for i := range s.model.tenants {
		if t := &s.model.tenants[i]; t.active && t.state != worker.Done && t.state != worker.GivenUp {
			s.failf("%s is not served: %v, it runs: %v", t.id, t.state, t.run != nil)
		}
	}
}
