package redisevents

import (
	"context"
	"sync"
)

const (
	// inboxBytes is how much may wait to be handed on. As much again may be in the hands of the sink.
	inboxBytes = 32 << 20
	// frameOverhead is a rough guess of what a frame takes besides its text, so that empty ones are bounded too.
	frameOverhead = 256
)

// inbox lies between the goroutine that reads the socket and the one that hands on. Redis closes a connection that does
// not take what it is sent, and reading an event costs more than receiving it: in a burst the difference waits here.
type inbox struct {
	news chan struct{} // of size one: something was put, or the inbox was closed
	room chan struct{} // of size one: everything was taken

	mu     sync.Mutex // guards what follows
	frames []any
	bytes  int
	closed bool
}

func newInbox() *inbox {
	return &inbox{news: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put adds a frame, after waiting for room if there is none. It returns early when ctx ends; the frame is in then too.
func (b *inbox) put(ctx context.Context, frame any, bytes int) {
	b.mu.Lock()
	b.frames = append(b.frames, frame)
	b.bytes += bytes + frameOverhead
	b.mu.Unlock()
	tell(b.news)
	for b.full() {
		select {
		case <-b.room:
		case <-ctx.Done():
			return
		}
	}
}

// take returns what was put since the last time, once there is something. It returns nothing once the inbox was closed
// and is empty.
func (b *inbox) take() []any {
	for {
		frames, closed := b.swap()
		if len(frames) > 0 || closed {
			tell(b.room)
			return frames
		}
		<-b.news
	}
}

// close says that nothing more will be put.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	tell(b.news)
}

func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes >= inboxBytes
}

func (b *inbox) swap() ([]any, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	frames := b.frames
	b.frames, b.bytes = nil, 0
	return frames, b.closed
}

func tell(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
