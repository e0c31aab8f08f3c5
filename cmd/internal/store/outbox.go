package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// atOnce is how many rows one statement of the outbox touches, so that it keeps nobody waiting for long.
	atOnce = 500
	// maxReason is how much of a failure's text is kept, in bytes.
	maxReason = 1000
)

const eventColumns = `revision, data, attempts, committed_at, services`

// Pending returns the oldest events that are neither sent nor quarantined, in the order of revisions, at most limit. None
// is ever passed over: a revision that is not committed yet has none after it.
func (s *Store) Pending(ctx context.Context, limit int) ([]Event, error) {
	return s.PendingAfter(ctx, 0, limit)
}

// PendingAfter is Pending without the events up to a revision.
func (s *Store) PendingAfter(ctx context.Context, revision uint64, limit int) ([]Event, error) {
	return s.events(ctx, "read the outbox", `SELECT `+eventColumns+` FROM outbox
		WHERE env = ?1 AND sent_at IS NULL AND quarantined_at IS NULL AND revision > ?2 ORDER BY revision LIMIT ?3`,
		s.env, revision, limit)
}

// MarkSent notes that events were published. One that is marked already, or is not there, is passed over, and so is another one
// that has its revision.
func (s *Store) MarkSent(ctx context.Context, events ...EventRef) error {
	if len(events) == 0 {
		return nil
	}
	return s.db.Write(ctx, "mark events as sent", func(ctx context.Context, t sqldb.Tx) error {
		now := micros(time.Now())
		var newest uint64
		for chunk := range slices.Chunk(events, atOnce) {
			marked, err := s.markSent(ctx, t, now, chunk)
			if err != nil {
				return err
			}
			newest = max(newest, marked)
		}
		_, err := t.Exec(ctx, `UPDATE relays SET sent = ?1 WHERE env = ?2 AND sent < ?1`, newest, s.env)
		return err
	})
}

// markSent returns the newest revision that it has marked.
func (s *Store) markSent(ctx context.Context, t sqldb.Tx, now int64, events []EventRef) (newest uint64, err error) {
	args, pairs := []any{now, s.env}, make([]string, len(events))
	for i, event := range events {
		pairs[i] = fmt.Sprintf("(CAST(?%d AS BIGINT), CAST(?%d AS BIGINT))", len(args)+1, len(args)+2)
		args = append(args, event.Revision, micros(event.At))
	}
	err = t.Each(ctx, func(row sqldb.Row) error {
		var revision uint64
		err := row.Scan(&revision)
		newest = max(newest, revision)
		return err
	}, `UPDATE outbox SET sent_at = ?1, quarantined_at = NULL FROM (VALUES `+strings.Join(pairs, ", ")+`) AS told
		WHERE env = ?2 AND sent_at IS NULL AND revision = told.column1 AND committed_at = told.column2 RETURNING revision`, args...)
	return newest, err
}

// MarkFailed notes that an event could not be published, and returns how often that has been. It returns a *[NotFound] when
// the event is not there, or another one has its revision.
func (s *Store) MarkFailed(ctx context.Context, event EventRef, reason string) (attempts int, err error) {
	err = s.db.Write(ctx, "mark an event as failed", func(ctx context.Context, t sqldb.Tx) error {
		n, err := t.Exec(ctx, `UPDATE outbox SET attempts = attempts + 1, failure = ?1
			WHERE env = ?2 AND revision = ?3 AND committed_at = ?4`, shorten(reason), s.env, event.Revision, micros(event.At))
		if err != nil {
			return err
		}
		if n == 0 {
			return &NotFound{Of: lifecycle.OfEvent}
		}
		return t.Row(ctx, `SELECT attempts FROM outbox WHERE env = ?1 AND revision = ?2`, s.env, event.Revision).Scan(&attempts)
	})
	return attempts, err
}

// Quarantine takes an event that cannot be sent out of the way of the others. It is kept. It returns a *[NotFound] when the
// event does not wait to be sent, or is not there, or when another one has its revision.
func (s *Store) Quarantine(ctx context.Context, event EventRef, reason string) error {
	return s.db.Write(ctx, "quarantine an event", func(ctx context.Context, t sqldb.Tx) error {
		n, err := t.Exec(ctx, `UPDATE outbox SET quarantined_at = ?1, failure = ?2
			WHERE env = ?3 AND revision = ?4 AND committed_at = ?5 AND sent_at IS NULL`,
			micros(time.Now()), shorten(reason), s.env, event.Revision, micros(event.At))
		if err == nil && n == 0 {
			return &NotFound{Of: lifecycle.OfEvent}
		}
		return err
	})
}

// Outbox returns how far the relay is.
func (s *Store) Outbox(ctx context.Context) (OutboxStatus, error) {
	var status OutboxStatus
	err := s.db.Read(ctx, "read the outbox's status", func(ctx context.Context, t sqldb.Tx) error {
		var oldest sql.NullInt64
		// The first is the oldest, since revisions are in the order of commits. So the index is all that is read of the others.
		if err := t.Row(ctx, `SELECT COUNT(*), (SELECT committed_at FROM outbox
			WHERE env = ?1 AND sent_at IS NULL AND quarantined_at IS NULL ORDER BY revision LIMIT 1)
			FROM outbox WHERE env = ?1 AND sent_at IS NULL AND quarantined_at IS NULL`, s.env).Scan(&status.Pending, &oldest); err != nil {
			return err
		}
		status.Oldest = fromNullMicros(oldest)
		return t.Row(ctx, `SELECT e.epoch, e.revision, r.sent,
			(SELECT COUNT(*) FROM outbox o WHERE o.env = e.id AND o.quarantined_at IS NOT NULL)
			FROM environments e JOIN relays r ON r.env = e.id WHERE e.id = ?1`,
			s.env).Scan(&status.Epoch, &status.Newest, &status.Sent, &status.Quarantined)
	})
	return status, err
}

// Prune deletes events that were sent before a time and returns how many. What is not sent stays, and so does what is
// quarantined.
func (s *Store) Prune(ctx context.Context, sentBefore time.Time) (int64, error) {
	var pruned int64
	for {
		var n int64
		err := s.db.Write(ctx, "prune the outbox", func(ctx context.Context, t sqldb.Tx) (err error) {
			n, err = s.prune(ctx, t, micros(sentBefore))
			return err
		})
		pruned += n
		if err != nil || n < atOnce {
			return pruned, err
		}
	}
}

// EventsAfter returns the events after v, in the order of revisions, at most limit, and their epoch. An empty Epoch of v is the
// present one. It returns ErrGone when v is of another epoch, ahead of what there is, or older than what was pruned.
func (s *Store) EventsAfter(ctx context.Context, v tenant.Version, limit int) (events []Event, epoch string, err error) {
	err = s.db.Read(ctx, "read events", func(ctx context.Context, t sqldb.Tx) error {
		var newest, pruned uint64
		if err := t.Row(ctx, `SELECT e.epoch, e.revision, r.pruned FROM environments e JOIN relays r ON r.env = e.id
			WHERE e.id = ?1`, s.env).Scan(&epoch, &newest, &pruned); err != nil {
			return err
		}
		if v.Epoch != "" && v.Epoch != epoch || v.Revision > newest || v.Revision < pruned {
			return ErrGone
		}
		var err error
		events, err = selectEvents(ctx, t, `SELECT `+eventColumns+` FROM outbox WHERE env = ?1 AND revision > ?2
			ORDER BY revision LIMIT ?3`, s.env, v.Revision, limit)
		return err
	})
	return events, epoch, err
}

func (s *Store) events(ctx context.Context, what, query string, args ...any) ([]Event, error) {
	var out []Event
	err := s.db.Query(ctx, what, func(ctx context.Context, t sqldb.Tx) (err error) {
		out, err = selectEvents(ctx, t, query, args...)
		return err
	})
	return out, err
}

// selectEvents runs a query for eventColumns.
func selectEvents(ctx context.Context, t sqldb.Tx, query string, args ...any) ([]Event, error) {
	var out []Event
	err := eachEvent(ctx, t, func(evt Event) error {
		out = append(out, evt)
		return nil
	}, query, args...)
	return out, err
}

// eachEvent is selectEvents for what need not be in memory at once.
func eachEvent(ctx context.Context, t sqldb.Tx, each func(Event) error, query string, args ...any) error {
	return t.Each(ctx, func(row sqldb.Row) error {
		var evt Event
		var revision uint64
		var at int64
		var services sql.NullString
		if err := row.Scan(&revision, &evt.Data, &evt.Attempts, &at, &services); err != nil {
			return err
		}
		if services.Valid {
			evt.Services = []string{}
			_ = json.Unmarshal([]byte(services.String), &evt.Services) // we have written it
		}
		// What is not an event stops none of the others: it is handed on as far as it can be read, and nobody publishes it.
		evt.Event, _ = tenant.ParseEvent(evt.Data)
		evt.Revision = revision
		evt.At = fromMicros(at)
		return each(evt)
	}, query, args...)
}

// prune deletes at most atOnce events, and notes up to where some are missing.
func (s *Store) prune(ctx context.Context, t sqldb.Tx, before int64) (int64, error) {
	var last int64
	args := []any{s.env}
	if err := t.Each(ctx, func(row sqldb.Row) error {
		var revision int64
		err := row.Scan(&revision)
		args, last = append(args, revision), max(last, revision)
		return err
	}, `SELECT revision FROM outbox WHERE env = ?1 AND sent_at < ?2 ORDER BY sent_at LIMIT ?3`, s.env, before, atOnce); err != nil {
		return 0, err
	}
	if len(args) == 1 {
		return 0, nil
	}
	if _, err := t.Exec(ctx, `UPDATE relays SET pruned = ?1 WHERE env = ?2 AND pruned < ?1`, last, s.env); err != nil {
		return 0, err
	}
	return t.Exec(ctx, `DELETE FROM outbox WHERE env = ?1 AND sent_at IS NOT NULL
		AND revision IN (`+placeholders(2, len(args)-1)+`)`, args...)
}

// placeholders are n of them, the first with the number from.
func placeholders(from, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = "?" + strconv.Itoa(from+i)
	}
	return strings.Join(out, ", ")
}

func shorten(text string) string { return text[:min(len(text), maxReason)] }
