package managerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// CreateAssociation lets a tenant use a service. It returns [ErrConflict] when the association exists already.
func (c *Client) CreateAssociation(ctx context.Context, tenantID, service string, association CreateAssociationRequest) (*Association, error) {
	var created Association
	a := associationCall{op: "create association", method: http.MethodPost, tenantID: tenantID, service: service}
	if err := c.onAssociation(ctx, a, association, &created); err != nil {
		return nil, err
	}
	return &created, nil
}

// SuspendAssociation stops a tenant from using a service. It returns [ErrConflict] when there is nothing to change;
// treat that as success.
func (c *Client) SuspendAssociation(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "suspend association", method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"suspend"},
	}, nil, nil)
}

// ReactivateAssociation ends the suspension of an association. It returns [ErrConflict] when there is nothing to
// change; treat that as success.
func (c *Client) ReactivateAssociation(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "reactivate association", method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"reactivate"},
	}, nil, nil)
}

// DeleteAssociation ends a tenant's use of a service and keeps its data. It returns [ErrNotFound] when there is no such
// association. It also does so when the client retries after the answer to a successful attempt was lost.
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

// Connections returns how service reaches the databases and queues of a tenant. It returns [ErrNotFound] when there is
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

// PatchConnections changes the connections by a JSON object, as RFC 7396 says: objects merge, anything else replaces,
// and null removes. It can remove a module, secret paths or a limit, which [UpdateConnectionsRequest] cannot:
// {"databases":{"ledger":null}} removes a module. It returns [ErrInvalidArgument] when patch is not an object.
func (c *Client) PatchConnections(ctx context.Context, tenantID, service string, patch SecretJSON) error {
	const op = "patch connections"
	if !json.Valid(patch) || !bytes.HasPrefix(bytes.TrimLeft(patch, whiteSpace), []byte("{")) {
		return fmt.Errorf("%s: %w: the connections are not a JSON object", op, ErrInvalidArgument)
	}
	return c.onAssociation(ctx, associationCall{
		op: op, method: http.MethodPut, tenantID: tenantID, service: service, under: []string{"connections"},
	}, patch, nil)
}

// RotateCredentials asks the manager for new credentials with which service reaches a tenant. The manager accepts the
// request at once, and announces the new credentials when they exist.
func (c *Client) RotateCredentials(ctx context.Context, tenantID, service string) error {
	return c.onAssociation(ctx, associationCall{
		op: "rotate credentials", method: http.MethodPost, tenantID: tenantID, service: service,
		under: []string{"credentials", "rotate"},
	}, nil, nil)
}

// InvalidateCache asks service to forget what it has cached of a tenant. The manager accepts the request at once, and
// announces tenant.cache.invalidate. The reason may be empty. Only the manager of tenantwatch has this call.
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
