package activeset

import (
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// origin is how the tenants of a list came to be in the set.
type origin struct {
	cause tenant.Cause
	at    time.Time
}

// change is one by the origin.
func (o *origin) change(kind tenant.Kind, id string) tenant.Change {
	if o == nil {
		return tenant.Change{Kind: kind, TenantID: id}
	}
	return tenant.Change{Kind: kind, TenantID: id, Cause: o.cause, At: o.at}
}

// first reports whether the set began with what came by the origin.
func (o *origin) first() bool { return o.cause != tenant.CauseReconcile }
