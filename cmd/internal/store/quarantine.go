package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Quarantined is an event that was given up.
type Quarantined struct {
	Event

	Failure string // of the last attempt
	Since   time.Time
}

// Quarantined returns the events that were given up, after a revision and in the order of revisions, at most limit.
func (s *Store) Quarantined(ctx context.Context, after uint64, limit int) ([]Quarantined, error) {
	var out []Quarantined
	err := s.db.Query(ctx, "read the quarantine", func(ctx context.Context, t sqldb.Tx) error {
		return t.Each(ctx, func(row sqldb.Row) error {
			var q Quarantined
			var revision uint64
			var at, since int64
			var services sql.NullString // of no use here
			if err := row.Scan(&revision, &q.Data, &q.Attempts, &at, &services, &q.Failure, &since); err != nil {
				return err
			}
			q.Event.Event, _ = tenant.ParseEvent(q.Data) // as far as it can be read
			q.Revision, q.At, q.Since = revision, fromMicros(at), fromMicros(since)
			out = append(out, q)
			return nil
		}, `SELECT `+eventColumns+`, failure, quarantined_at FROM outbox
			WHERE env = ?1 AND revision > ?2 AND quarantined_at IS NOT NULL ORDER BY revision LIMIT ?3`, s.env, min(after, math.MaxInt64), limit)
	})
	return out, err
}

// Retry has an event that was given up wait to be sent again, with as many attempts as a new one. It returns a *[NotFound] when
// no such event was given up, and, unless force is set, a Conflict with the code EVENT_OVERTAKEN when later news of the same
// tenant was sent already, or may have been: who knows no revisions would take the event for the newest.
func (s *Store) Retry(ctx context.Context, revision uint64, force bool) error {
	const what = "retry an event"
	return s.audited(ctx, what, func(ctx context.Context, t sqldb.Tx) (Deed, error) {
		if revision > math.MaxInt64 { // more than there ever are, and than the database knows numbers
			return Deed{}, &NotFound{Of: lifecycle.OfEvent}
		}
		var data []byte
		err := t.Row(ctx, `SELECT data FROM outbox WHERE env = ?1 AND revision = ?2 AND quarantined_at IS NOT NULL`+t.LockRow(),
			s.env, revision).Scan(&data)
		if errors.Is(err, sql.ErrNoRows) {
			return Deed{}, &NotFound{Of: lifecycle.OfEvent}
		}
		if err == nil && !force {
			err = s.overtaken(ctx, t, revision, data)
		}
		if err != nil {
			return Deed{}, err
		}
		_, err = t.Exec(ctx, `UPDATE outbox SET quarantined_at = NULL, attempts = 0 WHERE env = ?1 AND revision = ?2`, s.env, revision)
		return deedOf(ctx).row(what, "events/"+strconv.FormatUint(revision, 10), "done"), err
	})
}

// overtaken is a Conflict if later news of the event's tenant was sent, or was deleted after it may have been.
func (s *Store) overtaken(ctx context.Context, t sqldb.Tx, revision uint64, data []byte) error {
	evt, _ := tenant.ParseEvent(data)
	if evt.TenantID == "" {
		return nil // of nobody, and so not sent either
	}
	var pruned uint64
	if err := t.Row(ctx, `SELECT pruned FROM relays WHERE env = ?1`, s.env).Scan(&pruned); err != nil {
		return err
	}
	if pruned > revision {
		return &Conflict{Code: codeOvertaken, Message: "later events were sent and are not kept any more; some may be of the same tenant"}
	}
	mark, err := json.Marshal(evt.TenantID)
	if err != nil {
		return err
	}
	later := false
	// The database looks for the id in the bytes, so that not all that was sent has to come here.
	err = t.Each(ctx, func(row sqldb.Row) error {
		var sent []byte
		err := row.Scan(&sent)
		other, _ := tenant.ParseEvent(sent)
		later = later || other.TenantID == evt.TenantID
		return err
	}, `SELECT data FROM outbox WHERE env = ?1 AND revision > ?2 AND sent_at IS NOT NULL AND `+t.Contains("data", "?3")+` > 0`,
		s.env, revision, mark)
	if err == nil && later {
		err = &Conflict{Code: codeOvertaken, Message: "a later event of the same tenant was sent already"}
	}
	return err
}

const codeOvertaken = "EVENT_OVERTAKEN"
