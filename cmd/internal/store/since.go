package store

import (
	"context"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// maxRevisions is how many events are looked through for those of one service.
	maxRevisions = 100_000
	// maxChangesBytes is how much room the events of one answer take in memory.
	maxChangesBytes = 8 << 20
)

// Changes are the events that lead from a version of a service's list to the one of Version, and what the list has there. Counted is false
// when the count is not known; then there are no events either.
type Changes struct {
	tenant.Version
	Count

	Counted bool
	Events  []Event
}

// Changes reads what concerns a service after a version, as it is at one revision: the events for which of reports so. An error of it ends the
// reading and comes back. It returns ErrGone for a version of another epoch, one that is ahead of what there is, one that is older than what was pruned, and one
// that so much has happened since that the list is the better answer: more than tenant.MaxChanges events, or 8 MiB of them, or 100,000 of all
// services. An event that nobody can read is such an answer too, and one that was sent under the environment's former name, which a
// reader takes for another environment's.
func (s *Store) Changes(ctx context.Context, service string, since tenant.Version, of func(Event) (bool, error)) (Changes, error) {
	var out Changes
	err := s.db.Read(ctx, "read changes", func(ctx context.Context, t sqldb.Tx) error {
		out = Changes{}
		k, err := s.counted(ctx, t, service)
		if err != nil {
			return err
		}
		var pruned uint64
		if err := t.Row(ctx, `SELECT pruned FROM relays WHERE env = ?1`, s.env).Scan(&pruned); err != nil {
			return err
		}
		if since.Epoch != k.Epoch || since.Revision > k.Revision || since.Revision < pruned || k.Revision-since.Revision > maxRevisions {
			return ErrGone
		}
		out.Version, out.Count, out.Counted = k.Version, k.count, k.known
		if !k.known {
			return nil
		}
		return eachEvent(ctx, t, out.taking(s.environment, of), `SELECT `+eventColumns+` FROM outbox WHERE env = ?1 AND revision > ?2
			ORDER BY revision`, s.env, since.Revision)
	})
	return out, err
}

// taking adds the events of the service as long as there is room.
func (c *Changes) taking(environment string, of func(Event) (bool, error)) func(Event) error {
	bytes := 0
	return func(evt Event) error {
		if ours, err := of(evt); err != nil || !ours {
			return err
		}
		bytes += len(evt.Data)
		if len(c.Events) == tenant.MaxChanges || bytes > maxChangesBytes || !readable(evt, environment) {
			return ErrGone
		}
		c.Events = append(c.Events, evt)
		return nil
	}
}

// readable reports whether a reader can tell what the event does to its list.
func readable(evt Event, environment string) bool {
	named, err := tenant.ParseEnvironment(evt.Environment)
	if evt.Validate() != nil || err != nil || named != environment && named != "" {
		return false
	}
	_, err = evt.ServiceName()
	return err == nil || !evt.EventType.PerService()
}
