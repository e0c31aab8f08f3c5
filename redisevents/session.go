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

	pulse *pulse
	hears bool        // heartbeats, if any are sent
	lacks error       // why it does not, where this session was told so
	beat  *time.Timer // ends the session with ErrNoHeartbeat
}

// session runs one session to its end. It returns why it ended and how long the subscription had lived, zero if it was
// never confirmed. Nothing of it is left when it returns.
func (p *PubSub) session(parent context.Context, sink func(tenant.Signal), known *pulse) (time.Duration, error) {
	ctx, link := p.open(parent, true)
	options, err := p.serverOptions(ctx, link)
	if err != nil {
		link.close()
		return 0, err
	}
	options.DB = 0 // Pub/Sub has no databases, and SELECT might not be allowed
	client := redis.NewClient(options)
	s := &session{link: link, feed: p, sink: sink, driver: client.Subscribe(ctx), pulse: known}
	s.beat = time.AfterFunc(p.patience, func() { link.end(ErrNoHeartbeat) })
	s.beat.Stop() // until something is expected

	err = s.run(parent, ctx)
	known.doubted = known.doubted || errors.Is(err, ErrNoHeartbeat)
	var lived time.Duration
	if !s.since.IsZero() {
		lived = time.Since(s.since)
	}
	s.beat.Stop()
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

// subscribe returns once Redis has confirmed and, if heartbeats had to be asked for, has answered that too. Only then is
// the subscription told, and what came by it meanwhile.
func (s *session) subscribe(ctx context.Context) error {
	var err error
	if s.feed.pattern {
		err = s.driver.PSubscribe(ctx, s.feed.channel)
	} else {
		err = s.driver.Subscribe(ctx, s.feed.channel)
	}
	if err == nil {
		_, err = s.confirmation(ctx, s.feed.channel)
	}
	var early []*redis.Message
	if err == nil && !s.feed.deaf.Load() {
		early, err = s.askForHeartbeats(ctx)
	}
	if err != nil {
		return because(ctx, err)
	}
	s.pulse.doubted = s.pulse.doubted && s.hears // what cannot come is not waited for
	s.awaitBeat()
	s.tellSubscribed()
	for _, message := range early {
		s.alive(message)
		s.tell(message)
	}
	return nil
}

// askForHeartbeats returns the messages that came before the answer. A refusal is no error of the session.
func (s *session) askForHeartbeats(ctx context.Context) ([]*redis.Message, error) {
	if err := s.driver.Subscribe(ctx, s.feed.heartbeats); err != nil {
		return nil, err
	}
	early, err := s.confirmation(ctx, s.feed.heartbeats)
	if _, refused := errors.AsType[redis.Error](err); refused {
		s.feed.deaf.Store(true)
		s.lacks = fmt.Errorf("no heartbeats of the manager by channel %q: %w", s.feed.heartbeats, classify(err, s.feed.cfg().secrets()))
		return early, nil
	}
	s.hears = err == nil
	return early, err
}

// confirmation waits until Redis has confirmed the channel. It returns the messages that came before.
func (s *session) confirmation(ctx context.Context, channel string) (early []*redis.Message, err error) {
	for {
		frame, err := s.receive(ctx)
		if err != nil {
			return early, err
		}
		switch frame := frame.(type) {
		case *redis.Message:
			early = append(early, frame)
		case *redis.Subscription:
			if frame.Channel == channel {
				return early, nil
			}
		}
	}
}

func (s *session) read(ctx context.Context, frames *inbox) error {
	for {
		frame, err := s.receive(ctx)
		if err != nil {
			return because(ctx, err)
		}
		switch frame := frame.(type) {
		case *redis.Message:
			s.beat.Stop() // nothing can be heard while this one waits for room
			frames.put(ctx, frame, len(frame.Payload))
			s.alive(frame)
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
		if s.pulse.doubted {
			s.pulse.doubted = false
			s.tellSubscribed()
		}
		if frame.Channel == s.feed.heartbeats {
			s.sink(heartbeatSignal(frame))
			return
		}
		s.sink(messageSignal(frame))
	case *redis.Subscription:
		if frame.Channel != s.feed.heartbeats {
			s.tellSubscribed()
		}
	}
}

// tellSubscribed holds the news back while nothing has come since heartbeats failed to.
func (s *session) tellSubscribed() {
	if !s.pulse.doubted {
		s.sink(tenant.Signal{Kind: tenant.SignalSubscribed, Err: s.lacks})
		s.lacks = nil
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
