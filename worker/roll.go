package worker

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

type seatState uint8

const (
	seatIdle seatState = iota
	seatInLine
	seatRunning
	seatEnding      // has a run whose ctx has ended, and which has not returned yet
	seatOverstaying // is seatEnding for longer than the grace
	seatStates      // how many there are
)

// seat is what a schedule knows of a tenant: one that is active, or whose run has not ended yet.
type seat struct {
	key, id string
	phase   time.Duration
	state   seatState
	active  bool

	due   time.Duration // while active
	again bool
	index int // in the heap

	since  time.Duration           // when it came into its state
	place  *list.Element           // among those in its state, unless that is seatIdle
	cancel context.CancelCauseFunc // while it has a run
	late   atomic.Int64            // ticks skipped since one was reported; its run takes them
}

func (s *seat) earlier(than *seat) bool { return s.due < than.due }

func (s *seat) at(index int) { s.index = index }

// forever is longer than any process lives, and can be added to a time.
const forever = time.Duration(math.MaxInt64 / 4)

// roll holds the seats, a heap of those that are active by when their tick is due, and of each state who came into it first.
// It decides and does nothing; there is no clock in it.
type roll struct {
	table          timetable
	timeout, grace time.Duration
	seats          map[string]*seat // by canonical id
	heap           deadlines[*seat]
	in             [seatStates]list.List // of *seat; none for seatIdle
}

// newRoll returns a roll of nobody. A timeout of zero is none.
func newRoll(table timetable, timeout, grace time.Duration) *roll {
	return &roll{
		table: table, seats: map[string]*seat{},
		timeout: min(cmp.Or(timeout, forever), forever), grace: min(grace, forever),
	}
}

// counted is how many have a run that counts towards Limit.
func (r *roll) counted() int { return r.in[seatRunning].Len() + r.in[seatEnding].Len() }

// unfinished is how many have a run.
func (r *roll) unfinished() int { return r.counted() + r.in[seatOverstaying].Len() }

// first returns who is in a state for the longest, or nil.
func (r *roll) first(state seatState) *seat {
	if e := r.in[state].Front(); e != nil {
		return e.Value.(*seat) //nolint:forcetypeassert // nothing else is there
	}
	return nil
}

func (r *roll) move(now time.Duration, s *seat, state seatState) {
	if s.place != nil {
		r.in[s.state].Remove(s.place)
		s.place = nil
	}
	s.state, s.since = state, now
	if state != seatIdle {
		s.place = r.in[state].PushBack(s)
	}
}

// apply takes in what became of a tenant.
func (r *roll) apply(now time.Duration, key string, item newsItem) {
	s := r.seats[key]
	if s != nil && s.active && item.went {
		r.leave(now, s)
		s = r.seats[key]
	}
	if !item.active {
		return
	}
	if s == nil {
		s = &seat{key: key, phase: r.table.phase(key)}
		r.seats[key] = s
	}
	s.id = item.id
	if !s.active {
		s.active, s.again, s.due = true, false, r.table.after(s.phase, now)
		heap.Push(&r.heap, s)
	}
}

// leave takes a tenant off the heap and out of the line, and cancels its run. Its seat stays until that has ended.
func (r *roll) leave(now time.Duration, s *seat) {
	s.active = false
	heap.Remove(&r.heap, s.index)
	switch s.state {
	case seatRunning:
		r.move(now, s, seatEnding)
		s.cancel(ErrRemoved)
	case seatEnding, seatOverstaying:
		s.cancel(ErrRemoved) // its time was over before: what it returns now is not a failure all the same
	default:
		r.move(now, s, seatIdle)
		delete(r.seats, s.key)
	}
}

// next is when there is something to do; false if never.
func (r *roll) next() (at time.Duration, ok bool) {
	at = forever
	if len(r.heap) > 0 {
		at = r.heap[0].due
	}
	if s := r.first(seatRunning); s != nil {
		at = min(at, s.since+r.timeout)
	}
	if s := r.first(seatEnding); s != nil {
		at = min(at, s.since+r.grace)
	}
	return at, at < forever
}

// due returns a seat whose tick is due, for turn to deal with, or nil.
func (r *roll) due(now time.Duration) *seat {
	if len(r.heap) == 0 || r.heap[0].due > now {
		return nil
	}
	return r.heap[0]
}

// expire takes in that the time of runs is over, and returns one that overstays from now on, or nil. The grace begins when
// that is noticed: after a process has stood still, runs have theirs.
func (r *roll) expire(now time.Duration) *seat {
	for s := r.first(seatRunning); s != nil && now-s.since >= r.timeout; s = r.first(seatRunning) {
		r.move(now, s, seatEnding)
	}
	s := r.first(seatEnding)
	if s == nil || now-s.since < r.grace {
		return nil
	}
	r.move(now, s, seatOverstaying)
	return s
}

// stop takes in that all runs were cancelled.
func (r *roll) stop(now time.Duration) {
	for s := r.first(seatRunning); s != nil; s = r.first(seatRunning) {
		r.move(now, s, seatEnding)
	}
}

// turn deals with the tick that is due, and returns how many are skipped.
func (r *roll) turn(now time.Duration, s *seat) (skipped int64) {
	busy := s.state != seatIdle
	v := r.table.judge(s.phase, s.due, now, s.again)
	s.due, s.again = v.next, v.again
	heap.Fix(&r.heap, s.index)
	switch {
	case v.run && busy:
		return v.skipped + 1
	case v.run:
		r.move(now, s, seatInLine)
	}
	return v.skipped
}

// begin takes the first out of the line.
func (r *roll) begin(now time.Duration, cancel context.CancelCauseFunc) *seat {
	s := r.first(seatInLine)
	r.move(now, s, seatRunning)
	s.cancel = cancel
	return s
}

// end takes in that a run has ended.
func (r *roll) end(now time.Duration, s *seat) {
	r.move(now, s, seatIdle)
	s.cancel = nil
	if !s.active {
		delete(r.seats, s.key)
	}
}

// names are the tenants that have a run, sorted.
func (r *roll) names() []string {
	var ids []string
	for _, s := range r.seats {
		if s.state >= seatRunning {
			ids = append(ids, s.id)
		}
	}
	slices.Sort(ids)
	return ids
}
