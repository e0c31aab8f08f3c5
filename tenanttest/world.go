package tenanttest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// world is the manager's data. Its methods check first and change afterwards, so that an error leaves it as it was.
// They take no lock, look at no clock and do no I/O; each change returns what there is to announce.
type world struct {
	tenants map[string]*record // by canonical id
	slugs   map[string]*record
	order   []*record // oldest first, as the list shows them
	created uint64    // how many there have ever been
}

// record is one tenant with its associations, oldest first.
type record struct {
	managerapi.Tenant

	seq          uint64
	owner        string
	associations []*association
}

type association struct {
	service, status, isolation string
	connections                contract.Connections
	createdAt, updatedAt       time.Time
}

// happening is an event that is still without id, time and revision, with the rows of lists that it changes.
type happening struct {
	kind                  tenant.EventType
	id, slug, environment string
	name                  string // in what adds a tenant, and in what changes its name
	payload               json.RawMessage
	numbered              func(revision uint64) any // the payload, where it depends on the event's revision
	rows                  []rowChange
}

// rowChange is a row that came to the list of a service (before is nil), left it (after is nil), or changed.
type rowChange struct {
	service       string
	seq           uint64
	before, after *tenant.Summary
}

func newWorld() *world {
	return &world{tenants: map[string]*record{}, slugs: map[string]*record{}}
}

// active returns the rows of service's list, and the place of each in the order of creation.
func (w *world) active(service string) map[uint64]tenant.Summary {
	rows := map[uint64]tenant.Summary{}
	for _, rec := range w.order {
		if rec.listed(rec.association(service)) {
			rows[rec.seq] = rec.row()
		}
	}
	return rows
}

func (w *world) find(id string) (*record, error) {
	rec := w.tenants[tenant.CanonicalID(id)]
	if rec == nil {
		return nil, refuse(http.StatusNotFound, "TENANT_NOT_FOUND", "tenant not found")
	}
	return rec, nil
}

// findAssociation does not find a purged one.
func (w *world) findAssociation(id, service string) (*record, *association, error) {
	rec, err := w.find(id)
	if err != nil {
		return nil, nil, err
	}
	a := rec.association(service)
	if a == nil || a.status == managerapi.StatusPurged {
		return nil, nil, noAssociation()
	}
	return rec, a, nil
}

// is reports whether rec is already what req asks for.
func (rec *record) is(req managerapi.CreateTenantRequest) bool {
	return rec.Name == req.Name && rec.Environment == req.Environment && rec.Isolation == req.Isolation &&
		rec.owner == req.Owner.Email
}

// create takes an id and a slug that are known to be free.
func (w *world) create(id string, req managerapi.CreateTenantRequest, now time.Time) (*record, happening) {
	w.created++
	rec := &record{seq: w.created, owner: req.Owner.Email, Tenant: managerapi.Tenant{
		ID: id, Name: req.Name, Slug: req.Slug, Status: managerapi.StatusActive, Environment: req.Environment,
		Isolation: req.Isolation, Metadata: maps.Clone(req.Metadata),
		CreatedAt: managerapi.Timestamp{Time: now}, UpdatedAt: managerapi.Timestamp{Time: now},
	}}
	w.tenants[tenant.CanonicalID(id)] = rec
	w.slugs[rec.Slug] = rec
	w.order = append(w.order, rec)
	created := rec.happening(tenant.EventCreated, nil)
	return rec, created
}

func (w *world) update(rec *record, req managerapi.UpdateTenantRequest) ([]happening, error) {
	if req.Name != nil && strings.TrimSpace(*req.Name) == "" {
		return nil, refuse(http.StatusBadRequest, "INVALID_NAME", "name is blank")
	}
	before := rec.row()
	if req.Name != nil {
		rec.Name = *req.Name
	}
	if req.Metadata != nil {
		rec.Metadata = maps.Clone(req.Metadata)
	}
	updated := rec.happening(tenant.EventUpdated, nil)
	if rec.row() != before {
		for _, a := range rec.listedAssociations() {
			updated.rows = append(updated.rows, rec.changed(a.service, before))
		}
	}
	return []happening{updated}, nil
}

func (w *world) suspend(rec *record) ([]happening, error) {
	if rec.Status == managerapi.StatusSuspended {
		return nil, refuse(http.StatusConflict, "ALREADY_SUSPENDED", "the tenant is suspended already")
	}
	suspended := rec.happening(tenant.EventSuspended, nil, rec.leaveAll()...)
	rec.Status = managerapi.StatusSuspended
	return []happening{suspended}, nil
}

// reactivate announces each association too, because consumers do nothing on tenant.activated alone.
func (w *world) reactivate(rec *record) ([]happening, error) {
	if rec.Status != managerapi.StatusSuspended {
		return nil, refuse(http.StatusConflict, "NOT_SUSPENDED", "the tenant is not suspended")
	}
	rec.Status = managerapi.StatusActive
	out := []happening{rec.happening(tenant.EventActivated, nil)}
	for _, a := range rec.listedAssociations() {
		out = append(out, rec.reactivated(a))
	}
	return out, nil
}

func (w *world) remove(rec *record) ([]happening, error) {
	deleted := rec.happening(tenant.EventDeleted, nil, rec.leaveAll()...)
	delete(w.tenants, tenant.CanonicalID(rec.ID))
	delete(w.slugs, rec.Slug)
	w.order = slices.DeleteFunc(w.order, func(r *record) bool { return r == rec })
	return []happening{deleted}, nil
}

func (rec *record) association(service string) *association {
	for _, a := range rec.associations {
		if a.service == service {
			return a
		}
	}
	return nil
}

// listed reports whether rec is in the list of a's service.
func (rec *record) listed(a *association) bool {
	return a != nil && a.status == managerapi.StatusActive && rec.Status == managerapi.StatusActive
}

func (rec *record) listedAssociations() []*association {
	var out []*association
	for _, a := range rec.associations {
		if rec.listed(a) {
			out = append(out, a)
		}
	}
	return out
}

func (rec *record) row() tenant.Summary {
	return tenant.Summary{ID: rec.ID, Name: rec.Name, Status: rec.Status}
}

// view is a copy that the caller may change.
func (rec *record) view() managerapi.Tenant {
	out := rec.Tenant
	out.Metadata = maps.Clone(rec.Metadata)
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	return out
}

// happening announces rec as it is now. A nil payload is none.
func (rec *record) happening(kind tenant.EventType, payload any, rows ...rowChange) happening {
	h := happening{kind: kind, id: rec.ID, slug: rec.Slug, environment: rec.Environment, rows: rows}
	switch kind { //nolint:exhaustive // the others name nobody
	case tenant.EventServiceAssociated, tenant.EventServiceReactivated, tenant.EventUpdated:
		h.name = rec.Name
	}
	if payload != nil {
		h.payload = encode(payload)
	}
	return h
}

func (rec *record) entered(service string) rowChange {
	after := rec.row()
	return rowChange{service: service, seq: rec.seq, after: &after}
}

func (rec *record) left(service string) rowChange {
	before := rec.row()
	return rowChange{service: service, seq: rec.seq, before: &before}
}

func (rec *record) changed(service string, before tenant.Summary) rowChange {
	after := rec.row()
	return rowChange{service: service, seq: rec.seq, before: &before, after: &after}
}

// leaveAll is to be called while rec is still listed.
func (rec *record) leaveAll() []rowChange {
	listed := rec.listedAssociations()
	rows := make([]rowChange, 0, len(listed))
	for _, a := range listed {
		rows = append(rows, rec.left(a.service))
	}
	return rows
}

// encode is for values that are known to have a JSON form.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("tenanttest: " + err.Error())
	}
	return data
}

func refuse(status int, code, message string) *managerapi.Error {
	return &managerapi.Error{StatusCode: status, Code: code, Message: message}
}
