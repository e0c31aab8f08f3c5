package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	// maxQueued is how much of one process waits to be written, in bytes, before the process has to wait.
	maxQueued = 64 << 10
	// maxQueuedInAll is the same for all processes, and for what is told of them. While nobody takes it, what comes on top of
	// that is dropped.
	maxQueuedInAll = 8 << 20
	// stalledAfter is how long a write may take before what processes write is dropped, for them not to wait for ever.
	stalledAfter = time.Second
	// A reader that takes nothing for endStalledAfter holds the end up no longer, nor does one that is slow, after endPatience.
	endStalledAfter, endPatience = 2 * time.Second, 10 * time.Second
)

// outlet writes what many processes have to say, in turn, so that one that says a lot leaves room for the others. A process
// that writes faster than we can has to wait, until a write does not come to an end: supervision never waits for it. When
// nobody reads any more there is an end to it; a write that fails for another reason, such as a full disk, may go well later,
// and what is lost until then is counted.
type outlet struct {
	to     [2]io.Writer           // by stream
	notice func(lines int) []byte // tells how many were dropped that belong to no queue
	tell   func(text string)      // tells what is the matter with standard output

	mu      sync.Mutex // guards what follows, and all queues
	work    sync.Cond  // there is something to write, or never will be
	space   sync.Cond  // there is room in a queue, or no need to wait for it
	ready   []*queue   // those that have something
	size    int        // of all queues
	dropped int        // lines that belong to no queue
	writing int        // counts the writes
	stalled bool       // the write that is under way takes too long
	failure error      // of the last write to standard output, if that may go well again
	lost    int        // lines that writes have failed with
	torn    bool       // the last line that was written has no end
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
	to   Stream
	text []byte
}

func newOutlet(out, err io.Writer, notice func(lines int) []byte, tell func(text string)) *outlet {
	o := &outlet{to: [2]io.Writer{out, err}, notice: notice, tell: tell}
	o.work.L, o.space.L = &o.mu, &o.mu
	return o
}

// add queues a line that has to be shown, and waits for nothing.
func (q *queue) add(to Stream, text []byte) {
	o := q.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size >= maxQueuedInAll {
		o.dropped++
		return
	}
	q.put(to, text)
}

// full reports whether what a process writes has to wait. The caller has the lock.
func (q *queue) full() bool { return q.size >= maxQueued || q.outlet.size >= maxQueuedInAll }

// addOrDrop queues a line when there is room for it, and waits for that as long as anything is written at all.
func (q *queue) addOrDrop(to Stream, text []byte) {
	o := q.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	for q.full() && !o.stalled && o.broken == nil {
		o.space.Wait()
	}
	switch {
	case !q.full() && o.broken == nil:
		q.put(to, text)
	case len(q.pieces) > 0:
		q.dropped++
	default: // it would be told with what is queued, and nothing is
		o.dropped++
	}
}

// put queues. The caller has the lock.
func (q *queue) put(to Stream, text []byte) {
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
	o.size += len(text)
}

// run writes until close was called and all is written, or until that fails.
func (o *outlet) run() error {
	for {
		pieces, ok := o.take()
		if !ok {
			o.refuse(ErrOutput)
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
		pieces = append(pieces, piece{to: StandardOutput, text: q.notice(q.dropped)})
	}
	if o.dropped > 0 {
		pieces = append(pieces, piece{to: StandardOutput, text: o.notice(o.dropped)})
	}
	o.size -= q.size
	q.pieces, q.size, q.dropped, o.dropped = nil, 0, 0, 0
	o.space.Broadcast()
	return pieces, true
}

// write writes one piece, and notes when that takes too long. Its error is one that will not go away. Standard error may be
// gone: there is nobody left to tell.
func (o *outlet) write(p piece) error {
	o.mu.Lock()
	o.writing++
	this, text := o.writing, p.text
	if o.torn && p.to == StandardOutput {
		text = append([]byte("\n"), text...)
	}
	o.mu.Unlock()
	late := time.AfterFunc(stalledAfter, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.stalled = o.writing == this
		o.space.Broadcast()
	})
	n, err := o.to[p.to].Write(text)
	late.Stop()
	o.mu.Lock()
	o.writing++ // whoever comes late knows that it is over
	o.stalled = false
	o.mu.Unlock()
	if p.to == StandardOutput {
		return o.judge(err, text[:n], bytes.Count(p.text, []byte("\n")))
	}
	return nil
}

// judge takes in what came of a write to standard output, and tells when that changes.
func (o *outlet) judge(err error, written []byte, lines int) error {
	if err != nil && (BrokenPipe(err) || errors.Is(err, syscall.EBADF)) {
		return err
	}
	o.mu.Lock()
	before, lost := o.failure, o.lost
	o.failure, o.torn = err, o.torn && len(written) == 0 || len(written) > 0 && written[len(written)-1] != '\n'
	if err != nil {
		o.lost += lines - bytes.Count(written, []byte("\n"))
	}
	o.mu.Unlock()
	switch {
	case err != nil && before == nil:
		o.tell(fmt.Sprintf("%v; what there is to print is lost until that is over", err))
	case err == nil && before != nil:
		o.tell(fmt.Sprintf("the output can be written again; lines lost so far: %d", lost))
	}
	return nil
}

// await waits for run to return, which is when done is closed, as long as somebody takes what is left, and not for ever. It
// returns what was not taken as an error.
func (o *outlet) await(done <-chan struct{}) error {
	end := time.NewTimer(endPatience)
	defer end.Stop()
	stuck := time.NewTicker(endStalledAfter)
	defer stuck.Stop()
	for last := o.writes(); ; {
		select {
		case <-done:
			return o.loss()
		case <-end.C:
			return fmt.Errorf("%w: %w", ErrOutput, ErrStuck)
		case <-stuck.C:
			now := o.writes()
			if now == last {
				return fmt.Errorf("%w: %w", ErrOutput, ErrStuck)
			}
			last = now
		}
	}
}

// writes counts the writes that have begun and that have ended.
func (o *outlet) writes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writing
}

// loss is an error when lines were lost by writes that failed.
func (o *outlet) loss() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost == 0 {
		return nil
	}
	return fmt.Errorf("%w: lines lost because it failed: %d", ErrOutput, o.lost)
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
