package redisevents

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// readsPerLimit is how often a read comes back within the silence limit when there is nothing new. Each answer proves
	// that the link is alive.
	readsPerLimit = 3
	// maxPause is the most that news waits behind an answer that came too early and was empty.
	maxPause = time.Second
)

// streamSession reads on one connection, from the dial to its end.
type streamSession struct {
	*link

	feed   *Stream
	of     *streamRun
	sink   func(tenant.Signal)
	client redis.UniversalClient
	at     *cursor

	cluster bool
	asked   bool      // something was answered, so that the next answer has the silence limit for itself
	old     bool      // the server does not know HELLO
	master  bool      // the server has said that it is one
	since   time.Time // of the first read that was answered; zero before it
}

// session runs one session to its end, as PubSub's does, and moves the cursor by what it delivered.
func (r *streamRun) session(parent context.Context, try *attempt, sink func(tenant.Signal)) (time.Duration, error) {
	s, at := r.feed, &r.at
	cluster := s.cfg().isCluster()
	ctx, link := s.open(parent, try, !cluster)
	link.dials.budget = &atomic.Int64{}
	link.dials.budget.Store(maxAnswer)
	client, err := s.client(ctx, link, cluster)
	if err != nil {
		link.close()
		return 0, fmt.Errorf("read stream %q: %w", s.key, err)
	}
	session := &streamSession{link: link, feed: s, of: r, sink: sink, client: client, at: at, cluster: cluster}

	err = session.run(parent, ctx)
	var lived time.Duration
	if !session.since.IsZero() {
		lived = time.Since(session.since)
	}
	link.close(client)
	switch {
	case errors.Is(err, ErrSilent):
		at.shrink() // it may have been more than the link carries in that time
	case errors.Is(err, errTooMuch):
		at.batch = 1
	}
	return lived, fmt.Errorf("read stream %q: %w", s.key, err)
}

// client returns one for the server or, in a Cluster, for all nodes, because only the owner of the key's slot has it.
func (s *Stream) client(ctx context.Context, l *link, cluster bool) (redis.UniversalClient, error) {
	if cluster {
		return redis.NewClusterClient(s.clusterOptions(ctx, l)), nil
	}
	options, err := s.serverOptions(ctx, l)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(options), nil
}

func (s *streamSession) run(parent, ctx context.Context) error {
	if err := s.meet(ctx); err != nil {
		return err
	}
	if !s.at.placed {
		newest, err := s.ask(ctx, 0)
		if err == nil {
			err = s.at.place(newest.found)
		}
		if err != nil {
			return err
		}
	}
	for {
		block := s.block()
		began := time.Now()
		answer, err := s.ask(ctx, block)
		if err != nil {
			return err
		}
		gap, err := s.at.advance(answer)
		if err != nil {
			return err
		}
		if len(answer.entries) > 0 || gap != "" || s.since.IsZero() || len(s.of.lacks) > 0 {
			s.of.onTurn(parent, func() { s.tell(parent, answer.entries, gap) })
		}
		if early := min(block/2, maxPause) - time.Since(began); len(answer.entries) == 0 && early > 0 {
			pause(ctx, early) // a server that does not wait when it should
		}
	}
}

// meet asks a Cluster for its nodes, so that one of them can be asked when the address that was given leads to nobody.
func (s *streamSession) meet(ctx context.Context) error {
	if !s.cluster || len(s.feed.cfg().addrs()) != 1 {
		return nil
	}
	return because(ctx, guarded(func() error { return s.feed.learnNeighbours(s.client.ClusterSlots(ctx).Result()) }))
}

// block is how long the next read waits for entries. The first one does not: its answer is the confirmation.
func (s *streamSession) block() time.Duration {
	if s.since.IsZero() || !s.at.waits() {
		return 0
	}
	return max(s.feed.cfg().silenceLimit()/readsPerLimit, time.Millisecond)
}

// tell delivers what was read, unless parent, the ctx of Run, has ended.
func (s *streamSession) tell(parent context.Context, entries []redis.XMessage, gap string) {
	if lacks := s.of.lack(); parent.Err() == nil && (s.since.IsZero() || lacks != nil) {
		if s.since.IsZero() {
			s.since = time.Now()
		}
		s.sink(tenant.Signal{Kind: tenant.SignalSubscribed, Err: lacks})
	}
	if gap != "" && parent.Err() == nil {
		s.sink(tenant.Signal{Kind: tenant.SignalGap, Err: fmt.Errorf("stream %q: %s", s.feed.key, gap)})
	}
	for _, entry := range entries {
		if parent.Err() != nil {
			return
		}
		s.sink(s.signal(entry))
	}
}

func (s *streamSession) signal(entry redis.XMessage) tenant.Signal {
	text, ok := entry.Values[streamField].(string)
	event, err := tenant.Event{}, error(&tenant.EventError{Reason: fmt.Sprintf("the entry has no field %q", streamField)})
	if ok {
		event, err = tenant.ParseEvent([]byte(text))
	}
	if err != nil {
		err = fmt.Errorf("stream %q, entry %s: %w", s.feed.key, entry.ID, err)
		return tenant.Signal{Kind: tenant.SignalBadEvent, Event: event, Err: err}
	}
	return tenant.Signal{Kind: tenant.SignalEvent, Event: event}
}

// ask asks for what is behind the cursor, and then for what proves that it is all; without a place in the stream yet,
// only for the newest entry. It waits for the answers for as long as silence is allowed. The server answers in order: an
// entry that is there with the second answer was there with the first.
func (s *streamSession) ask(ctx context.Context, block time.Duration) (look, error) {
	pipe := s.client.Pipeline()
	behind := &redis.XStreamSliceCmd{}
	if s.at.placed {
		behind = pipe.XRead(ctx, s.readArgs(block))
	}
	found := s.proof(ctx, pipe)
	questions := pipe.Cmds()
	var role *question
	if !s.cluster {
		role = askRole(ctx, pipe, s.feed.protocol, s.old)
	}
	s.dials.budget.Store(s.at.budget())
	if s.asked {
		s.silence.Reset(s.feed.cfg().silenceLimit())
	}
	err := guarded(func() error { return s.exec(ctx, pipe, questions, role) })
	s.silence.Stop() // what happens until the next question does not count as silence
	if err != nil {
		return look{}, because(ctx, err)
	}
	s.asked = true
	answer := look{found: found.Val()}
	for _, stream := range behind.Val() {
		answer.entries = append(answer.entries, stream.Messages...)
	}
	return answer, nil
}

func (s *streamSession) readArgs(block time.Duration) *redis.XReadArgs {
	if block == 0 {
		block = -1 // which leaves it out; 0 would be for ever
	}
	return &redis.XReadArgs{
		Streams: []string{s.feed.key, s.at.id.String()}, Count: int64(s.at.batch), Block: block,
	}
}

// proof asks for the entry that the cursor stands on or, when it stands on none, for the newest. Both are the same
// command, so that a server which allows the first proof allows every later one.
func (s *streamSession) proof(ctx context.Context, pipe redis.Pipeliner) *redis.XMessageSliceCmd {
	newest, oldest := "+", "-"
	if s.at.stands {
		newest, oldest = s.at.id.String(), s.at.id.String()
	}
	return pipe.XRevRangeN(ctx, s.feed.key, newest, oldest, 1)
}

// exec returns the first error that is more than "nothing there". A server that was a master and has become a replica is
// one: its address leads to another by now, or nothing is lost by asking it again.
func (s *streamSession) exec(ctx context.Context, pipe redis.Pipeliner, questions []redis.Cmder, role *question) error {
	sent, failed := pipe.Exec(ctx)
	for _, question := range questions {
		if err := question.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	s.old = s.old || role.isOld()
	switch {
	case role.role() == "master":
		s.master = true
	case s.master && role.unfit() != nil:
		return role.unfit()
	}
	if firstError(sent) == nil {
		return failed // of the connection, before anything was sent
	}
	return nil // nothing there, or no answer to what an old server does not know
}
