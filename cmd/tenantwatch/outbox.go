package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// outboxCommand is about the events that the manager could not publish.
type outboxCommand struct {
	List outboxListCommand `cmd:"" help:"List the events that the manager has given up publishing, and why."`

	Retry outboxRetryCommand `cmd:"" help:"Make the manager try again to publish an event that it has given up."`
}

type outboxListCommand struct {
	managerFlags
}

// Run prints what was given up.
func (c *outboxListCommand) Run(ctx context.Context, std streams) error {
	return c.read(ctx, std, func(ctx context.Context, s *session) error {
		list := &listing{session: s, noun: "quarantined event", header: []string{"REVISION", "GIVEN UP", "ATTEMPTS", "EVENT", "TENANT", "FAILURE"}}
		for after := uint64(0); ; {
			found, err := s.Admin().Quarantined(ctx, after, pageSize)
			if err != nil {
				return err
			}
			if err := page(list, found.Events, quarantinedCells); err != nil {
				return err
			}
			if found.Next <= after {
				return list.end()
			}
			after = found.Next
		}
	})
}

func quarantinedCells(q managerapi.QuarantinedEvent) []string {
	evt, _ := tenant.ParseEvent(q.Event) // as far as it can be read
	return []string{
		strconv.FormatUint(q.Revision, 10), day(q.QuarantinedAt), strconv.Itoa(q.Attempts), string(evt.EventType), evt.TenantID, q.Failure,
	}
}

type outboxRetryCommand struct {
	managerFlags

	Revision uint64 `arg:"" help:"The event's revision, as \"outbox list\" shows it."`

	Force bool `help:"Publish the event even when a later event of the same tenant was published already. Readers that ignore revisions then take the old event for the newest."`
}

// Run has the event tried again.
func (c *outboxRetryCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		err := s.Admin().RetryEvent(ctx, c.Revision, c.Force)
		switch {
		case errors.Is(err, managerapi.ErrNotFound):
			return &failure{err: fmt.Errorf("revision %d: %w", c.Revision, err), advice: "\"outbox list\" shows what was given up."}
		case errors.Is(err, managerapi.ErrConflict):
			return &failure{
				err: fmt.Errorf("revision %d: %w", c.Revision, err),
				advice: "Services are right again with their next list, without this event. --force publishes it all the same; readers that " +
					"know no revisions then take it for the newest until then.",
			}
		case err != nil:
			return err
		}
		return s.done("retry", retried{Revision: c.Revision, Status: "pending"}, "revision %d waits to be published again", c.Revision)
	})
}

// retried is an event that waits again, for programs.
type retried struct {
	Revision uint64 `json:"revision"`
	Status   string `json:"status"`
}
