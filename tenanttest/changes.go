package tenanttest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// The methods of this file change the data or read it, without HTTP. Their errors are those that the REST API answers
// with: a *[managerapi.Error], which errors.Is finds as managerapi.ErrTenantNotFound, ErrConflict or ErrAccessDenied. A
// change whose events could not all be published is made, and returns a *[PublishError].

// Create makes a tenant. Without a slug it gets one made of its name. If the very same tenant is there already, Created
// is false and nothing happens; a slug that another tenant has is managerapi.ErrConflict.
func (m *Manager) Create(ctx context.Context, req managerapi.CreateTenantRequest) (managerapi.CreatedTenant, error) {
	var created managerapi.CreatedTenant
	err := m.change(ctx, "create tenant", func(now time.Time) ([]happening, error) {
		req, err := m.complete(req)
		if err != nil {
			return nil, err
		}
		var happened []happening
		rec := m.world.slugs[req.Slug]
		switch {
		case rec == nil:
			happened = make([]happening, 1)
			rec, happened[0] = m.world.create(m.newID(), req, now)
		case !rec.is(req):
			return nil, refuse(http.StatusConflict, "SLUG_TAKEN", "slug "+req.Slug+" belongs to another tenant")
		}
		created = managerapi.CreatedTenant{ID: rec.ID, Slug: rec.Slug, Status: rec.Status, Created: happened != nil}
		return happened, nil
	})
	return created, err
}

// Add makes tenants with these ids and associates them with service, all in one go. Each is named like its id. An id that
// is not valid or is there already is an error, and then nothing is added.
func (m *Manager) Add(ctx context.Context, service string, ids ...string) error {
	return m.change(ctx, "add tenants", func(now time.Time) ([]happening, error) {
		if err := errors.Join(m.world.checkService(service), m.free(ids)); err != nil {
			return nil, err
		}
		happened := make([]happening, 0, 2*len(ids))
		for _, id := range ids {
			rec, created := m.world.create(id, m.requestFor(id), now)
			associated, err := m.world.associate(rec, service, newAssociation{}, now)
			if err != nil {
				return nil, err
			}
			happened = append(append(happened, created), associated...)
		}
		return happened, nil
	})
}

// Seed makes n tenants that are active for service, as [Manager.Add] does, and returns their ids.
func (m *Manager) Seed(ctx context.Context, service string, n int) ([]string, error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = m.newID()
	}
	return ids, m.Add(ctx, service, ids...)
}

// Get returns a tenant.
func (m *Manager) Get(id string) (managerapi.Tenant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, err := m.world.find(id)
	if err != nil {
		return managerapi.Tenant{}, named("get tenant", err)
	}
	return rec.view(), nil
}

// Update changes a tenant's name or replaces its metadata.
func (m *Manager) Update(ctx context.Context, id string, req managerapi.UpdateTenantRequest) (managerapi.Tenant, error) {
	var view managerapi.Tenant
	err := m.changeTenant(ctx, "update tenant", id, func(rec *record) ([]happening, error) {
		happened, err := m.world.update(rec, req)
		if err == nil {
			view = rec.view()
		}
		return happened, err
	})
	return view, err
}

// Suspend suspends a tenant; all services lose it.
func (m *Manager) Suspend(ctx context.Context, id string) error {
	return m.changeTenant(ctx, "suspend tenant", id, m.world.suspend)
}

// Reactivate ends the suspension of a tenant. It announces tenant.activated and then tenant.service.reactivated for each
// association that is active.
func (m *Manager) Reactivate(ctx context.Context, id string) error {
	return m.changeTenant(ctx, "reactivate tenant", id, m.world.reactivate)
}

// Delete removes a tenant and its associations. Its slug is free afterwards.
func (m *Manager) Delete(ctx context.Context, id string) error {
	return m.changeTenant(ctx, "delete tenant", id, m.world.remove)
}

// Associate makes a tenant active for a service. It is managerapi.ErrAccessDenied while the tenant is suspended, because
// the event would announce as active what is not.
func (m *Manager) Associate(ctx context.Context, id, service string, req managerapi.CreateAssociationRequest) (managerapi.Association, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return managerapi.Association{}, named("associate", notJSON())
	}
	return m.postAssociation(ctx, id, service, body)
}

func (m *Manager) postAssociation(ctx context.Context, id, service string, body []byte) (managerapi.Association, error) {
	asked, err := readAssociation(body)
	if err != nil {
		return managerapi.Association{}, named("associate", err)
	}
	err = m.changeTenant(ctx, "associate", id, func(rec *record) ([]happening, error) {
		return m.world.associate(rec, service, asked, rec.UpdatedAt.Time)
	})
	if refused(err) {
		return managerapi.Association{}, err
	}
	return managerapi.Association{ServiceName: service, Status: managerapi.StatusActive}, err
}

// SuspendService suspends the association of a tenant with a service.
func (m *Manager) SuspendService(ctx context.Context, id, service string) error {
	return m.changeAssociation(ctx, "suspend association", id, service, m.world.suspendService)
}

// ReactivateService ends that. It is managerapi.ErrAccessDenied while the tenant itself is suspended.
func (m *Manager) ReactivateService(ctx context.Context, id, service string) error {
	return m.changeAssociation(ctx, "reactivate association", id, service, m.world.reactivateService)
}

// Disassociate ends the association of a tenant with a service. It announces tenant.service.disassociated, or
// tenant.service.purged when purge is set; of a purged association one can still see that it was purged.
func (m *Manager) Disassociate(ctx context.Context, id, service string, purge bool) error {
	return m.changeAssociation(ctx, "disassociate", id, service, func(rec *record, a *association) ([]happening, error) {
		return m.world.disassociate(rec, a, purge)
	})
}

// RotateCredentials announces new credentials.
func (m *Manager) RotateCredentials(ctx context.Context, id, service string) error {
	return m.changeAssociation(ctx, "rotate credentials", id, service, m.world.rotate)
}

// Connections returns how the service reaches the tenant's databases. It is managerapi.ErrAccessDenied, with the status,
// while the tenant or the association is not active.
func (m *Manager) Connections(id, service string) (managerapi.Connections, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, err := m.world.find(id)
	if err != nil {
		return managerapi.Connections{}, named("get connections", err)
	}
	a := rec.association(service)
	if a == nil {
		return managerapi.Connections{}, named("get connections", noAssociation())
	}
	connections, err := rec.connections(a)
	return connections, named("get connections", err)
}

// UpdateConnections merges req into the connections (RFC 7396), and announces what that changed.
func (m *Manager) UpdateConnections(
	ctx context.Context, id, service string, req managerapi.UpdateConnectionsRequest,
) (managerapi.Connections, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return managerapi.Connections{}, named("update connections", notJSON())
	}
	return m.putConnections(ctx, id, service, body)
}

// putConnections takes the body as it came: what req has no field for is kept too.
func (m *Manager) putConnections(ctx context.Context, id, service string, body []byte) (managerapi.Connections, error) {
	patch, err := contract.ParsePatch(body)
	if err != nil {
		return managerapi.Connections{}, named("update connections", inOurWords(err))
	}
	var view managerapi.Connections
	update := func(rec *record, a *association) ([]happening, error) {
		happened, err := m.world.updateConnections(rec, a, patch)
		if err == nil {
			view = rec.connectionsView(a)
		}
		return happened, err
	}
	return view, m.changeAssociation(ctx, "update connections", id, service, update)
}

// InvalidateCache asks a service to forget what it has cached of a tenant. The reason may be empty.
func (m *Manager) InvalidateCache(ctx context.Context, id, service, reason string) error {
	return m.changeAssociation(ctx, "invalidate cache", id, service, func(rec *record, a *association) ([]happening, error) {
		return m.world.invalidateCache(rec, a, reason)
	})
}
