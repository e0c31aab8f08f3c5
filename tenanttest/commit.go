package tenanttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
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
		return named(what, err)
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

// changeTenant gives fn the tenant with its time of update set to now.
func (m *Manager) changeTenant(ctx context.Context, what, id string, fn func(*record) ([]happening, error)) error {
	return m.change(ctx, what, func(now time.Time) ([]happening, error) {
		rec, err := m.world.find(id)
		if err != nil {
			return nil, err
		}
		before := rec.UpdatedAt
		rec.UpdatedAt.Time = now
		happened, err := fn(rec)
		if err != nil {
			rec.UpdatedAt = before
		}
		return happened, err
	})
}

func (m *Manager) changeAssociation(
	ctx context.Context, what, id, service string, fn func(*record, *association) ([]happening, error),
) error {
	return m.change(ctx, what, func(now time.Time) ([]happening, error) {
		rec, a, err := m.world.findAssociation(id, service)
		if err != nil {
			return nil, err
		}
		before := a.updatedAt
		a.updatedAt = now
		happened, err := fn(rec, a)
		if err != nil {
			a.updatedAt = before
		}
		return happened, err
	})
}

// complete checks a request to create a tenant and fills in what it left out.
func (m *Manager) complete(req managerapi.CreateTenantRequest) (managerapi.CreateTenantRequest, error) {
	if strings.TrimSpace(req.Name) == "" {
		return req, refuse(http.StatusBadRequest, "INVALID_NAME", "name is blank")
	}
	asked, err := tenant.ParseEnvironment(req.Environment)
	if err != nil {
		return req, refuse(http.StatusBadRequest, "WRONG_ENVIRONMENT", err.Error())
	}
	req.Environment = cmp.Or(asked, m.environment)
	if m.environment != "" && req.Environment != m.environment {
		return req, refuse(http.StatusBadRequest, "WRONG_ENVIRONMENT", "this manager's environment is "+m.environment)
	}
	if req.Slug == "" {
		req.Slug = contract.NewSlug(req.Name)
		return req, nil
	}
	req.Slug, err = contract.Slug(req.Slug)
	return req, inOurWords(err)
}

// requestFor asks for a tenant that is called like its id.
func (m *Manager) requestFor(id string) managerapi.CreateTenantRequest {
	return managerapi.CreateTenantRequest{Name: id, Slug: tenant.CanonicalID(id), Environment: m.environment}
}

// free refuses ids that cannot be used or are used already, also among themselves.
func (m *Manager) free(ids []string) error {
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		canonical := tenant.CanonicalID(id)
		switch {
		case !tenant.ValidID(id):
			return refuse(http.StatusBadRequest, "INVALID_ID", fmt.Sprintf("%.80q is not a valid id", id))
		case seen[canonical] || m.world.tenants[canonical] != nil || m.world.slugs[canonical] != nil:
			return refuse(http.StatusConflict, "ID_TAKEN", "there is a tenant "+id+" already")
		}
		seen[canonical] = true
	}
	return nil
}

// named writes into a refusal what was asked for.
func named(what string, err error) error {
	if refusal, ok := errors.AsType[*managerapi.Error](err); ok {
		refusal.Request = what
	}
	return err
}

// refused reports whether err means that nothing was changed.
func refused(err error) bool {
	var unpublished *PublishError
	return err != nil && !errors.As(err, &unpublished)
}

func noAssociation() *managerapi.Error {
	return refuse(http.StatusNotFound, "ASSOCIATION_NOT_FOUND", "no association with this service")
}
