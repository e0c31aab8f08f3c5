// Package lifecycle decides what a change does to a tenant and its associations, what is refused, and what is announced. The
// manager's store and the fake that others test with call it, so that they cannot differ. It is pure: no SQL, no HTTP, no
// lock, no clock, no logging.
//
// In reading order: record.go has the words, tenant.go and association.go the changes, happening.go what they announce.
package lifecycle

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/contract"
)

// ErrNotFound means that what was asked for does not exist. Where it matters what that is, the error is a [*NotFound].
var ErrNotFound = errors.New("not found")

// NotFound means that what was asked for is not there. It matches ErrNotFound.
type NotFound struct { //nolint:errname // read with its package: lifecycle.NotFound
	Of string // OfTenant and the like
}

// What may not be there.
const (
	OfTenant      = "tenant"
	OfAssociation = "association" // the tenant is there
	OfKey         = "key"
	OfToken       = "token"
	OfEvent       = "event"
)

// Error names what is not there.
func (n *NotFound) Error() string {
	if n.Of == OfAssociation {
		return "no association with this service"
	}
	return n.Of + " not found"
}

// Code is that of the API's answer, such as TENANT_NOT_FOUND.
func (n *NotFound) Code() string { return strings.ToUpper(n.Of) + "_NOT_FOUND" }

// Is has errors.Is find ErrNotFound.
func (n *NotFound) Is(target error) bool { return target == ErrNotFound }

// Conflict is a change that the state of things does not allow.
type Conflict struct { //nolint:errname // the same
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
