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

// change is one of the changes of a transaction, and announces what it does.
type change struct {
	sqldb.Tx
	counters

	store *Store
	free  map[string]bool // slugs that nobody has
	now   time.Time

	target, last string // what is changed first, and last, for the audit
	more         int    // how many besides the first
}

// counters are those of the environment, with what the transaction has added so far.
type counters struct {
	epoch    string
	revision uint64 // the newest one
	tenants  int64  // how many there have ever been
}

// change runs fn, which changes rows and announces it, and commits all of it or nothing. It keeps other changes of the
// environment waiting from the beginning to the end, so that revisions are in the order of commits, none is left out, and
// what fn has read is true when it writes. fn runs on the goroutine of any call that waits, and again where all that it did was
// undone. slugs are those that it will look for.
func (s *Store) change(ctx context.Context, what string, fn func(context.Context, *change) error, slugs ...string) error {
	ctx, cancel := sqldb.Within(ctx, sqldb.CallLimit)
	defer cancel()
	m := &member{ctx: ctx, what: what, slugs: slugs, fn: fn, told: make(chan verdict, 1)}
	v := s.line.enter(m)
	if v == leads {
		v = s.lead(m)
	}
	if v == byItself {
		if _, err := s.commit([]*member{m}); err != nil {
			m.err = err
		}
	}
	if m.err != nil {
		return s.db.Explain(ctx, what, m.err)
	}
	if m.done.Result != "" {
		d := deedOf(ctx)
		d.Target, d.Result = m.done.Target, m.done.Result
	}
	return nil
}

// announce gives each of what happened its revision, puts it into the outbox, and notes whose list it changed.
func (c *change) announce(happened []lifecycle.Happening) error {
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
		c.write(`INSERT INTO outbox (env, revision, data, committed_at, services) VALUES (?1, ?2, ?3, ?4, ?5)`,
			c.store.env, c.revision, data, micros(c.now), string(services))
		c.noteLists(h)
	}
	return nil
}

// write has a statement run together with those that follow.
func (c *change) write(query string, args ...any) { c.Later(nil, query, args...) }

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
