package lifecycle

import (
	"encoding/json"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Happening is an event that is still without id, time and version.
type Happening struct {
	// Lists are the services whose lists it changes.
	Lists []string
	// Joins is what it does to each of them: 1 adds the tenant, -1 removes it, and 0 changes its name.
	Joins int
	// Services are those that the tenant is or was a tenant of, as far as it is known: an event that names no service is for
	// them.
	Services []string

	event   tenant.Event
	payload any // nil is none
}

// versioned is a payload that depends on the event's version.
type versioned func(tenant.Version) any

// happening announces r as it is now.
func (r *Record) happening(kind tenant.EventType, payload any, lists ...string) Happening {
	h := Happening{Lists: lists, Services: []string{}, payload: payload, event: tenant.Event{
		EventType: kind, TenantID: r.ID, TenantSlug: r.Slug, Environment: r.Environment,
	}}
	switch kind { //nolint:exhaustive // the others name nobody
	case tenant.EventServiceAssociated, tenant.EventServiceReactivated, tenant.EventUpdated:
		h.event.TenantName = r.Name
	}
	for _, a := range r.Associations {
		h.Services = append(h.Services, a.Service)
	}
	return h
}

// TenantID is the tenant's id, as it was given to it.
func (h Happening) TenantID() string { return h.event.TenantID }

// joins is h with what it does to its lists.
func (h Happening) joins(n int) Happening {
	h.Joins = n
	return h
}

// Event makes it one. Its error is a payload without a JSON form.
func (h Happening) Event(id string, at time.Time, v tenant.Version) (tenant.Event, error) {
	evt, payload := h.event, h.payload
	evt.EventID, evt.Timestamp, evt.Epoch, evt.Revision = id, at, v.Epoch, v.Revision
	if of, ok := payload.(versioned); ok {
		payload = of(v)
	}
	if payload == nil {
		return evt, nil
	}
	var err error
	evt.Payload, err = json.Marshal(payload)
	return evt, err
}
