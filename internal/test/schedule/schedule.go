// Package schedule is for simulations in tests: what happens in one, in a form that can be drawn, printed, read again and
// shortened.
//
//	core versions spread=300 tenants=12: add 3; deliver 0; ask; answer
package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Schedule is what happens in one simulation. The zero value is an empty one.
type Schedule struct {
	Name  string // of the simulation that it is for
	World World
	Steps []Step
}

// World is what a simulation begins with. All of it can be left out.
type World struct {
	Flags   []string
	Numbers map[string]int // zero is as good as missing
}

// Step is one thing that happens. What A and B mean is the operation's.
type Step struct {
	Op   string
	A, B int
}

// Has reports whether the flag is set.
func (w World) Has(flag string) bool { return slices.Contains(w.Flags, flag) }

// String is what Parse reads.
func (s Schedule) String() string {
	words := slices.Concat([]string{s.Name}, s.World.Flags, s.World.numbers())
	steps := make([]string, len(s.Steps))
	for i, st := range s.Steps {
		steps[i] = st.String()
	}
	return strings.Join(words, " ") + ": " + strings.Join(steps, "; ")
}

func (w World) numbers() []string {
	var words []string
	for name, n := range w.Numbers {
		if n != 0 {
			words = append(words, name+"="+strconv.Itoa(n))
		}
	}
	slices.Sort(words)
	return words
}

// String leaves out the zeros at its end.
func (s Step) String() string {
	text := s.Op
	if s.A != 0 || s.B != 0 {
		text += " " + strconv.Itoa(s.A)
	}
	if s.B != 0 {
		text += " " + strconv.Itoa(s.B)
	}
	return text
}

// Parse reads a schedule, whose world may have these numbers. Which steps there are is known when they are done.
func Parse(text string, numbers ...string) (Schedule, error) {
	head, rest, _ := strings.Cut(text, ":")
	s := Schedule{World: World{Numbers: map[string]int{}}}
	for i, word := range strings.Fields(head) {
		name, value, isNumber := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		switch {
		case i == 0:
			s.Name = word
		case !isNumber:
			s.World.Flags = append(s.World.Flags, word)
		case err != nil:
			return s, fmt.Errorf("%q: %w", word, err)
		case !slices.Contains(numbers, name):
			return s, fmt.Errorf("%q is not known", word)
		default:
			s.World.Numbers[name] = n
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
		s.Steps = append(s.Steps, st)
	}
	return s, nil
}

func parseStep(text string) (Step, error) {
	var st Step
	var err error
	words := strings.Fields(text)
	if len(words) > 3 {
		return st, fmt.Errorf("step %q has too many words", text)
	}
	st.Op = words[0]
	for i, into := range []*int{&st.A, &st.B} {
		if len(words) > i+1 && err == nil {
			*into, err = strconv.Atoi(words[i+1])
		}
	}
	return st, err
}
