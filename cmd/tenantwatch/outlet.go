package main

import (
	"io"
	"sync"
	"time"
)

const (
	// maxQueued is how much of one process waits to be written, in bytes, before the process has to wait.
	maxQueued = 64 << 10
	// stalledAfter is how long a write may take before what processes write is dropped, for them not to wait for ever.
	stalledAfter = time.Second
)

// outlet writes what many processes have to say, in turn, so that one that says a lot leaves room for the others. A process
// that writes faster than we can has to wait, until a write does not come to an end: supervision never waits for it.
type outlet struct {
	to [2]io.Writer // by stream

	mu      sync.Mutex // guards what follows, and all queues
	work    sync.Cond  // there is something to write, or never will be
	space   sync.Cond  // there is room in a queue, or no need to wait for it
	ready   []*queue   // those that have something
	writing int        // counts the writes
	stalled bool       // the write that is under way takes too long
	broken  error      // nothing is written any more
	closed  bool
}

// queue is what waits to be written for one process.
type queue struct {
	outlet  *outlet
	notice  func(lines int) []byte // tells how many were dropped
	pieces  []piece
	size    int
	dropped int
}

// piece is some lines for the same stream.
type piece struct {
	to   stream
	text []byte
}

func newOutlet(out, err io.Writer) *outlet {
	o := &outlet{to: [2]io.Writer{out, err}}
	o.work.L, o.space.L = &o.mu, &o.mu
	return o
}

// add queues a line that has to be shown.
func (q *queue) add(to stream, text []byte) {
	q.outlet.mu.Lock()
	defer q.outlet.mu.Unlock()
	q.put(to, text)
}

// addOrDrop queues a line when there is room for it, and waits for that as long as anything is written at all.
func (q *queue) addOrDrop(to stream, text []byte) {
	o := q.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	for q.size >= maxQueued && !o.stalled && o.broken == nil {
		o.space.Wait()
	}
	if q.size >= maxQueued || o.broken != nil {
		q.dropped++
		return
	}
	q.put(to, text)
}

// put queues. The caller has the lock.
func (q *queue) put(to stream, text []byte) {
	o := q.outlet
	if o.broken != nil {
		return
	}
	if len(q.pieces) == 0 {
		o.ready = append(o.ready, q)
		o.work.Signal()
	}
	if last := len(q.pieces) - 1; last >= 0 && q.pieces[last].to == to {
		q.pieces[last].text = append(q.pieces[last].text, text...)
	} else {
		q.pieces = append(q.pieces, piece{to: to, text: text})
	}
	q.size += len(text)
}

// run writes until close was called and all is written, or until that fails.
func (o *outlet) run() error {
	for {
		pieces, ok := o.take()
		if !ok {
			o.refuse(errOutput)
			return nil
		}
		for _, p := range pieces {
			if err := o.write(p); err != nil {
				o.refuse(err)
				return err
			}
		}
	}
}

// take waits for something to write, and returns what one process has to say. It returns false when nothing will come.
func (o *outlet) take() ([]piece, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.ready) == 0 {
		if o.closed {
			return nil, false
		}
		o.work.Wait()
	}
	q := o.ready[0]
	o.ready = o.ready[1:]
	pieces := q.pieces
	if q.dropped > 0 {
		pieces = append(pieces, piece{to: standardOutput, text: q.notice(q.dropped)})
	}
	q.pieces, q.size, q.dropped = nil, 0, 0
	o.space.Broadcast()
	return pieces, true
}

// write writes one piece, and notes when that takes too long. Standard error may be gone: there is nobody left to tell.
func (o *outlet) write(p piece) error {
	o.mu.Lock()
	o.writing++
	this := o.writing
	o.mu.Unlock()
	late := time.AfterFunc(stalledAfter, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.stalled = o.writing == this
		o.space.Broadcast()
	})
	_, err := o.to[p.to].Write(p.text)
	late.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing++ // whoever comes late knows that it is over
	o.stalled = false
	if p.to == standardOutput {
		return err
	}
	return nil
}

// refuse: nothing is written any more.
func (o *outlet) refuse(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = err
	o.space.Broadcast()
}

// close lets run return once it has written all.
func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.work.Broadcast()
}
