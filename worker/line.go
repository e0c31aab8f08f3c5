package worker

import (
	"container/list"
	"iter"
)

// line is who waits for a start. Those whose slot is kept are first, then those whose run was ended by a reconfiguration and
// has overstayed, then all others; each in the order in which they came. The zero value is empty.
type line struct {
	kept, first, rest list.List // of *task
}

// place is where a task is in line.
type place struct {
	part *list.List
	at   *list.Element
}

// join puts a task at the end of those that it is one of.
func (l *line) join(t *task) {
	part := &l.rest
	switch {
	case t.holds:
		part = &l.kept
	case t.first:
		part = &l.first
	}
	t.place = place{part, part.PushBack(t)}
}

// leave takes a task out, if it is in line.
func (l *line) leave(t *task) {
	if t.place.at != nil {
		t.place.part.Remove(t.place.at)
		t.place = place{}
	}
}

// front is who is to be started next, nil when nobody waits.
func (l *line) front() *task {
	for t := range l.all() {
		return t
	}
	return nil
}

// all are those in line, the first to be started first.
func (l *line) all() iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for _, part := range []*list.List{&l.kept, &l.first, &l.rest} {
			for e := part.Front(); e != nil; e = e.Next() {
				if !yield(e.Value.(*task)) { //nolint:forcetypeassert // nothing else is in line
					return
				}
			}
		}
	}
}

func (l *line) len() int { return l.kept.Len() + l.first.Len() + l.rest.Len() }
