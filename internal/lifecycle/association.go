package lifecycle

import (
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// UnmarshalJSON reads the body of a request to associate. What breaks a rule of the contract is an *[Invalid].
func (n *NewAssociation) UnmarshalJSON(data []byte) error {
	known, err := contract.ParseNew(data)
	if err != nil {
		return err
	}
	type plain NewAssociation
	*n = NewAssociation{Connections: known}
	return tenant.Unmarshal(data, (*plain)(n))
}

// Association is what n asks for, as far as it does not depend on the tenant. What cannot be is an *[Invalid].
func (n NewAssociation) Association(service string) (*Association, error) {
	if err := contract.CheckKnownService(service); err != nil {
		return nil, err
	}
	if err := contract.CheckText("isolationMode", "INVALID_ISOLATION", n.IsolationMode, contract.MaxWord); err != nil {
		return nil, err
	}
	connections, err := contract.NewConnections(contract.LimitsOf(n.MaxOpenConns, n.MaxIdleConns)).Merge(n.Connections)
	if err != nil {
		return nil, err
	}
	return &Association{Service: service, Status: tenant.StatusActive, IsolationMode: n.IsolationMode, Connections: connections}, nil
}

// Associate puts a new association in the place of one that was purged. It refuses what would announce a tenant as active
// while it is not. Whether the name of the service may be new is the caller's to check: one that is in use may stay.
func (r *Record) Associate(a *Association, now time.Time) ([]Happening, error) {
	if there, err := r.Association(a.Service); err == nil {
		return nil, &Conflict{
			Code:    "ALREADY_ASSOCIATED",
			Message: "the tenant is associated with this service already, and the association is " + there.Status,
		}
	}
	if err := r.usable(); err != nil {
		return nil, err
	}
	payload := a.Connections.Associated(tenant.ServiceAssociated{ServiceName: a.Service, IsolationMode: a.IsolationMode})
	associated := r.happening(tenant.EventServiceAssociated, payload, a.Service).joins(1)
	r.drop(a.Service)
	a.TenantID, a.CreatedAt, a.UpdatedAt = r.ID, now, now
	r.Associations = append(r.Associations, a)
	return []Happening{associated}, nil
}

// SuspendService takes the tenant out of the list of one service.
func (r *Record) SuspendService(a *Association) ([]Happening, error) {
	if a.Status == tenant.StatusSuspended {
		return nil, stays("association", "ALREADY_SUSPENDED", tenant.StatusSuspended)
	}
	payload := tenant.ServiceSuspended{ServiceName: a.Service, PreviousStatus: a.Status}
	suspended := r.happening(tenant.EventServiceSuspended, payload, r.listing(a)...).joins(-1)
	a.Status = tenant.StatusSuspended
	return []Happening{suspended}, nil
}

// ReactivateService refuses to announce as active what is not while the tenant is suspended.
func (r *Record) ReactivateService(a *Association) ([]Happening, error) {
	if a.Status != tenant.StatusSuspended {
		return nil, stays("association", "NOT_SUSPENDED", a.Status)
	}
	if err := r.usable(); err != nil {
		return nil, err
	}
	a.Status = tenant.StatusActive
	return []Happening{r.reactivated(a)}, nil
}

func (r *Record) reactivated(a *Association) Happening {
	payload := a.Connections.Reactivated(tenant.ServiceReactivated{ServiceName: a.Service, PreviousStatus: tenant.StatusSuspended})
	return r.happening(tenant.EventServiceReactivated, payload, a.Service).joins(1)
}

// Disassociate removes a. A purged one stays, without its connections, so that one can see what became of it.
func (r *Record) Disassociate(a *Association, purge bool) []Happening {
	lists := r.listing(a)
	if purge {
		a.Status, a.Connections = tenant.StatusPurged, contract.Connections{}
		return []Happening{r.happening(tenant.EventServicePurged, tenant.ServicePurged{ServiceName: a.Service}, lists...).joins(-1)}
	}
	gone := tenant.ServiceDisassociated{ServiceName: a.Service, PreserveData: true}
	out := []Happening{r.happening(tenant.EventServiceDisassociated, gone, lists...).joins(-1)}
	r.drop(a.Service)
	return out
}

// Rotate changes no list. The path is where whoever makes the credentials puts them.
func (r *Record) Rotate(a *Association) ([]Happening, error) {
	const credential = "postgresql"
	a.Rotations++
	id, service := r.ID, a.Service
	return []Happening{r.happening(tenant.EventCredentialsRotated, versioned(func(v tenant.Version) any {
		return tenant.CredentialsRotated{
			ServiceName: service, CredentialType: credential, NewSecretPath: contract.SecretPath(id, service, credential, v),
		}
	}))}, nil
}

// Reconnect changes no list either. What changed of the limits comes first, because handles that are built again after the
// last event shall have them.
func (r *Record) Reconnect(a *Association, p contract.Patch) ([]Happening, error) {
	after, err := a.Connections.Merge(p)
	if err != nil {
		return nil, err
	}
	announcement := contract.Announce(a.Connections, after)
	a.Connections = after
	var out []Happening
	for _, updated := range announcement.Limits {
		updated.ServiceName = a.Service
		out = append(out, r.happening(tenant.EventConnectionsUpdated, updated))
	}
	if announcement.Rebuild {
		out = append(out, r.invalidated(a, contract.ReasonConnections))
	}
	return out, nil
}

// Invalidate asks the service to forget what it keeps of the tenant. The reason may be empty.
func (r *Record) Invalidate(a *Association, reason string) []Happening {
	return []Happening{r.invalidated(a, reason)}
}

func (r *Record) invalidated(a *Association, reason string) Happening {
	return r.happening(tenant.EventCacheInvalidate, tenant.CacheInvalidate{ServiceName: a.Service, Reason: reason})
}

// CheckReason refuses, with an *[Invalid], what cannot be the reason of Invalidate.
func CheckReason(reason string) error {
	return contract.CheckText("reason", "INVALID_REASON", reason, contract.MaxName)
}

// View is what the service is shown.
func (t Tenant) View(a Association) contract.ConnectionsView {
	return contract.ConnectionsView{
		ID: t.ID, TenantSlug: t.Slug, TenantName: t.Name, Service: a.Service, Status: a.Status, IsolationMode: a.IsolationMode,
		CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(), Connections: a.Connections,
	}
}
