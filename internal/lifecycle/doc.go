// Package lifecycle decides what a change does to a tenant and its associations, what is refused, and what is announced. The
// manager's store and the fake that others test with call it, so that they cannot differ. It is pure: no SQL, no HTTP, no
// lock, no clock, no logging.
//
// In reading order: record.go has the words, tenant.go and association.go the changes, happening.go what they announce.
package lifecycle

import (
	"errors"
	"fmt"

	"github.com/tenantwatch/tenantwatch/internal/contract"
)

var (
	// ErrNotFound means that there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrNoAssociation means that the tenant is there and has no association with the service. It is an ErrNotFound.
	ErrNoAssociation = fmt.Errorf("no association with this service: %w", ErrNotFound)
)

// Conflict is a change that the state of things does not allow.
type Conflict struct { //nolint:errname // read with its package: lifecycle.Conflict
	Code    string // for programs, such as ALREADY_SUSPENDED or SLUG_TAKEN
	Message string // for people; names both states where it is about a transition
}

// Error says what it is about.
func (c *Conflict) Error() string { return c.Message }

// Invalid is a request that can never succeed. Its Code is one such as INVALID_NAME or WRONG_ENVIRONMENT.
type Invalid = contract.Invalid //nolint:errname // the same

// Inactive is a refusal of what only an active tenant, or an active association, allows.
type Inactive struct { //nolint:errname // the same
	Status string
	Of     string // "tenant" or "association": which of the two has the status
}

// Error names the status.
func (i *Inactive) Error() string { return fmt.Sprintf("the %s is %s", i.Of, i.Status) }
