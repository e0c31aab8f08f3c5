package lifecycle

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// MaxMetadata is how many bytes the keys and values of a tenant may have together. A page has a thousand tenants, and is in
// memory as a whole.
const MaxMetadata = 16 << 10

// Check refuses, with an *[Invalid], a tenant that cannot be, and returns it complete. The environment is the manager's;
// an empty one takes tenants of any.
func (n NewTenant) Check(environment string) (NewTenant, error) {
	if err := cmp.Or(checkMetadata(n.Metadata), checkName(n.Name)); err != nil {
		return n, err
	}
	n.Environment = cmp.Or(n.Environment, environment)
	name, err := tenant.ParseEnvironment(n.Environment)
	if err == nil {
		n.Environment = name
	}
	switch {
	case environment != "" && n.Environment != environment:
		return n, &Invalid{Code: "WRONG_ENVIRONMENT", Message: "this manager's environment is " + environment}
	case environment == "" && err != nil:
		return n, &Invalid{Code: "WRONG_ENVIRONMENT", Message: err.Error()}
	}
	return n, contract.CheckText("isolation", "INVALID_ISOLATION", n.Isolation, contract.MaxWord)
}

// Check refuses, with an *[Invalid], what no tenant can be changed to.
func (p TenantPatch) Check() error {
	if err := checkMetadata(p.Metadata); err != nil || p.Name == nil {
		return err
	}
	return checkName(*p.Name)
}

func checkName(name string) error {
	invalid := func(message string) error { return &Invalid{Code: "INVALID_NAME", Message: message} }
	switch {
	case strings.TrimSpace(name) == "":
		return invalid("name is blank")
	case len(name) > contract.MaxName:
		return invalid(fmt.Sprintf("name has %d bytes, the most is %d", len(name), contract.MaxName))
	case !contract.IsText(name):
		return invalid("name is not a text")
	}
	return nil
}

func checkMetadata(metadata map[string]string) error {
	size := 0
	for key, value := range metadata {
		size += len(key) + len(value)
	}
	if size > MaxMetadata {
		return &Invalid{Code: "INVALID_METADATA", Message: "metadata has more than 16 KiB"}
	}
	return nil
}

// Place finds the same tenant, where it is there already, else a slug that is free for it. find returns ErrNotFound where
// nobody has a slug. One that another tenant has is a *[Conflict] SLUG_TAKEN, and one that cannot be new an *[Invalid].
func (n NewTenant) Place(find func(slug string) (*Record, error)) (same *Record, slug string, err error) {
	slug, before, invalid := n.slugs()
	if before != slug {
		there, err := find(before)
		if err == nil && there.is(n) {
			return there, "", nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, "", err
		}
	}
	if invalid != nil {
		return nil, "", invalid
	}
	there, err := find(slug)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, slug, nil
	case err != nil:
		return nil, "", err
	case !there.is(n):
		return nil, "", SlugTaken(slug)
	}
	return there, "", nil
}

// SlugTaken is the refusal of a slug that a tenant has already.
func SlugTaken(slug string) error {
	return &Conflict{Code: "SLUG_TAKEN", Message: "slug " + slug + " belongs to another tenant"}
}

// slugs returns the slug that a tenant gets, and the one that it got before there were rules for slugs: the same tenant once
// more may be one of then. Where it can only be one of then, err says why it cannot be a new one.
func (n NewTenant) slugs() (slug, before string, err error) {
	if n.Slug == "" {
		return contract.NewSlug(n.Name), contract.OldSlug(n.Name), nil
	}
	slug, err = contract.Slug(n.Slug)
	return slug, n.Slug, err
}

// Slugs are those that Place looks for.
func (n NewTenant) Slugs() []string {
	slug, before, _ := n.slugs()
	if before == slug {
		return []string{slug}
	}
	return []string{slug, before}
}

// is reports whether r is already what n asks for.
func (r *Record) is(n NewTenant) bool {
	return r.Name == n.Name && r.Environment == n.Environment && r.Isolation == n.Isolation && r.Owner.Email == n.Owner.Email
}

// New makes a tenant of what was checked, with the slug that it gets.
func New(id string, n NewTenant, now time.Time) (Record, []Happening) {
	r := Record{Tenant: Tenant{
		ID: id, Name: n.Name, Slug: n.Slug, Status: tenant.StatusActive, Environment: n.Environment, Isolation: n.Isolation,
		Metadata: maps.Clone(n.Metadata), Owner: n.Owner, CreatedAt: now, UpdatedAt: now,
	}}
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	return r, []Happening{r.happening(tenant.EventCreated, nil)}
}

// Update takes a patch that was checked.
func (r *Record) Update(p TenantPatch) []Happening {
	var lists []string
	if p.Name != nil && *p.Name != r.Name {
		r.Name = *p.Name
		lists = r.Listed()
	}
	if p.Metadata != nil {
		r.Metadata = maps.Clone(p.Metadata)
	}
	return []Happening{r.happening(tenant.EventUpdated, nil, lists...)}
}

// Suspend takes the tenant out of all lists.
func (r *Record) Suspend() ([]Happening, error) {
	if r.Status == tenant.StatusSuspended {
		return nil, stays("tenant", "ALREADY_SUSPENDED", tenant.StatusSuspended)
	}
	suspended := r.happening(tenant.EventSuspended, nil, r.Listed()...).joins(-1)
	r.Status = tenant.StatusSuspended
	return []Happening{suspended}, nil
}

// Reactivate announces each association too, because consumers do nothing on tenant.activated alone.
func (r *Record) Reactivate() ([]Happening, error) {
	if r.Status != tenant.StatusSuspended {
		return nil, stays("tenant", "NOT_SUSPENDED", r.Status)
	}
	r.Status = tenant.StatusActive
	out := []Happening{r.happening(tenant.EventActivated, nil)}
	for _, a := range r.Associations {
		if a.Status == tenant.StatusActive {
			out = append(out, r.reactivated(a))
		}
	}
	return out, nil
}

// Remove announces the end of the tenant and of its associations.
func (r *Record) Remove() []Happening {
	return []Happening{r.happening(tenant.EventDeleted, nil, r.Listed()...).joins(-1)}
}
