package lifecycle

import (
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Owner is the first user of a tenant.
type Owner struct {
	Email         string `json:"email"`
	PasswordHash  string `json:"passwordHash,omitempty"`
	EmailVerified bool   `json:"emailVerified,omitempty"`
}

// NewTenant is a tenant to create. Slug and Environment may be empty: the slug is then made of the name, and the
// environment is the manager's.
type NewTenant struct {
	Name, Slug, Environment, Isolation string
	Metadata                           map[string]string
	Owner                              Owner
}

// Tenant is one tenant. Its metadata are there even when there are none, because clients range over them.
type Tenant struct {
	ID, Name, Slug, Status, Environment, Isolation string
	Metadata                                       map[string]string
	Owner                                          Owner
	CreatedAt, UpdatedAt                           time.Time
}

// TenantPatch changes what is not nil.
type TenantPatch struct {
	Name     *string
	Metadata map[string]string // nil: unchanged
}

// NewAssociation makes a tenant active for a service. Zero limits are none; Connections are what is known already.
type NewAssociation struct {
	IsolationMode string         `json:"isolationMode"`
	MaxOpenConns  int            `json:"maxOpenConns"`
	MaxIdleConns  int            `json:"maxIdleConns"`
	Connections   contract.Patch `json:"-"`
}

// Association is how one tenant is with one service. Status is active, suspended or purged.
type Association struct {
	TenantID, Service, Status, IsolationMode string
	Connections                              contract.Connections
	Rotations                                int
	CreatedAt, UpdatedAt                     time.Time
}

// Record is a tenant with its associations, oldest first. Its methods that change it check first and change it afterwards, so
// that an error leaves it as it was, and return what there is to announce. What a change needs of connections has to be
// there: those of all associations in Reactivate, those of the one in what changes one. The times of the last change are
// the caller's to set.
type Record struct {
	Tenant

	Associations []*Association
}

// Find finds a purged association too. Nil is none.
func (r *Record) Find(service string) *Association {
	for _, a := range r.Associations {
		if a.Service == service {
			return a
		}
	}
	return nil
}

// Association does not find a purged one: it returns a *[NotFound].
func (r *Record) Association(service string) (*Association, error) {
	if a := r.Find(service); a != nil && a.Status != tenant.StatusPurged {
		return a, nil
	}
	return nil, &NotFound{Of: OfAssociation}
}

// Listed are the services in whose lists the tenant is.
func (r *Record) Listed() []string {
	var out []string
	for _, a := range r.Associations {
		out = append(out, r.listing(a)...)
	}
	return out
}

// listing is the service of a, if the tenant is in its list.
func (r *Record) listing(a *Association) []string {
	if r.Status != tenant.StatusActive || a.Status != tenant.StatusActive {
		return nil
	}
	return []string{a.Service}
}

// Usable refuses, with an *[Inactive], what only an active association of an active tenant allows.
func (r *Record) Usable(a *Association) error {
	if a.Status != tenant.StatusActive {
		return &Inactive{Status: a.Status, Of: "association"}
	}
	return r.usable()
}

func (r *Record) usable() error {
	if r.Status != tenant.StatusActive {
		return &Inactive{Status: r.Status, Of: "tenant"}
	}
	return nil
}

func (r *Record) drop(service string) {
	r.Associations = slices.DeleteFunc(r.Associations, func(a *Association) bool { return a.Service == service })
}

// stays refuses a transition to the status that is there already.
func stays(of, code, status string) error {
	why := "it is suspended already"
	if status != tenant.StatusSuspended {
		why = "it is not suspended"
	}
	return &Conflict{Code: code, Message: "the " + of + " cannot go from " + status + " to " + status + ": " + why}
}
