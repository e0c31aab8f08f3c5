package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// change is a transaction that announces what it does.
type change struct {
	sqldb.Tx

	store    *Store
	epoch    string
	revision uint64 // the newest one, those of this change included
	tenants  int64  // how many there have ever been
	now      time.Time

	target, last string // what is changed first, and last, for the audit
	more         int    // how many besides the first
}

// change runs fn, which changes rows and announces it, and commits all of it or nothing. It keeps other changes of the
// environment waiting from the beginning to the end, so that revisions are in the order of commits, none is left out, and
// what fn has read is true when it writes.
func (s *Store) change(ctx context.Context, what string, fn func(context.Context, *change) error) error {
	return s.audited(ctx, what, func(ctx context.Context, t sqldb.Tx) (Deed, error) {
		c := &change{Tx: t, store: s}
		row := t.Row(ctx, `SELECT epoch, revision, tenants FROM environments WHERE id = ?1`+t.LockRow(), s.env)
		if err := row.Scan(&c.epoch, &c.revision, &c.tenants); err != nil {
			return Deed{}, err
		}
		c.now = time.Now().UTC().Truncate(time.Microsecond) // as exact as it is stored
		before := c.revision
		if err := fn(ctx, c); err != nil {
			return Deed{}, err
		}
		return c.finish(ctx, what, before)
	})
}

// finish writes how far the revisions are, and returns what was done, which is nothing if nothing was touched.
func (c *change) finish(ctx context.Context, what string, before uint64) (Deed, error) {
	if c.target == "" {
		return Deed{}, nil
	}
	done := c.done(ctx, what, before)
	if c.revision == before {
		return done, nil
	}
	_, err := c.Exec(ctx, `UPDATE environments SET revision = ?1, tenants = ?2 WHERE id = ?3`, c.revision, c.tenants, c.store.env)
	return done, err
}

// announce gives each of what happened its revision, puts it into the outbox, and notes whose list it changed.
func (c *change) announce(ctx context.Context, happened []lifecycle.Happening) error {
	for _, h := range happened {
		c.revision++
		data, target, err := c.event(h)
		if err != nil {
			return err
		}
		services, err := json.Marshal(h.Services)
		if err != nil {
			return err
		}
		c.touch(target)
		if _, err := c.Exec(ctx, `INSERT INTO outbox (env, revision, data, committed_at, services) VALUES (?1, ?2, ?3, ?4, ?5)`,
			c.store.env, c.revision, data, micros(c.now), string(services)); err != nil {
			return err
		}
		if err := c.noteLists(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// event returns the bytes that are published, and what they are about: the tenant, or its association with the service that
// they name.
func (c *change) event(h lifecycle.Happening) (data []byte, target string, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", err
	}
	v := tenant.Version{Epoch: c.epoch, Revision: c.revision}
	evt, err := h.Event(id.String(), c.now, v)
	if err != nil {
		return nil, "", err
	}
	target = "tenants/" + evt.TenantID
	if service, err := evt.ServiceName(); err == nil {
		target += "/associations/" + service
	}
	data, err = encodeEvent(evt, v)
	return data, target, err
}

// wireEvent is an event with a timestamp that always has its six digits: time.Time leaves zeros at the end out, and there are
// readers that take a fixed form.
type wireEvent struct {
	EventID     string           `json:"event_id"`
	EventType   tenant.EventType `json:"event_type"`
	Timestamp   string           `json:"timestamp"`
	TenantID    string           `json:"tenant_id"`
	TenantSlug  string           `json:"tenant_slug"`
	Environment string           `json:"environment"`
	TenantName  string           `json:"tenant_name,omitempty"`
	Payload     json.RawMessage  `json:"payload,omitempty"`
	Epoch       string           `json:"epoch"`
	Revision    uint64           `json:"revision"`
}

func encodeEvent(evt tenant.Event, v tenant.Version) ([]byte, error) {
	data, err := json.Marshal(wireEvent{
		EventID: evt.EventID, EventType: evt.EventType, Timestamp: evt.Timestamp.UTC().Format("2006-01-02T15:04:05.000000Z"),
		TenantID: evt.TenantID, TenantSlug: evt.TenantSlug, Environment: evt.Environment, TenantName: evt.TenantName, Payload: evt.Payload,
		Epoch: v.Epoch, Revision: v.Revision,
	})
	if err != nil {
		return nil, err
	}
	if len(data) > tenant.MaxEventBytes {
		return nil, &Invalid{
			Code:    "EVENT_TOO_LARGE",
			Message: fmt.Sprintf("the event of it has %d bytes, the most is %d", len(data), tenant.MaxEventBytes),
		}
	}
	return data, nil
}
