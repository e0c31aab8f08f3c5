package redisevents

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const pingsPerLimit = 3

// session is one subscription on one connection, from the dial to its end.
type session struct {
	*link

	feed   *PubSub
	sink   func(tenant.Signal)
	driver *redis.PubSub
	since  time.Time // of the first confirmation; zero before it
}

// session runs one session to its end. It returns why it ended and how long the subscription had lived, zero if it was
// never confirmed. Nothing of it is left when it returns.
func (p *PubSub) session(parent context.Context, sink func(tenant.Signal)) (time.Duration, error) {
	ctx, link := p.open(parent)
	options := p.driverOptions(link.dials.within(ctx))
	options.DB = 0 // Pub/Sub has no databases, and SELECT might not be allowed
	client := redis.NewUniversalClient(options)
	s := &session{link: link, feed: p, sink: sink, driver: client.Subscribe(ctx)}

	err := s.run(parent, ctx)
	var lived time.Duration
	if !s.since.IsZero() {
		lived = time.Since(s.since)
	}
	link.close(s.driver, client)
	return lived, err
}

// run subscribes, and then hands on what another goroutine reads, while a third one pings. What was read before the
// connection broke is handed on too, unless parent, the ctx of Run, has ended.
func (s *session) run(parent, ctx context.Context) error {
	if err := s.subscribe(ctx); err != nil {
		return fmt.Errorf("subscribe to %q: %w", s.feed.channel, err)
	}
	var work sync.WaitGroup
	var readErr, pingErr error
	frames := newInbox()
	work.Go(func() { pingErr = s.ping(ctx) })
	work.Go(func() {
		readErr = s.read(ctx, frames)
		s.end(readErr)
		frames.close()
	})
	s.handOn(parent, frames)
	work.Wait()
	if pingErr != nil && errors.Is(readErr, net.ErrClosed) {
		return pingErr // the driver closes the connection when a ping fails, and the reader sees only that
	}
	return readErr
}

// subscribe returns once Redis has confirmed.
func (s *session) subscribe(ctx context.Context) error {
	var err error
	if s.feed.pattern {
		err = s.driver.PSubscribe(ctx, s.feed.channel)
	} else {
		err = s.driver.Subscribe(ctx, s.feed.channel)
	}
	for err == nil && s.since.IsZero() {
		var frame any
		if frame, err = s.receive(ctx); err == nil {
			s.tell(frame)
		}
	}
	return because(ctx, err)
}

func (s *session) read(ctx context.Context, frames *inbox) error {
	for {
		frame, err := s.receive(ctx)
		if err != nil {
			return because(ctx, err)
		}
		switch frame := frame.(type) {
		case *redis.Message:
			frames.put(ctx, frame, len(frame.Payload))
		case *redis.Subscription:
			frames.put(ctx, frame, 0)
		}
	}
}

func (s *session) handOn(parent context.Context, frames *inbox) {
	for batch := frames.take(); len(batch) > 0; batch = frames.take() {
		for _, frame := range batch {
			if parent.Err() != nil {
				break // but take on, so that the reader is not held up before it has seen it as well
			}
			s.tell(frame)
		}
	}
}

func (s *session) tell(frame any) {
	switch frame := frame.(type) {
	case *redis.Message:
		s.sink(messageSignal(frame))
	case *redis.Subscription:
		s.sink(tenant.Signal{Kind: tenant.SignalSubscribed})
	}
}

// receive waits for one frame, for as long as silence is allowed.
func (s *session) receive(ctx context.Context) (any, error) {
	s.silence.Reset(s.feed.cfg().silenceLimit())
	frame, err := receive(ctx, s.driver)
	s.silence.Stop() // what happens until the next receive is no silence
	if err != nil {
		return nil, err
	}
	if confirmation, ok := frame.(*redis.Subscription); ok {
		return frame, s.confirmed(confirmation)
	}
	return frame, nil
}

func (s *session) confirmed(frame *redis.Subscription) error {
	if frame.Kind != "subscribe" && frame.Kind != "psubscribe" {
		return fmt.Errorf("%w: %s %s", ErrUnsubscribed, frame.Kind, frame.Channel)
	}
	if s.since.IsZero() {
		s.since = time.Now()
		s.dials.seal()
	}
	return nil
}

// ping returns when ctx has ended or a ping could not be sent. The answer is for the reader to see.
func (s *session) ping(ctx context.Context) error {
	ticker := time.NewTicker(max(s.feed.cfg().silenceLimit()/pingsPerLimit, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := s.driver.Ping(ctx); err != nil {
			return fmt.Errorf("ping: %w", because(ctx, err))
		}
	}
}

// receive waits for one whole frame.
func receive(ctx context.Context, driver *redis.PubSub) (frame any, err error) {
	err = guarded(func() (err error) {
		frame, err = driver.ReceiveTimeout(ctx, 0)
		return err
	})
	return frame, err
}

func messageSignal(message *redis.Message) tenant.Signal {
	event, err := tenant.ParseEvent([]byte(message.Payload))
	if err != nil {
		return tenant.Signal{Kind: tenant.SignalBadEvent, Event: event, Err: fmt.Errorf("channel %q: %w", message.Channel, err)}
	}
	return tenant.Signal{Kind: tenant.SignalEvent, Event: event}
}
