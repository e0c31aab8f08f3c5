package worker

import "github.com/tenantwatch/tenantwatch/internal/usererror"

// TenantError says for which tenant work failed. [errors.Is] and [errors.As] look at Err as well.
type TenantError struct {
	TenantID string
	// Err is what the work returned, or a *[PanicError], with the stack, when it panicked, called runtime.Goexit or returned
	// an error whose methods panic.
	Err error
}

// Error names the tenant and the failure.
func (e *TenantError) Error() string {
	if e.Err == nil {
		return "tenant " + e.TenantID
	}
	return "tenant " + e.TenantID + ": " + usererror.Text(e.Err)
}

// Unwrap returns Err.
func (e *TenantError) Unwrap() error { return e.Err }
