package schedule

import (
	"fmt"
	"math/rand/v2"
)

// Draw draws the arguments of a step.
type Draw func(r *rand.Rand) (a, b int)

// Operation is one kind of step of a simulation S, and how often it is drawn.
type Operation[S any] struct {
	Name   string
	Weight int
	Draw   Draw // nil: no arguments
	Do     func(s S, a, b int)
}

// Operations are all kinds, drawn by their weights.
type Operations[S any] []Operation[S]

// Draw draws a step.
func (ops Operations[S]) Draw(r *rand.Rand) Step {
	total := 0
	for _, op := range ops {
		total += op.Weight
	}
	pick := r.IntN(total)
	for _, op := range ops {
		if pick -= op.Weight; pick >= 0 {
			continue
		}
		st := Step{Op: op.Name}
		if op.Draw != nil {
			st.A, st.B = op.Draw(r)
		}
		return st
	}
	panic("the weights do not add up")
}

// Do does a step, and fails when there is no such operation.
func (ops Operations[S]) Do(s S, st Step) error {
	for _, op := range ops {
		if op.Name == st.Op {
			op.Do(s, st.A, st.B)
			return nil
		}
	}
	return fmt.Errorf("%q is not a step", st.Op)
}

// OneOf draws the first argument from 0 to n-1.
func OneOf(n int) Draw {
	return func(r *rand.Rand) (int, int) { return r.IntN(n), 0 }
}

// UpTo draws the first argument from 1 to n.
func UpTo(n int) Draw {
	return func(r *rand.Rand) (int, int) { return 1 + r.IntN(n), 0 }
}

// Both draws both arguments.
func Both(a, b Draw) Draw {
	return func(r *rand.Rand) (int, int) {
		first, _ := a(r)
		second, _ := b(r)
		return first, second
	}
}
