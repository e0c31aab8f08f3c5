package discovery_test

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// blockSize is how many schedules learn from each other: all that is drawn depends on the seed of the first.
	blockSize = 2000
	// mostModels is how many of those that reached something new the next ones are made of.
	mostModels = 100
)

func drawCore(seed uint64) schedule.Schedule {
	r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // to be repeated
	s := schedule.Schedule{Name: "core", World: drawWorld(r, seed)}
	if seed%2 == 1 && rand.New(rand.NewPCG(seed, 5)).IntN(4) == 0 { //nolint:gosec // to be repeated
		s.World.Flags = append(s.World.Flags, "mixed")
	}
	if r.IntN(5) > 0 {
		s.Steps = []schedule.Step{{Op: "up"}, {Op: "ask"}, {Op: "answer"}}
	}
	for flag, share := range map[string]int{"spelled": 4, "anonymous": 4, "configured": 3, "hearing": 5, "changes": 2, "names": 3, "flooded": 1500} {
		if rand.New(rand.NewPCG(seed, uint64(share)+uint64(len(flag)))).IntN(share) == 0 { //nolint:gosec // of its own, as a map has no order
			s.World.Flags = append(s.World.Flags, flag)
		}
	}
	slices.Sort(s.World.Flags)
	for range 5 + r.IntN(60) {
		s.Steps = append(s.Steps, coreOperations.Draw(r))
	}
	if s.World.Has("flooded") {
		s.Steps = slices.Insert(s.Steps, r.IntN(len(s.Steps)), schedule.Step{Op: "flood"})
	}
	return s
}

// drawWorld gives every second world versions.
func drawWorld(r *rand.Rand, seed uint64) schedule.World {
	w := schedule.World{Numbers: map[string]int{"tenants": r.IntN(simTenants - 2), "spread": 50 + r.IntN(950), "dice": 1 + r.IntN(1<<20), "many": 1 + r.IntN(simTenants), "slack": 1 + r.IntN(8)}}
	if seed%2 == 0 {
		w.Flags = append(w.Flags, "versions")
		if r.IntN(3) > 0 {
			w.Flags = append(w.Flags, "beatless")
		}
	} else {
		for _, flag := range []string{"base", "undated"} {
			if r.IntN(3) == 0 {
				w.Flags = append(w.Flags, flag)
			}
		}
	}
	if r.IntN(2) == 0 {
		w.Flags = append(w.Flags, "notify")
	}
	return w
}

// cases are the ways through the memory that a schedule took: which case each event was, and which of the same tenant came
// before it, with a list between them or without.
type cases struct {
	last  [simTenants]uint64 // the case before
	lists [simTenants]int    // the lists taken by then
	pairs []uint64
}

// meet notes that an event is about to be handed over.
func (s *coreSim) meet(evt tenant.Event) {
	n, ok := numberOf(evt.TenantID)
	if s.cases == nil || !ok {
		return
	}
	which := s.core.Case(evt)
	listed := uint64(0)
	if s.cases.lists[n] != s.snapshots {
		listed = 1
	}
	s.cases.pairs = append(s.cases.pairs, s.cases.last[n]<<32|listed<<31|which)
	s.cases.last[n], s.cases.lists[n] = which, s.snapshots
}

// steer draws the schedules of a block: some at random, and some from those before that took a way which was new.
type steer struct {
	seen   map[uint64]struct{}
	models []schedule.Schedule
}

func (st *steer) draw(seed uint64) schedule.Schedule {
	r := rand.New(rand.NewPCG(seed, 6)) //nolint:gosec // to be repeated
	if len(st.models) == 0 || r.IntN(2) == 0 {
		return drawCore(seed)
	}
	s := st.models[r.IntN(len(st.models))]
	s.Steps = slices.Clone(s.Steps)
	for range 1 + r.IntN(4) {
		s.Steps = changeSteps(r, s.Steps)
	}
	return s
}

// changeSteps leaves one out, draws one more, or lets two change places.
func changeSteps(r *rand.Rand, steps []schedule.Step) []schedule.Step {
	at := r.IntN(len(steps) + 1)
	switch kind := r.IntN(4); {
	case kind == 0 && at < len(steps):
		return slices.Delete(steps, at, at+1)
	case kind == 1 && at+1 < len(steps):
		steps[at], steps[at+1] = steps[at+1], steps[at]
		return steps
	case kind == 2 && at < len(steps):
		steps[at] = coreOperations.Draw(r)
		return steps
	default:
		return slices.Insert(steps, at, coreOperations.Draw(r))
	}
}

// learn keeps the schedule as a model when it took a new way.
func (st *steer) learn(s schedule.Schedule, took *cases) {
	before := len(st.seen)
	for _, pair := range took.pairs {
		st.seen[pair] = struct{}{}
	}
	if len(st.seen) == before {
		return
	}
	st.models = append(st.models, s)
	st.models = st.models[max(0, len(st.models)-mostModels):]
}

// reached is what all blocks have.
type reached struct {
	mu    sync.Mutex
	cases map[uint64]struct{}
	pairs map[uint64]struct{}
}

func (t *reached) add(seen map[uint64]struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for pair := range seen {
		t.cases[pair&(1<<31-1)] = struct{}{}
		t.pairs[pair] = struct{}{}
	}
}
