package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// turn is a place in the queue of those who publish. before is closed when it is due; nil is due at once.
type turn struct {
	before <-chan struct{}
	done   chan struct{}
}

// change runs fn under the lock, and publishes what happened after letting go of it. Turns are given out under the lock
// and so are in the order of revisions.
func (m *Manager) change(ctx context.Context, what string, fn func(now time.Time) ([]happening, error)) error {
	events, turn, err := m.apply(fn)
	if err != nil {
		return refusal(what, err)
	}
	if turn == nil {
		return nil
	}
	defer close(turn.done)
	if turn.before != nil {
		<-turn.before
	}
	return m.publish(ctx, events)
}

// apply returns no turn when there is nothing to publish.
func (m *Manager) apply(fn func(now time.Time) ([]happening, error)) ([]tenant.Event, *turn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	happened, err := fn(time.Now().UTC())
	if err != nil {
		return nil, nil, err
	}
	events := m.commit(happened)
	if len(events) == 0 || m.publisher == nil {
		return events, nil, nil
	}
	mine := &turn{before: m.lastTurn, done: make(chan struct{})}
	m.lastTurn = mine.done
	return events, mine, nil
}

// publish goes on after an error, so that one event that is refused does not take others with it.
func (m *Manager) publish(ctx context.Context, events []tenant.Event) error {
	var unsent []tenant.Event
	var errs []error
	for _, evt := range events {
		if err := m.publisher(ctx, evt); err != nil {
			unsent, errs = append(unsent, evt), append(errs, err)
		}
	}
	if len(unsent) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures += len(unsent)
	m.lastFailure = errs[len(errs)-1]
	return &PublishError{Events: unsent, Err: errors.Join(errs...)}
}

func (m *Manager) changeTenant(
	ctx context.Context, what, id string, fn func(*lifecycle.Record) ([]lifecycle.Happening, error),
) (lifecycle.Tenant, error) {
	var view lifecycle.Tenant
	err := m.change(ctx, what, func(now time.Time) ([]happening, error) {
		rec, err := m.world.find(id)
		if err != nil {
			return nil, err
		}
		happened, err := rec.change(fn)
		if err == nil {
			rec.UpdatedAt = now
			view = rec.Tenant
		}
		return happened, err
	})
	return view, err
}

func (m *Manager) changeAssociation(
	ctx context.Context, what, id, service string, fn func(*lifecycle.Record, *lifecycle.Association) ([]lifecycle.Happening, error),
) (contract.ConnectionsView, error) {
	var view contract.ConnectionsView
	err := m.change(ctx, what, func(now time.Time) ([]happening, error) {
		rec, a, err := m.world.findAssociation(id, service)
		if err == nil {
			a, err = rec.Association(service) // which is not purged
		}
		if err != nil {
			return nil, err
		}
		happened, err := rec.change(func(r *lifecycle.Record) ([]lifecycle.Happening, error) { return fn(r, a) })
		if err == nil {
			a.UpdatedAt = now
			view = rec.View(*a)
		}
		return happened, err
	})
	return view, err
}

// tenantFor is a tenant that is called like its id.
func (m *Manager) tenantFor(id string) lifecycle.NewTenant {
	return lifecycle.NewTenant{Name: id, Slug: tenant.CanonicalID(id), Environment: m.environment}
}

// free refuses ids that cannot be used or are used already, also among themselves.
func (m *Manager) free(ids []string) error {
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		canonical := tenant.CanonicalID(id)
		switch {
		case !tenant.ValidID(id):
			return &lifecycle.Invalid{Code: "INVALID_ID", Message: fmt.Sprintf("%.80q is not a valid id", id)}
		case seen[canonical] || m.world.tenants[canonical] != nil || m.world.slugs[canonical] != nil:
			return &lifecycle.Conflict{Code: "ID_TAKEN", Message: "there is a tenant " + id + " already"}
		}
		seen[canonical] = true
	}
	return nil
}

// refusal makes of what a rule refuses the answer to what was asked for. Any other error stays as it is.
func refusal(what string, err error) error {
	answer := func(status int, code, message string) *managerapi.Error {
		return &managerapi.Error{Request: what, StatusCode: status, Code: code, Message: message}
	}
	var (
		invalid  *lifecycle.Invalid
		conflict *lifecycle.Conflict
		inactive *lifecycle.Inactive
		missing  *lifecycle.NotFound
	)
	switch {
	case errors.As(err, &invalid):
		return answer(http.StatusBadRequest, invalid.Code, invalid.Message)
	case errors.As(err, &conflict):
		return answer(http.StatusConflict, conflict.Code, conflict.Message)
	case errors.As(err, &inactive):
		denied := answer(http.StatusForbidden, "TENANT_ACCESS_DENIED", inactive.Error())
		denied.TenantStatus = inactive.Status
		return denied
	case errors.As(err, &missing):
		return answer(http.StatusNotFound, missing.Code(), missing.Error())
	}
	return err
}

const codeNoAssociation = "ASSOCIATION_NOT_FOUND"

// refused reports whether err means that nothing was changed.
func refused(err error) bool {
	var unpublished *PublishError
	return err != nil && !errors.As(err, &unpublished)
}
