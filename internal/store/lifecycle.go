package store

import (
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// What a tenant or an association can be. A tenant is never purged.
const (
	active    = "active"
	suspended = "suspended"
	purged    = "purged"
)

// record is a tenant with its associations, oldest first. Its methods decide what a change does: they check first, change
// the record afterwards, do no I/O, and return what there is to announce.
type record struct {
	Tenant

	seq          int64
	associations []*Association
}

// happening is an event that is still without id, time and revision, and the services whose lists it changes.
type happening struct {
	kind     tenant.EventType
	payload  any                      // nil is none
	numbered func(version uint64) any // the payload, where it depends on the event's revision: see versionOf
	named    bool                     // it says the tenant's name
	lists    []string
}

// association does not find a purged one.
func (r *record) association(service string) (*Association, error) {
	if a := r.find(service); a != nil && a.Status != purged {
		return a, nil
	}
	return nil, ErrNoAssociation
}

func (r *record) find(service string) *Association {
	for _, a := range r.associations {
		if a.Service == service {
			return a
		}
	}
	return nil
}

func (r *record) update(p TenantPatch) happening {
	out := happening{kind: tenant.EventUpdated, named: true}
	if p.Name != nil && *p.Name != r.Name {
		r.Name = *p.Name
		out.lists = r.listed()
	}
	if p.Metadata != nil {
		r.Metadata = p.Metadata
	}
	return out
}

func (r *record) suspend() ([]happening, error) {
	if r.Status == suspended {
		return nil, stays("tenant", "ALREADY_SUSPENDED", suspended)
	}
	out := happening{kind: tenant.EventSuspended, lists: r.listed()}
	r.Status = suspended
	return []happening{out}, nil
}

// reactivate announces each association too, because consumers do nothing on tenant.activated alone.
func (r *record) reactivate() ([]happening, error) {
	if r.Status != suspended {
		return nil, stays("tenant", "NOT_SUSPENDED", r.Status)
	}
	r.Status = active
	out := []happening{{kind: tenant.EventActivated}}
	for _, a := range r.associations {
		if len(r.listing(a)) > 0 {
			out = append(out, reactivated(a))
		}
	}
	return out, nil
}

func (r *record) remove() happening { return happening{kind: tenant.EventDeleted, lists: r.listed()} }

// mayAssociate refuses what would announce a tenant as active while it is not.
func (r *record) mayAssociate(service string) error {
	if a := r.find(service); a != nil && a.Status != purged {
		return &Conflict{
			Code:    "ALREADY_ASSOCIATED",
			Message: "the tenant is associated with this service already, and the association is " + a.Status,
		}
	}
	return r.usable()
}

func (r *record) usable() error {
	if r.Status != active {
		return &Inactive{Status: r.Status, Of: "tenant"}
	}
	return nil
}

// associated is the event of a new association, which is in the record already.
func associated(a *Association) happening {
	return happening{
		kind: tenant.EventServiceAssociated, lists: []string{a.Service}, named: true,
		payload: a.Connections.Associated(tenant.ServiceAssociated{ServiceName: a.Service, IsolationMode: a.IsolationMode}),
	}
}

func (r *record) suspendService(a *Association) ([]happening, error) {
	if a.Status == suspended {
		return nil, stays("association", "ALREADY_SUSPENDED", suspended)
	}
	out := happening{
		kind: tenant.EventServiceSuspended, lists: r.listing(a),
		payload: tenant.ServiceSuspended{ServiceName: a.Service, PreviousStatus: a.Status},
	}
	a.Status = suspended
	return []happening{out}, nil
}

func (r *record) reactivateService(a *Association) ([]happening, error) {
	if a.Status != suspended {
		return nil, stays("association", "NOT_SUSPENDED", a.Status)
	}
	if err := r.usable(); err != nil {
		return nil, err
	}
	a.Status = active
	return []happening{reactivated(a)}, nil
}

// disassociate leaves the removal of the row to its caller. A purged one stays, so that one can see what became of it.
func (r *record) disassociate(a *Association, purge bool) happening {
	lists := r.listing(a)
	if purge {
		a.Status, a.Connections = purged, contract.Connections{}
		return happening{
			kind: tenant.EventServicePurged, lists: lists, payload: tenant.ServicePurged{ServiceName: a.Service},
		}
	}
	return happening{
		kind: tenant.EventServiceDisassociated, lists: lists,
		payload: tenant.ServiceDisassociated{ServiceName: a.Service, PreserveData: true},
	}
}

// rotate changes no list. The path is where whoever makes the credentials puts them.
func (r *record) rotate(a *Association) ([]happening, error) {
	const credential = "postgresql"
	a.Rotations++
	return []happening{{kind: tenant.EventCredentialsRotated, numbered: func(version uint64) any {
		return tenant.CredentialsRotated{
			ServiceName: a.Service, CredentialType: credential,
			NewSecretPath: contract.SecretPath(r.ID, a.Service, credential, version),
		}
	}}}, nil
}

// reconnect changes no list either. What changed of the limits comes first, because handles that are built again after the
// last event shall have them.
func (r *record) reconnect(a *Association, p contract.Patch) ([]happening, error) {
	after, err := a.Connections.Merge(p)
	if err != nil {
		return nil, err
	}
	announcement := contract.Announce(a.Connections, after)
	a.Connections = after
	var out []happening
	for _, updated := range announcement.Limits {
		updated.ServiceName = a.Service
		out = append(out, happening{kind: tenant.EventConnectionsUpdated, payload: updated})
	}
	if announcement.Rebuild {
		out = append(out, invalidated(a, contract.ReasonConnections))
	}
	return out, nil
}

func invalidated(a *Association, reason string) happening {
	return happening{kind: tenant.EventCacheInvalidate, payload: tenant.CacheInvalidate{ServiceName: a.Service, Reason: reason}}
}

// services are those that the tenant is or was a tenant of, as far as it is known: an event that names no service is for them.
func (r *record) services() []string {
	out := []string{}
	for _, a := range r.associations {
		out = append(out, a.Service)
	}
	return out
}

// listed are the services in whose lists the tenant is.
func (r *record) listed() []string {
	var out []string
	for _, a := range r.associations {
		out = append(out, r.listing(a)...)
	}
	return out
}

// listing is the service of a, if the tenant is in its list.
func (r *record) listing(a *Association) []string {
	if r.Status != active || a.Status != active {
		return nil
	}
	return []string{a.Service}
}

func reactivated(a *Association) happening {
	return happening{
		kind: tenant.EventServiceReactivated, lists: []string{a.Service}, named: true,
		payload: a.Connections.Reactivated(tenant.ServiceReactivated{ServiceName: a.Service, PreviousStatus: suspended}),
	}
}

// stays refuses a transition to the status that is there already.
func stays(of, code, status string) error {
	why := "it is suspended already"
	if status != suspended {
		why = "it is not suspended"
	}
	return &Conflict{Code: code, Message: "the " + of + " cannot go from " + status + " to " + status + ": " + why}
}
