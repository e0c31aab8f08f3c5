package redisevents

import (
	"context"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// beatHeld is how long a heartbeat that came by its channel is held back: the entry that made its version may still be on
// its way, since it comes by another connection.
const beatHeld = 250 * time.Millisecond

// streamRun is one Run of a Stream: what reads the entries, and what listens to the heartbeats, because a stream that takes
// no more entries looks like one to which nobody adds any.
type streamRun struct {
	feed  *Stream
	at    cursor
	turns chan turn
	lacks chan error // of size one: why no heartbeats are heard, to be told with a subscription
}

// turn is what one of the two has to tell; told is closed once the sink has heard it: a stream is read at the pace of the sink.
type turn struct {
	tell func()
	told chan struct{}
}

// onTurn has the goroutine of Run call tell, and waits for that, unless ctx ends before.
func (r *streamRun) onTurn(ctx context.Context, tell func()) {
	t := turn{tell, make(chan struct{})}
	select {
	case r.turns <- t:
		<-t.told
	case <-ctx.Done():
	}
}

func (t turn) take() {
	defer close(t.told)
	t.tell()
}

// run has both tell the sink by this goroutine, until ctx ends.
func (r *streamRun) run(ctx context.Context, sink func(tenant.Signal)) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // where the sink panics
	one := func(sig tenant.Signal) { r.onTurn(ctx, func() { sink(sig) }) }
	var work sync.WaitGroup
	work.Go(func() {
		err = r.feed.keepUp(ctx, one, func(ctx context.Context, try *attempt) (time.Duration, error) {
			return r.session(ctx, try, sink)
		})
	})
	if !r.feed.cfg().NoHeartbeats {
		work.Go(func() { r.listen(ctx, one) })
	}
	go func() {
		work.Wait()
		close(r.turns)
	}()
	for t := range r.turns {
		t.take()
	}
	return err
}

// listen hands on heartbeats for as long as Redis allows to hear them. That the channel is lost now and then is not a loss of
// the stream.
func (r *streamRun) listen(ctx context.Context, tell func(tenant.Signal)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	channel := r.feed.beats
	beats := &PubSub{source: r.feed.source, channel: channel, beats: &beatChannel{name: channel, refused: true, fixed: true}, patience: heartbeatPatience}
	_ = beats.Run(ctx, func(sig tenant.Signal) { // it ends with ctx
		switch {
		case sig.Kind == tenant.SignalHeartbeat:
			pause(ctx, beatHeld)
			tell(sig)
		case sig.Kind == tenant.SignalBadEvent:
			tell(sig)
		case sig.Kind == tenant.SignalLost && forbids(sig.Err):
			r.lacks <- beats.beats.refuse(sig.Err)
			cancel()
		}
	})
}

// lack returns why no heartbeats are heard, once.
func (r *streamRun) lack() error {
	select {
	case err := <-r.lacks:
		return err
	default:
		return nil
	}
}
