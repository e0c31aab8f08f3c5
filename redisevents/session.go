package redisevents

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
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
	hears bool        // heartbeats, if any are sent; the reading goroutine's
	tells bool        // that it does; the telling goroutine's
	lacks error       // why it does not, where this session was told so; the telling goroutine's
	asked atomic.Bool // for heartbeats, while the subscription is up
	beats <-chan struct{}
	beat  *time.Timer // ends the session with ErrNoHeartbeat
}

// session runs one session to its end. It returns why it ended and how long the subscription had lived, zero if it was
// never confirmed. Nothing of it is left when it returns.
func (p *PubSub) session(
	parent context.Context, try *attempt, sink func(tenant.Signal), known *pulse,
) (time.Duration, error) {
	ctx, link := p.open(parent, try, true)
	options, err := p.serverOptions(ctx, link)
	if err != nil {
		link.close()
		return 0, err
	}
	options.OnConnect = p.meet
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
	name, audible, changed := s.feed.beats.now()
	s.beats = changed
	if err == nil && audible {
		early, err = s.askForHeartbeats(ctx, name)
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

// askForHeartbeats returns the messages that came before the answer. That the user may not hear them is not an error of the session.
func (s *session) askForHeartbeats(ctx context.Context, name string) ([]*redis.Message, error) {
	if err := s.driver.Subscribe(ctx, name); err != nil {
		return nil, err
	}
	early, err := s.confirmation(ctx, name)
	if isForbidden(err) {
		s.lacks = s.feed.beats.refuse(classify(err, s.feed.cfg().secrets()))
		return early, nil
	}
	s.hears = err == nil
	s.tells = s.hears && s.feed.beats.expects()
	return early, err
}

// askAgain asks for the channel of heartbeats that the feed has been told of since. The answer is for the reader to see.
func (s *session) askAgain(ctx context.Context) error {
	name, _, changed := s.feed.beats.now()
	s.beats = changed
	s.asked.Store(true)
	return s.driver.Subscribe(ctx, name)
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
		if isForbidden(err) && s.asked.Swap(false) {
			frames.put(ctx, beatNews{s.feed.beats.refuse(classify(err, s.feed.cfg().secrets()))}, 0)
			continue
		}
		if err != nil {
			return because(ctx, err)
		}
		switch frame := frame.(type) {
		case *redis.Message:
			s.beat.Stop() // nothing can be heard while this one waits for room
			frames.put(ctx, frame, len(frame.Payload))
			s.alive(frame)
		case *redis.Subscription:
			if strings.HasPrefix(frame.Channel, heartbeatPrefix) {
				s.asked.Store(false)
				s.hears, s.pulse.heard = true, false
				frames.put(ctx, beatNews{}, 0)
				continue
			}
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
		switch {
		case s.feed.beats.is(frame.Channel):
			s.sink(heartbeatSignal(frame))
		case !strings.HasPrefix(frame.Channel, heartbeatPrefix): // those of before the feed was told of another are nobody's
			s.sink(messageSignal(frame))
		}
	case *redis.Subscription:
		s.tellSubscribed()
	case beatNews:
		s.tells, s.lacks = frame.lacks == nil && s.feed.beats.expects(), frame.lacks
		s.tellSubscribed()
	}
}

// tellSubscribed holds the news back while nothing has come since heartbeats failed to.
func (s *session) tellSubscribed() {
	if !s.pulse.doubted {
		heartbeats := s.tells && !s.feed.cfg().NoHeartbeats
		s.sink(tenant.Signal{Kind: tenant.SignalSubscribed, Heartbeats: heartbeats, Err: s.lacks})
		s.lacks = nil
	}
}

// receive waits for one frame, for as long as silence is allowed.
func (s *session) receive(ctx context.Context) (any, error) {
	s.silence.Reset(s.feed.cfg().silenceLimit())
	frame, err := receive(ctx, s.driver)
	s.silence.Stop() // what happens until the next receive does not count as silence
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

// ping sends what has to be sent on a subscription that is up, and returns when ctx has ended or that was not possible. The answer is for the reader to see.
func (s *session) ping(ctx context.Context) error {
	ticker := time.NewTicker(max(s.feed.cfg().silenceLimit()/pingsPerLimit, time.Millisecond))
	defer ticker.Stop()
	for {
		ask, what := s.driverPing, "ping"
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.beats:
			ask, what = s.askAgain, "subscribe to heartbeats"
		}
		if err := ask(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, because(ctx, err))
		}
	}
}

func (s *session) driverPing(ctx context.Context) error { return s.driver.Ping(ctx) }

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
