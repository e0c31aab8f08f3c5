package managerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// CreateAssociation lets a tenant use a service. One that is there already is [ErrConflict].
func (c *Client) CreateAssociation(ctx context.Context, tenantID, service string, association CreateAssociationRequest) (*Association, error) {
	var created Association
	a := associationCall{op: "create association", method: http.MethodPost, tenantID: tenantID, service: service}
	if err := c.onAssociation(ctx, a, association, &created); err != nil {
		return nil, err
	}
	return &created, nil
}

// SuspendAssociation keeps a tenant from using a service. If there is nothing to change it is [ErrConflict], which
// callers take as done.
func (c *Client) SuspendAssociation(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "suspend association", method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"suspend"},
	}, nil, nil)
}

// ReactivateAssociation ends a suspension of an association. If there is nothing to change it is [ErrConflict], which
// callers take as done.
func (c *Client) ReactivateAssociation(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "reactivate association", method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"reactivate"},
	}, nil, nil)
}

// DeleteAssociation ends a tenant's use of a service and keeps its data. An association that is not there is
// [ErrNotFound]; after a lost answer that is what a retry of the client finds.
func (c *Client) DeleteAssociation(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "delete association", method: http.MethodDelete, tenantID: tenantID, service: service,
	}, nil, nil)
}

// PurgeAssociation ends a tenant's use of a service and deletes its data. The errors are those of
// [Client.DeleteAssociation].
func (c *Client) PurgeAssociation(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "purge association", method: http.MethodDelete, tenantID: tenantID, service: service, query: "?purge=true",
	}, nil, nil)
}

// Connections returns how service reaches the databases and queues of a tenant. It is [ErrNotFound] when there is
// no such association, and [ErrAccessDenied] with an [Error.TenantStatus] when it is suspended or purged.
func (c *Client) Connections(ctx context.Context, tenantID, service string) (*Connections, error) {
	var found Connections
	a := associationCall{
		op: "get connections", method: http.MethodGet, tenantID: tenantID, service: service, under: []string{"connections"},
	}
	if err := c.onAssociation(ctx, a, nil, &found); err != nil {
		return nil, err
	}
	return &found, nil
}

// UpdateConnections changes how service reaches the databases and queues of a tenant.
func (c *Client) UpdateConnections(ctx context.Context, tenantID, service string, change UpdateConnectionsRequest) error {
	return c.onAssociation(ctx, associationCall{
		op: "update connections", method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"connections"},
	}, change, nil)
}

// PatchConnections changes them by a JSON object as RFC 7396 has it: objects merge, anything else replaces, and null removes,
// which [UpdateConnectionsRequest] has no way to say of a module, of secretPaths or of a limit. {"databases":{"ledger":null}}
// removes a module. What is not an object is [ErrInvalidArgument].
func (c *Client) PatchConnections(ctx context.Context, tenantID, service string, patch SecretJSON) error {
	const op = "patch connections"
	if !json.Valid(patch) || !bytes.HasPrefix(bytes.TrimLeft(patch, whiteSpace), []byte("{")) {
		return fmt.Errorf("%s: %w: the connections are not a JSON object", op, ErrInvalidArgument)
	}
	return c.onAssociation(ctx, associationCall{
		op: op, method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"connections"},
	}, patch, nil)
}

// RotateCredentials asks the manager to make new credentials for service's use of a tenant. The manager accepts at once
// and announces the new ones when they are there.
func (c *Client) RotateCredentials(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "rotate credentials", method: http.MethodPost, tenantID: tenantID, service: service,
		under: []string{"credentials", "rotate"},
	}, nil, nil)
}

// InvalidateCache asks service to forget what it keeps of a tenant: the manager accepts at once, and announces
// tenant.cache.invalidate. The reason may be empty. Only a manager of tenantwatch has this call.
func (c *Client) InvalidateCache(ctx context.Context, tenantID, service, reason string) error {
	return c.onAssociation(ctx, associationCall{
		op: "invalidate cache", method: http.MethodPost, tenantID: tenantID, service: service,
		under: []string{"cache", "invalidate"},
	}, InvalidateCacheRequest{Reason: reason}, nil)
}

// associationCall is a request about one association.
type associationCall struct {
	op, method        string
	tenantID, service string
	under             []string // what follows the association in the path
	query             string   // with the question mark
}

func (c *Client) onAssociation(ctx context.Context, a associationCall, in, out any) error {
	path, err := associationPath(a.tenantID, a.service, a.under...)
	if err != nil {
		return fmt.Errorf("%s: %w", a.op, err)
	}
	_, err = c.send(ctx, request{op: a.op, method: a.method, path: path + a.query}, in, out)
	return err
}
