package redisevents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// inOrder is how many events are sent one behind the other, whatever that costs.
	inOrder = 64
	// lookAhead is how far, in a larger batch, events of other tenants overtake one that waits for its tenant's last.
	lookAhead = 64
	// longestHole is how long one may be overtaken, as far as the round trips of before tell.
	longestHole = 100 * time.Millisecond
)

// way is where events go.
type way uint8

const (
	toChannels way = 1 << iota
	toStream
)

// outgoing is one event of a batch, and the commands that announce it.
type outgoing struct {
	place  int // in the batch
	event  tenant.Event
	tenant string // its id in canonical form
	data   []byte

	publish, add []redis.Cmder
}

// batch is one call for many events.
type batch struct {
	*Publisher

	ways    way
	waiting []*outgoing // in the order given
	errs    []error
	stopped map[string]bool // tenants with an event that was not taken, so that none of their later ones is sent
	late    map[string]bool // tenants with an event that the stream alone did not take: their later ones do not go there
	ahead   int             // how far to look for events that may overtake others
}

func (p *Publisher) newBatch(events [][]byte, ways way) *batch {
	b := &batch{
		Publisher: p, ways: ways, errs: make([]error, len(events)),
		stopped: map[string]bool{}, late: map[string]bool{},
	}
	for i, data := range events {
		event, err := parse(data)
		if b.errs[i] = err; err != nil {
			continue
		}
		b.errs[i] = ErrSkipped
		b.waiting = append(b.waiting, &outgoing{place: i, event: event, tenant: tenant.CanonicalID(event.TenantID), data: data})
	}
	if len(events) > inOrder {
		b.ahead = lookAhead
	}
	return b
}

// parse reads an event whose environment can have a channel and a stream.
func parse(data []byte) (tenant.Event, error) {
	event, err := tenant.ParseEvent(data)
	if err != nil {
		return event, err
	}
	if _, err := tenant.ParseEnvironment(event.Environment); err != nil {
		return event, &tenant.EventError{EventID: event.EventID, EventType: event.EventType, Reason: err.Error()}
	}
	return event, nil
}

// run sends one round after the other, until all is sent, ctx ends, or the server takes nothing.
func (b *batch) run(ctx context.Context) []error {
	for first := true; len(b.waiting) > 0 && (first || ctx.Err() == nil); first = false {
		began := time.Now()
		if !b.send(ctx, b.next()) {
			break
		}
		if b.ahead > 0 {
			rounds := longestHole / max(time.Since(began), time.Microsecond)
			b.ahead = min(int(rounds), lookAhead) // one that is overtaken may have that many rounds before its own
		}
	}
	return b.errs
}

// next takes the events of the next round out of those that wait: in their order, and no two of one tenant. Where it may
// not look ahead the round ends before the first that has to wait for its tenant's last, so that none overtakes another.
func (b *batch) next() []*outgoing {
	var round, passed []*outgoing
	taken := map[string]bool{}
	i := 0
	for ; i < len(b.waiting) && (len(passed) == 0 || len(passed) <= b.ahead); i++ {
		out := b.waiting[i]
		switch {
		case b.stopped[out.tenant]: // and stays skipped
		case taken[out.tenant]:
			passed = append(passed, out)
		default:
			taken[out.tenant] = true
			round = append(round, out)
		}
	}
	b.waiting = append(passed, b.waiting[i:]...)
	return round
}

// send sends a round, and notes what became of each event. False means that there is no use in sending another one.
func (b *batch) send(ctx context.Context, round []*outgoing) bool {
	if len(round) == 0 {
		return true // of stopped tenants alone
	}
	var commands []redis.Cmder
	for _, out := range round {
		b.prepare(ctx, out)
		commands = append(append(commands, out.publish...), out.add...)
	}
	wrong := b.exchange(ctx, commands)
	takes := false
	for _, out := range round {
		takes = b.note(out, wrong) || takes
	}
	return takes
}

// prepare makes the commands for an event.
func (b *batch) prepare(ctx context.Context, out *outgoing) {
	if b.ways&toChannels != 0 {
		out.publish = b.publishing(ctx, out.event, out.data)
	}
	if b.ways&toStream != 0 && !b.late[out.tenant] {
		out.add = b.adding(ctx, out.event, out.data)
	}
}

// note notes what became of an event, and reports whether the server has answered for it as one does that can be talked to.
func (b *batch) note(out *outgoing, wrong error) bool {
	told, kept := wrong, error(nil)
	if wrong == nil {
		told, kept = b.blame(out, firstError(out.publish)), firstError(out.add)
	}
	switch {
	case told != nil:
	case b.ways == toStream:
		told = b.ofStream(kept)
	case kept != nil:
		b.late[out.tenant] = true
		b.errs[out.place] = fmt.Errorf("publish %s: %w: %w", out.event.EventType, ErrNotInStream, b.ofStream(kept))
		return true
	case b.late[out.tenant] && b.ways&toStream != 0:
		b.errs[out.place] = fmt.Errorf("publish %s: %w: an earlier one of its tenant is not", out.event.EventType, ErrNotInStream)
		return true
	}
	b.errs[out.place] = nil
	if told != nil {
		b.stopped[out.tenant] = true
		b.errs[out.place] = fmt.Errorf("publish %s: %w", out.event.EventType, told)
	}
	return told == nil || wrong == nil && errors.Is(told, ErrRefused)
}

// blame makes a refusal that would meet every event one of the server, and one of the tenant's own channel one of the ACL.
func (b *batch) blame(out *outgoing, err error) error {
	err = classify(err, b.secrets())
	own, forbidden := TenantChannelName(out.event.TenantID), false
	for _, command := range out.publish {
		refused := command.Err()
		if forbids(refused) && (command.Args()[1] != own || !isOfChannel(refused)) {
			return refusedFor(err, ErrUnready)
		}
		forbidden = forbidden || forbids(refused)
	}
	if forbidden {
		return refusedFor(err, ErrForbidden)
	}
	return err
}

// ofStream makes a refusal that has to do with the stream one of the server.
func (b *batch) ofStream(err error) error {
	if forbids(err) {
		return refusedFor(classify(err, b.secrets()), ErrUnready)
	}
	return classify(err, b.secrets())
}

func firstError(commands []redis.Cmder) error {
	for _, command := range commands {
		if err := command.Err(); err != nil {
			return err
		}
	}
	return nil
}
