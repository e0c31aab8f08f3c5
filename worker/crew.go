package worker

import (
	"sync"
	"time"
)

// crew are the calls of somebody's code that one supervisor has begun, each on a goroutine of its own. The supervisor, which alone
// calls its methods but for tell, takes their ends from ended. It is used by Group, Every and ForEach.
type crew[E any] struct {
	ended   chan E
	over    chan struct{}  // closed when nobody takes from ended any more
	late    func(E)        // takes an end that comes after that; nil if nobody wants it
	working sync.WaitGroup // of the goroutines
}

func newCrew[E any](late func(E)) *crew[E] {
	return &crew[E]{ended: make(chan E), over: make(chan struct{}), late: late}
}

// call calls fn on a goroutine, and tells what end, which is not somebody's code, makes of how it has ended. That it is told is the
// last that the goroutine does.
func (c *crew[E]) call(fn func() error, end func(ending) E) {
	c.working.Go(func() {
		guard(fn, func(e ending) { c.tell(end(e)) })
	})
}

func (c *crew[E]) tell(end E) {
	select {
	case c.ended <- end:
	case <-c.over:
		if c.late != nil {
			c.late(end)
		}
	}
}

// dismiss takes no end any more. Where none is missing it waits for the goroutines, which have told theirs; else those that have not
// returned are left behind.
func (c *crew[E]) dismiss(missing bool) {
	close(c.over)
	if !missing {
		c.working.Wait()
	}
}

// await takes ends until there is nothing more to wait for, or the grace is over. other is closed when something else that it waits for
// has come, nil for nothing else; it reports whether that has not come.
func (c *crew[E]) await(grace time.Duration, waits func() bool, take func(E), other <-chan struct{}) (open bool) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for open = other != nil; open || waits(); {
		select {
		case end := <-c.ended:
			take(end)
		case <-other:
			open, other = false, nil
		case <-timer.C:
			return open
		}
	}
	return false
}
