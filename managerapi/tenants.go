package managerapi

import (
	"context"
	"fmt"
	"net/http"
)

// CreateTenant makes a tenant. The manager knows the same tenant again: then Created is false. A slug that belongs to
// another tenant is [ErrConflict].
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

// UpdateTenant changes what change names.
func (c *Client) UpdateTenant(ctx context.Context, tenantID string, change UpdateTenantRequest) error {
	return c.onTenant(ctx, "update tenant", http.MethodPatch, tenantID, change, nil)
}

// SuspendTenant suspends a tenant. One that is suspended already is [ErrConflict], which callers take as done.
func (c *Client) SuspendTenant(ctx context.Context, tenantID string) error {
	return c.onTenant(ctx, "suspend tenant", http.MethodPut, tenantID, nil, nil, "suspend")
}

// ReactivateTenant ends a suspension. A tenant that is not suspended is [ErrConflict], which callers take as done.
func (c *Client) ReactivateTenant(ctx context.Context, tenantID string) error {
	return c.onTenant(ctx, "reactivate tenant", http.MethodPut, tenantID, nil, nil, "reactivate")
}

// DeleteTenant deletes a tenant. One that is not there is [ErrNotFound]; after a lost answer that is what a retry
// of the client finds.
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
