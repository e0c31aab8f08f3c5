package tenanttest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// The methods of this file change the data or read it, without HTTP. Their errors are those that the REST API answers
// with: a *[managerapi.Error], which errors.Is finds as managerapi.ErrNotFound, ErrConflict or ErrAccessDenied. A
// change whose events could not all be published is made, and returns a *[PublishError].

// Create makes a tenant. Without a slug in req, the slug is made from the name. If the same tenant exists already,
// nothing happens and Created is false. If another tenant has the slug, the error is managerapi.ErrConflict.
func (m *Manager) Create(ctx context.Context, req managerapi.CreateTenantRequest) (managerapi.CreatedTenant, error) {
	n, err := lifecycle.NewTenant{
		Name: req.Name, Slug: req.Slug, Environment: req.Environment, Isolation: req.Isolation, Metadata: req.Metadata,
		Owner: lifecycle.Owner{Email: req.Owner.Email},
	}.Check(m.environment)
	if err != nil {
		return managerapi.CreatedTenant{}, refusal("create tenant", err)
	}
	var created managerapi.CreatedTenant
	err = m.change(ctx, "create tenant", func(now time.Time) ([]happening, error) {
		var happened []happening
		there, slug, err := n.Place(m.world.bySlug)
		switch {
		case err != nil:
			return nil, err
		case there == nil:
			n.Slug = slug
			var rec *record
			rec, happened = m.world.create(m.newID(), n, now)
			there = &rec.Record
		}
		created = managerapi.CreatedTenant{ID: there.ID, Slug: there.Slug, Status: there.Status, Created: happened != nil}
		return happened, nil
	})
	return created, err
}

// Add makes tenants with these ids and associates them with service, all in one step. The name of each tenant is its
// id. If an id is invalid or exists already, Add returns an error and adds nothing.
func (m *Manager) Add(ctx context.Context, service string, ids ...string) error {
	return m.change(ctx, "add tenants", func(now time.Time) ([]happening, error) {
		if err := errors.Join(m.world.checkService(service), m.free(ids)); err != nil {
			return nil, err
		}
		happened := make([]happening, 0, 2*len(ids))
		for _, id := range ids {
			rec, created := m.world.create(id, m.tenantFor(id), now)
			a, err := lifecycle.NewAssociation{}.Association(service)
			if err != nil {
				return nil, err
			}
			associated, err := m.world.associate(rec, a, now)
			if err != nil {
				return nil, err
			}
			happened = append(append(happened, created...), associated...)
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
	t, _, err := m.get(id)
	return t, err
}

// get says of how many services it is a tenant, too.
func (m *Manager) get(id string) (t managerapi.Tenant, services int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, err := m.world.find(id)
	if err != nil {
		return managerapi.Tenant{}, 0, refusal("get tenant", err)
	}
	for _, a := range rec.Associations {
		if a.Status != tenant.StatusPurged {
			services++
		}
	}
	return viewOf(rec.Tenant), services, nil
}

// Update changes a tenant's name or replaces its metadata.
func (m *Manager) Update(ctx context.Context, id string, req managerapi.UpdateTenantRequest) (managerapi.Tenant, error) {
	patch := lifecycle.TenantPatch{Name: req.Name, Metadata: req.Metadata}
	if !tenant.ValidID(id) {
		return managerapi.Tenant{}, refusal("update tenant", errNoTenant)
	}
	if err := patch.Check(); err != nil {
		return managerapi.Tenant{}, refusal("update tenant", err)
	}
	t, err := m.changeTenant(ctx, "update tenant", id, func(r *lifecycle.Record) ([]lifecycle.Happening, error) {
		return r.Update(patch), nil
	})
	return viewOf(t), err
}

// Suspend suspends a tenant: it is no longer active for any service.
func (m *Manager) Suspend(ctx context.Context, id string) error {
	_, err := m.changeTenant(ctx, "suspend tenant", id, (*lifecycle.Record).Suspend)
	return err
}

// Reactivate ends the suspension of a tenant. It announces tenant.activated and then tenant.service.reactivated for each
// association that is active.
func (m *Manager) Reactivate(ctx context.Context, id string) error {
	_, err := m.changeTenant(ctx, "reactivate tenant", id, (*lifecycle.Record).Reactivate)
	return err
}

// Delete removes a tenant and its associations. Its slug is free afterwards.
func (m *Manager) Delete(ctx context.Context, id string) error {
	_, err := m.changeTenant(ctx, "delete tenant", id, func(r *lifecycle.Record) ([]lifecycle.Happening, error) {
		m.world.remove(r)
		return r.Remove(), nil
	})
	return err
}

// Associate makes a tenant active for a service. While the tenant is suspended the error is managerapi.ErrAccessDenied,
// because the event would announce a tenant as active that is not.
func (m *Manager) Associate(ctx context.Context, id, service string, req managerapi.CreateAssociationRequest) (managerapi.Association, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return managerapi.Association{}, refusal("associate", notJSON())
	}
	var asked lifecycle.NewAssociation
	if err := contract.Decode(body, &asked); err != nil {
		return managerapi.Association{}, refusal("associate", err)
	}
	return m.associate(ctx, id, service, asked)
}

func (m *Manager) associate(ctx context.Context, id, service string, asked lifecycle.NewAssociation) (managerapi.Association, error) {
	if err := checkPath(id, service); err != nil {
		return managerapi.Association{}, refusal("associate", err)
	}
	a, err := asked.Association(service)
	if err != nil {
		return managerapi.Association{}, refusal("associate", err)
	}
	err = m.change(ctx, "associate", func(now time.Time) ([]happening, error) {
		rec, err := m.world.find(id)
		if err != nil {
			return nil, err
		}
		return m.world.associate(rec, a, now)
	})
	if refused(err) {
		return managerapi.Association{}, err
	}
	return managerapi.Association{ServiceName: service, Status: tenant.StatusActive}, err
}

// SuspendService suspends the association of a tenant with a service.
func (m *Manager) SuspendService(ctx context.Context, id, service string) error {
	_, err := m.changeAssociation(ctx, "suspend association", id, service, (*lifecycle.Record).SuspendService)
	return err
}

// ReactivateService ends the suspension of an association. While the tenant itself is suspended the error is
// managerapi.ErrAccessDenied.
func (m *Manager) ReactivateService(ctx context.Context, id, service string) error {
	_, err := m.changeAssociation(ctx, "reactivate association", id, service, (*lifecycle.Record).ReactivateService)
	return err
}

// Disassociate ends the association of a tenant with a service. It announces tenant.service.disassociated, or
// tenant.service.purged when purge is set. The manager remembers that a purged association was purged.
func (m *Manager) Disassociate(ctx context.Context, id, service string, purge bool) error {
	_, err := m.changeAssociation(ctx, "disassociate", id, service, func(r *lifecycle.Record, a *lifecycle.Association) ([]lifecycle.Happening, error) {
		return r.Disassociate(a, purge), nil
	})
	return err
}

// RotateCredentials announces new credentials for a service's use of a tenant.
func (m *Manager) RotateCredentials(ctx context.Context, id, service string) error {
	_, err := m.changeAssociation(ctx, "rotate credentials", id, service, (*lifecycle.Record).Rotate)
	return err
}

// Connections returns how the service reaches the tenant's databases. While the tenant or the association is not
// active, the error is managerapi.ErrAccessDenied, with the status.
func (m *Manager) Connections(id, service string) (managerapi.Connections, error) {
	view, err := m.connections(id, service)
	return decoded(view), err
}

func (m *Manager) connections(id, service string) (contract.ConnectionsView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, a, err := m.world.findAssociation(id, service)
	if err == nil {
		err = rec.Usable(a)
	}
	if err != nil {
		return contract.ConnectionsView{}, refusal("get connections", err)
	}
	return rec.View(*a), nil
}

// UpdateConnections merges req into the connections (RFC 7396), and announces the changes.
func (m *Manager) UpdateConnections(
	ctx context.Context, id, service string, req managerapi.UpdateConnectionsRequest,
) (managerapi.Connections, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return managerapi.Connections{}, refusal("update connections", notJSON())
	}
	view, err := m.putConnections(ctx, id, service, body)
	return decoded(view), err
}

// putConnections takes the body as it came: what req has no field for is kept too.
func (m *Manager) putConnections(ctx context.Context, id, service string, body []byte) (contract.ConnectionsView, error) {
	patch, err := contract.ParsePatch(body)
	if err != nil {
		return contract.ConnectionsView{}, refusal("update connections", err)
	}
	return m.changeAssociation(ctx, "update connections", id, service, func(r *lifecycle.Record, a *lifecycle.Association) ([]lifecycle.Happening, error) {
		return r.Reconnect(a, patch)
	})
}

// InvalidateCache asks a service to forget what it has cached of a tenant. The reason may be empty.
func (m *Manager) InvalidateCache(ctx context.Context, id, service, reason string) error {
	if err := checkPath(id, service); err != nil {
		return refusal("invalidate cache", err)
	}
	if err := lifecycle.CheckReason(reason); err != nil {
		return refusal("invalidate cache", err)
	}
	_, err := m.changeAssociation(ctx, "invalidate cache", id, service, func(r *lifecycle.Record, a *lifecycle.Association) ([]lifecycle.Happening, error) {
		return r.Invalidate(a, reason), nil
	})
	return err
}

// viewOf is a copy that the caller may change.
func viewOf(t lifecycle.Tenant) managerapi.Tenant {
	return managerapi.Tenant{
		ID: t.ID, Name: t.Name, Slug: t.Slug, Status: t.Status, Environment: t.Environment, Isolation: t.Isolation,
		Metadata:  maps.Clone(t.Metadata),
		CreatedAt: managerapi.Timestamp{Time: t.CreatedAt}, UpdatedAt: managerapi.Timestamp{Time: t.UpdatedAt},
	}
}

// decoded is what a client makes of it. What was put has the shapes of the contract.
func decoded(view contract.ConnectionsView) managerapi.Connections {
	var out managerapi.Connections
	_ = json.Unmarshal(encode(view), &out)
	return out
}

func notJSON() error {
	return &lifecycle.Invalid{Code: "INVALID_BODY", Message: "a field of the connections is not JSON"}
}
