package managerapi

import (
	"context"
	"fmt"
	"net/http"
)

// CreateTenant makes a tenant. If the manager has the same tenant already, the answer is that tenant, and its Created
// is false. CreateTenant returns [ErrConflict] when the slug belongs to another tenant.
func (c *Client) CreateTenant(ctx context.Context, wanted CreateTenantRequest) (*CreatedTenant, error) {
	var created CreatedTenant
	status, err := c.send(ctx, request{
		op:      "create tenant",
		method:  http.MethodPost,
		path:    "/v1/tenants",
		private: scrubber{string(wanted.Owner.PasswordHash)},
	}, wanted, &created)
	if err != nil {
		return nil, err
	}
	created.Created = status == http.StatusCreated
	return &created, nil
}

// Tenant returns a tenant with its metadata, or [ErrNotFound].
func (c *Client) Tenant(ctx context.Context, tenantID string) (*Tenant, error) {
	var found Tenant
	if err := c.onTenant(ctx, "get tenant", http.MethodGet, tenantID, nil, &found); err != nil {
		return nil, err
	}
	return &found, nil
}

// UpdateTenant changes the fields that are set in change.
func (c *Client) UpdateTenant(ctx context.Context, tenantID string, change UpdateTenantRequest) error {
	return c.onTenant(ctx, "update tenant", http.MethodPatch, tenantID, change, nil)
}

// SuspendTenant suspends a tenant. It returns [ErrConflict] when the tenant is suspended already; treat that as
// success.
func (c *Client) SuspendTenant(ctx context.Context, tenantID string) error {
	return c.onTenant(ctx, "suspend tenant", http.MethodPut, tenantID, nil, nil, "suspend")
}

// ReactivateTenant ends the suspension of a tenant. It returns [ErrConflict] when the tenant is not suspended; treat
// that as success.
func (c *Client) ReactivateTenant(ctx context.Context, tenantID string) error {
	return c.onTenant(ctx, "reactivate tenant", http.MethodPut, tenantID, nil, nil, "reactivate")
}

// DeleteTenant deletes a tenant. It returns [ErrNotFound] when there is no such tenant. It also does so when the client
// retries after the answer to a successful attempt was lost.
func (c *Client) DeleteTenant(ctx context.Context, tenantID string) error {
	return c.onTenant(ctx, "delete tenant", http.MethodDelete, tenantID, nil, nil)
}

func (c *Client) onTenant(ctx context.Context, op, method, tenantID string, in, out any, parts ...string) error {
	path, err := tenantPath(tenantID, parts...)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	_, err = c.send(ctx, request{op: op, method: method, path: path}, in, out)
	return err
}
