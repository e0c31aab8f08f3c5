package schedule

import (
	"maps"
	"slices"
)

// mostTries bounds the work of Shorten.
const mostTries = 1500

// Shorten leaves out what the failure does not need: first ever smaller runs of steps, then what the world begins with.
// again runs a schedule and reports whether it fails still.
func Shorten(s Schedule, again func(Schedule) bool) Schedule {
	tries := 0
	fails := func(t Schedule) bool {
		tries++
		return tries <= mostTries && again(t)
	}
	for size := max(len(s.Steps)/2, 1); ; size = max(size/2, 1) {
		less, fewer := leaveOut(s, size, fails)
		s = less
		if size == 1 && !fewer {
			break
		}
	}
	for _, flag := range slices.Clone(s.World.Flags) {
		t := s
		t.World.Flags = slices.DeleteFunc(slices.Clone(s.World.Flags), func(f string) bool { return f == flag })
		if fails(t) {
			s = t
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.World.Numbers)) {
		s = lower(s, name, fails)
	}
	return s
}

// leaveOut tries to leave out each run of size steps, from the end on.
func leaveOut(s Schedule, size int, fails func(Schedule) bool) (less Schedule, fewer bool) {
	for at := len(s.Steps) - size; at > -size; at -= size {
		t := s
		t.Steps = slices.Delete(slices.Clone(s.Steps), max(at, 0), at+size)
		if fails(t) {
			s, fewer = t, true
		}
	}
	return s, fewer
}

// lower tries without the number, and else with ever smaller ones.
func lower(s Schedule, name string, fails func(Schedule) bool) Schedule {
	with := func(n int) Schedule {
		t := s
		t.World.Numbers = maps.Clone(s.World.Numbers)
		t.World.Numbers[name] = n
		return t
	}
	if t := with(0); fails(t) {
		return t
	}
	for n := s.World.Numbers[name] / 2; n != 0; n /= 2 {
		t := with(n)
		if !fails(t) {
			break
		}
		s = t
	}
	return s
}
