package worker

import (
	"container/heap"
	"container/list"
	"context"
	"sync/atomic"
	"time"
)

type seatState uint8

const (
	seatIdle seatState = iota
	seatInLine
	seatRunning
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

	place  *list.Element           // while in line
	cancel context.CancelCauseFunc // while running
	late   atomic.Int64            // ticks skipped since one was reported; its run takes them
}

// roll holds the seats, a heap of those that are active by when their tick is due, and the line. It decides and does
// nothing; there is no clock in it.
type roll struct {
	table   timetable
	seats   map[string]*seat // by canonical id
	heap    dueHeap
	line    *list.List // of *seat
	running int
}

func newRoll(table timetable) *roll {
	return &roll{table: table, seats: map[string]*seat{}, line: list.New()}
}

// apply takes in what became of a tenant.
func (r *roll) apply(now time.Duration, key string, item newsItem) {
	s := r.seats[key]
	if s != nil && s.active && item.went {
		r.leave(s)
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
func (r *roll) leave(s *seat) {
	s.active = false
	heap.Remove(&r.heap, s.index)
	switch s.state {
	case seatRunning:
		s.cancel(ErrRemoved)
		return
	case seatInLine:
		r.line.Remove(s.place)
		s.state, s.place = seatIdle, nil
	case seatIdle:
	}
	delete(r.seats, s.key)
}

func (r *roll) next() (due time.Duration, ok bool) {
	if len(r.heap) == 0 {
		return 0, false
	}
	return r.heap[0].due, true
}

// due returns a seat whose tick is due, for turn to deal with, or nil.
func (r *roll) due(now time.Duration) *seat {
	if due, ok := r.next(); !ok || due > now {
		return nil
	}
	return r.heap[0]
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
		s.state, s.place = seatInLine, r.line.PushBack(s)
	}
	return v.skipped
}

// begin takes the first out of the line.
func (r *roll) begin(cancel context.CancelCauseFunc) *seat {
	s := r.line.Remove(r.line.Front()).(*seat) //nolint:forcetypeassert // nothing else is in line
	s.state, s.place, s.cancel = seatRunning, nil, cancel
	r.running++
	return s
}

// end takes in that a run has ended.
func (r *roll) end(s *seat) {
	s.state, s.cancel = seatIdle, nil
	r.running--
	if !s.active {
		delete(r.seats, s.key)
	}
}

// dueHeap has who is due first at its top.
type dueHeap []*seat //nolint:recvcheck // as container/heap wants it

// Len is for container/heap, and so are the others.
func (h dueHeap) Len() int { return len(h) }

// Less says which is due earlier.
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }

// Swap keeps the indexes.
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push adds a seat at the end.
func (h *dueHeap) Push(x any) {
	s := x.(*seat) //nolint:forcetypeassert // nothing else is pushed
	s.index = len(*h)
	*h = append(*h, s)
}

// Pop removes the last.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}
