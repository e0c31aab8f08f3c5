package redisevents

import (
	"cmp"
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// PublishAll announces events that are given in their JSON form, byte for byte, and returns an error for each, in the same
// order, which is nil once Redis has taken the event on every channel and into the stream.
//
// Events of different tenants travel together. Those of one tenant are sent in the order given, each once the one before
// it was taken: after one that failed, the tenant's later ones are [ErrSkipped], and so are those that ctx left no time
// for. What [tenant.ParseEvent] refuses is an [tenant.EventError] and is not sent; it does not stop the tenant. The
// other errors are those of Publish. When ctx has a deadline the call ends by then.
func (p *Publisher) PublishAll(ctx context.Context, events [][]byte) []error {
	errs := make([]error, len(events))
	stopped := map[string]bool{} // tenants
	for i, round := range rounds(events, errs) {
		if i > 0 && ctx.Err() != nil {
			break
		}
		p.publishRound(ctx, round, stopped, errs)
	}
	return errs
}

// outgoing is one event of a batch.
type outgoing struct {
	place  int // in the batch
	event  tenant.Event
	tenant string // its id in canonical form
	data   []byte
}

// rounds sorts the events so that no round has two of one tenant. In errs it notes which are no events, and of the others
// that they are not sent yet.
func rounds(events [][]byte, errs []error) [][]outgoing {
	var all [][]outgoing
	seen := map[string]int{} // how many of a tenant
	for i, data := range events {
		event, err := tenant.ParseEvent(data)
		if errs[i] = err; err != nil {
			continue
		}
		errs[i] = ErrSkipped
		id := tenant.CanonicalID(event.TenantID)
		if seen[id] == len(all) {
			all = append(all, nil)
		}
		all[seen[id]] = append(all[seen[id]], outgoing{i, event, id, data})
		seen[id]++
	}
	return all
}

// publishRound sends the events of the tenants that are not stopped, stops those whose event failed, and notes in errs
// what became of each.
func (p *Publisher) publishRound(ctx context.Context, round []outgoing, stopped map[string]bool, errs []error) {
	pipe := p.client.Pipeline()
	commands := make([][]redis.Cmder, len(round))
	for i, out := range round {
		if !stopped[out.tenant] {
			commands[i] = p.queue(ctx, pipe, out.event, out.data)
		}
	}
	sent, err := pipe.Exec(ctx)  // where the server refuses the connection, the commands may be left without an error
	if firstError(sent) != nil { // then each command has its own
		err = nil
	}
	for i, out := range round {
		if stopped[out.tenant] {
			continue
		}
		errs[out.place] = nil
		if err := cmp.Or(err, firstError(commands[i])); err != nil {
			errs[out.place] = fmt.Errorf("publish %s: %w", out.event.EventType, classify(err, p.secrets()))
			stopped[out.tenant] = true
		}
	}
}

func firstError(commands []redis.Cmder) error {
	for _, command := range commands {
		if err := command.Err(); err != nil {
			return err
		}
	}
	return nil
}
