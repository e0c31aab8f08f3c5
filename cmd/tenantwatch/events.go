package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// newestEvents is how many events are shown when nobody says where to begin.
const newestEvents = 100

// eventsCommand shows what the manager has announced, or is about to.
type eventsCommand struct {
	managerFlags

	Since string `help:"Begin after this revision (1234 or EPOCH:1234), at this time (2026-03-27T14:45:00Z), or so long ago (15m)." placeholder:"WHEN"`
}

// Help is what --help adds.
func (c *eventsCommand) Help() string {
	return fmt.Sprintf(`Without --since, events shows the newest %d events. The manager keeps events for a while after they were published. `+
		`With --json, the field event of each line is the event exactly as it was published.`, newestEvents)
}

// start is where to begin: after a revision, perhaps of one epoch only, or at a time. Without any, near the end.
type start struct {
	byRevision bool
	after      uint64
	epoch      string
	at         time.Time
}

// Run prints the events.
func (c *eventsCommand) Run(ctx context.Context, std streams) error {
	from, err := parseSince(c.Since, time.Now())
	if err != nil {
		return err
	}
	return c.read(ctx, std, func(ctx context.Context, s *session) error {
		after, err := s.begin(ctx, from)
		if err != nil {
			return err
		}
		list := &listing{session: s, noun: "event", header: []string{"TIME", "REVISION", "EVENT", "TENANT", "SLUG", "SERVICE"}}
		for {
			found, err := s.Admin().Events(ctx, after, pageSize)
			if err == nil && from.epoch != "" && found.Epoch != from.epoch {
				err = fmt.Errorf("%w: the epoch is now %s", managerapi.ErrGone, found.Epoch)
			}
			if err != nil {
				return gone(err)
			}
			if err := s.showEvents(list, found); err != nil {
				return err
			}
			if found.Next <= after || len(found.Events) == 0 {
				return list.end()
			}
			after = found.Next
		}
	})
}

// showEvents prints a page. For programs "event" is the one that was published, to the byte: made again it would lose what
// this program does not know, and zeros of its timestamp.
func (s *session) showEvents(list *listing, found *managerapi.EventPage) error {
	if !s.asJSON {
		return page(list, found.Events, eventCells)
	}
	for i, raw := range found.Raw {
		if err := s.out.object("event", found.Events[i].Timestamp, encoded(fmt.Sprintf("{%q:%s}\n", "event", raw))); err != nil {
			return err
		}
	}
	return nil
}

// parseSince reads what --since says.
func parseSince(text string, now time.Time) (start, error) {
	if text == "" {
		return start{}, nil
	}
	epoch, revision, both := strings.Cut(text, ":")
	if !both {
		epoch, revision = "", text
	}
	if after, err := strconv.ParseUint(revision, 10, 64); err == nil {
		return start{byRevision: true, after: after, epoch: epoch}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return start{at: at}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return start{at: now.Add(-ago)}, nil
	}
	return start{}, &usageError{
		text:   fmt.Sprintf("--since %q is not a revision, a time or a duration", text),
		advice: "It is a revision as in 1234, or EPOCH:1234, a time as in 2026-03-27T14:45:00Z, or a duration as in 15m.",
	}
}

// begin returns the revision to ask for events after.
func (s *session) begin(ctx context.Context, from start) (uint64, error) {
	if from.byRevision {
		return from.after, nil
	}
	outbox, err := s.Admin().Outbox(ctx)
	if err != nil {
		return 0, err
	}
	if !from.at.IsZero() {
		return s.search(ctx, 0, outbox.Newest, from.at)
	}
	return s.search(ctx, outbox.Newest-min(newestEvents, outbox.Newest), outbox.Newest, from.at)
}

// search returns the smallest revision of low to high after which all events are kept and none is older than at. Events
// are in the order of their revisions, and old ones are dropped first, so halving finds it.
func (s *session) search(ctx context.Context, low, high uint64, at time.Time) (uint64, error) {
	for low < high {
		middle := low + (high-low)/2
		found, err := s.Admin().Events(ctx, middle, 1)
		switch {
		case errors.Is(err, managerapi.ErrGone):
			low = middle + 1
		case err != nil:
			return 0, err
		case len(found.Events) > 0 && found.Events[0].Timestamp.Before(at):
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, nil
}

func gone(err error) error {
	if !errors.Is(err, managerapi.ErrGone) {
		return err
	}
	return &failure{
		err:    fmt.Errorf("not all of these events are there any more: %w", err),
		advice: "Without --since you get the newest that are kept. Whoever missed events takes a new list of tenants.",
	}
}

func eventCells(evt tenant.Event) []string {
	service, err := evt.ServiceName()
	if err != nil {
		service = "" // most events are about no service
	}
	return []string{
		moment(evt.Timestamp), strconv.FormatUint(evt.Revision, 10), string(evt.EventType), evt.TenantID, evt.TenantSlug, service,
	}
}
