package discovery_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// schedule is what happens in one simulation, in a form that can be printed, read again and shortened:
//
//	core versions tenants=12 spread=300: add 3; deliver 0; ask; answer
type schedule struct {
	layer string // "core" or "live"
	world world
	steps []step
}

// world is what a simulation begins with. All of it can be left out.
type world struct {
	flags   []string // "versions", "beatless", "base", "undated", "mixed", "slow", "panics", "deaf", "notify", "file"
	tenants int      // there from the beginning
	spread  int      // ms
	dice    int      // seeds all jitter
}

// step is one thing that happens. What a and b mean is the operation's.
type step struct {
	op   string
	a, b int
}

func (w world) has(flag string) bool { return slices.Contains(w.flags, flag) }

func (s schedule) String() string {
	words := slices.Concat([]string{s.layer}, s.world.flags)
	for _, n := range []struct {
		name  string
		value int
	}{{"tenants", s.world.tenants}, {"spread", s.world.spread}, {"dice", s.world.dice}} {
		if n.value != 0 {
			words = append(words, fmt.Sprintf("%s=%d", n.name, n.value))
		}
	}
	steps := make([]string, len(s.steps))
	for i, st := range s.steps {
		steps[i] = st.String()
	}
	return strings.Join(words, " ") + ": " + strings.Join(steps, "; ")
}

func (s step) String() string {
	text := s.op
	if s.a != 0 || s.b != 0 {
		text += " " + strconv.Itoa(s.a)
	}
	if s.b != 0 {
		text += " " + strconv.Itoa(s.b)
	}
	return text
}

func parseSchedule(text string) (schedule, error) {
	head, rest, _ := strings.Cut(text, ":")
	var s schedule
	for i, word := range strings.Fields(head) {
		name, value, isNumber := strings.Cut(word, "=")
		number, err := strconv.Atoi(value)
		switch {
		case i == 0:
			s.layer = word
		case !isNumber:
			s.world.flags = append(s.world.flags, word)
		case err != nil:
			return s, fmt.Errorf("%q: %w", word, err)
		case name == "tenants":
			s.world.tenants = number
		case name == "spread":
			s.world.spread = number
		case name == "dice":
			s.world.dice = number
		default:
			return s, fmt.Errorf("%q is not known", word)
		}
	}
	for part := range strings.SplitSeq(rest, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		st, err := parseStep(part)
		if err != nil {
			return s, err
		}
		s.steps = append(s.steps, st)
	}
	return s, nil
}

func parseStep(text string) (step, error) {
	var st step
	var err error
	words := strings.Fields(text)
	if len(words) > 3 {
		return st, fmt.Errorf("step %q has too many words", text)
	}
	st.op = words[0]
	for i, into := range []*int{&st.a, &st.b} {
		if len(words) > i+1 && err == nil {
			*into, err = strconv.Atoi(words[i+1])
		}
	}
	return st, err
}

// operation is one kind of step of a simulation S, and how often it is drawn.
type operation[S any] struct {
	name   string
	weight int
	draw   func(r *rand.Rand) (a, b int) // nil: no arguments
	do     func(s S, a, b int)
}

// operations are all kinds, drawn by their weights.
type operations[S any] []operation[S]

func (ops operations[S]) draw(r *rand.Rand) step {
	total := 0
	for _, op := range ops {
		total += op.weight
	}
	pick := r.IntN(total)
	for _, op := range ops {
		if pick -= op.weight; pick >= 0 {
			continue
		}
		st := step{op: op.name}
		if op.draw != nil {
			st.a, st.b = op.draw(r)
		}
		return st
	}
	panic("the weights do not add up")
}

func (ops operations[S]) do(s S, st step) error {
	for _, op := range ops {
		if op.name == st.op {
			op.do(s, st.a, st.b)
			return nil
		}
	}
	return fmt.Errorf("%q is no step", st.op)
}

// oneOf draws the first argument from [0, n).
func oneOf(n int) func(*rand.Rand) (int, int) {
	return func(r *rand.Rand) (int, int) { return r.IntN(n), 0 }
}

// someTenant draws the number of one, often one of a few, so that more than one thing happens to it.
func someTenant(r *rand.Rand) (n, _ int) {
	return r.IntN([]int{2, 4, simTenants - 2}[r.IntN(3)]), 0
}

// upTo draws the first argument from 1 to n.
func upTo(n int) func(*rand.Rand) (int, int) {
	return func(r *rand.Rand) (int, int) { return 1 + r.IntN(n), 0 }
}

// both draws both arguments.
func both(a, b func(*rand.Rand) (int, int)) func(*rand.Rand) (int, int) {
	return func(r *rand.Rand) (int, int) {
		first, _ := a(r)
		second, _ := b(r)
		return first, second
	}
}

// mostTries bounds the work of shorten.
const mostTries = 1500

// shorten leaves out what the failure does not need: first ever smaller runs of steps, then what the world begins with.
// again runs a schedule and reports whether it fails still.
func shorten(s schedule, again func(schedule) bool) schedule {
	tries := 0
	fails := func(t schedule) bool {
		tries++
		return tries <= mostTries && again(t)
	}
	for size := max(len(s.steps)/2, 1); ; size = max(size/2, 1) {
		less, fewer := leaveOut(s, size, fails)
		s = less
		if size == 1 && !fewer {
			break
		}
	}
	for _, flag := range []string{"mixed", "slow", "panics", "deaf", "notify", "file", "base", "undated", "beatless"} {
		t := s
		t.world.flags = slices.DeleteFunc(slices.Clone(s.world.flags), func(f string) bool { return f == flag })
		if s.world.has(flag) && fails(t) {
			s = t
		}
	}
	for s.world.tenants > 0 {
		t := s
		if t.world.tenants /= 2; !fails(t) {
			break
		}
		s = t
	}
	return s
}

// leaveOut tries to leave out each run of size steps, from the end on.
func leaveOut(s schedule, size int, fails func(schedule) bool) (less schedule, fewer bool) {
	for at := len(s.steps) - size; at > -size; at -= size {
		from := max(at, 0)
		t := s
		t.steps = slices.Delete(slices.Clone(s.steps), from, at+size)
		if fails(t) {
			s, fewer = t, true
		}
	}
	return s, fewer
}
