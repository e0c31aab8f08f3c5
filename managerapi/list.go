package managerapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// GetActiveTenantsByService returns every tenant that is active and whose association with service is active, in the
// manager's order. The slice is never nil on success. Rows are not checked: a null in the list becomes a nil pointer, a
// name that is not a string becomes empty, and a row whose id or status is not a string becomes an empty Summary, which
// cannot be used. The names of fields are case-sensitive.
//
// It fails with [ErrInvalidArgument] for a blank service, with a [*DecodeError] or a [*BodyTooLargeError] for an answer
// that is not one whole JSON array of objects, and with an [*Error] for any other status than 200.
func (c *Client) GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error) {
	req, err := c.listRequest("list active tenants", service)
	if err != nil {
		return nil, err
	}
	var rows []*tenant.Summary
	req.accept = func(a *answer) error {
		rows = []*tenant.Summary{} // also what an attempt before this one left
		return a.decodeList(func(row *tenant.Row) {
			if row == nil {
				rows = append(rows, nil)
				return
			}
			kept := row.Summary()
			rows = append(rows, &kept)
		})
	}
	if err := c.do(ctx, req); err != nil {
		return nil, err
	}
	return rows, nil
}

// FetchSnapshot reads the same list as [Client.GetActiveTenantsByService], and gives the rows to req.Each as they
// arrive. It returns the version, the ETag and the environment of the list. A null in the list, and a row whose id or
// status is not a string, become a row without values. On an error the Snapshot is zero. Once a row was given, the
// request is not tried again.
//
// With an ETag in req.Have the request is conditional. If the answer to it is 400, 412 or 431, the request is made
// again without the ETag. If the list has not changed, values that the answer leaves out are taken from req.Have.
//
// The version has both an epoch and a revision, or neither. Comparing the environment with the expected one is left to
// the caller.
func (c *Client) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	call, err := c.listRequest("fetch snapshot", req.Service)
	if err != nil {
		return tenant.Snapshot{}, err
	}
	if validHeaderValue(req.Have.ETag) {
		call.ifNoneMatch = req.Have.ETag
	}
	var out tenant.Snapshot
	given := false
	call.committed = func() bool { return given }
	call.accept = func(a *answer) error {
		out = snapshotOf(a.header)
		if a.status == http.StatusNotModified {
			out = completed(out, req.Have)
			return nil
		}
		return a.decodeList(func(row *tenant.Row) {
			given = true
			if row == nil {
				row = &tenant.Row{}
			}
			req.Each(*row)
		})
	}
	err = c.do(ctx, call)
	if call.ifNoneMatch != "" && refusesCondition(err) {
		call.ifNoneMatch = ""
		err = c.do(ctx, call)
	}
	if err != nil {
		return tenant.Snapshot{}, err
	}
	return out, nil
}

// refusesCondition reports whether the answer may be about the ETag and not about the request: a proxy that takes it for a
// precondition, for too long, or for nonsense.
func refusesCondition(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && slices.Contains([]int{
		http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestHeaderFieldsTooLarge,
	}, answer.StatusCode)
}

func (c *Client) listRequest(op, service string) (*request, error) {
	if err := checkService(service); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	query := url.Values{"service": {service}}
	return &request{
		op:     op,
		method: http.MethodGet,
		path:   "/v1/tenants/active?" + query.Encode(),
		limit:  c.cfg.ListLimit,
	}, nil
}

// decodeList reads the rows of a 200. Any other success has no list.
func (a *answer) decodeList(each func(row *tenant.Row)) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("status %d is not a list", a.status)
	}
	return decodeRows(a.body, each)
}

// snapshotOf reads the headers. A revision that is missing or no number makes the epoch useless: zero would claim that the list is
// older than every event.
func snapshotOf(header http.Header) tenant.Snapshot {
	out := tenant.Snapshot{ETag: header.Get("ETag"), Environment: environmentOf(header.Get(HeaderEnvironment))}
	epoch := header.Get(HeaderEpoch)
	revision, err := strconv.ParseUint(header.Get(HeaderRevision), 10, 64)
	if epoch != "" && err == nil {
		out.Version = tenant.Version{Epoch: epoch, Revision: revision}
	}
	return out
}

// environmentOf returns the normal form of the name. One that cannot be a name stays as it is, so that whoever compares it
// sees that it is another one than theirs.
func environmentOf(value string) string {
	name, err := tenant.ParseEnvironment(value)
	if err != nil {
		return shorten(value)
	}
	return name
}

// completed fills in what a 304 did not repeat.
func completed(out, have tenant.Snapshot) tenant.Snapshot {
	out.NotModified = true
	out.ETag, out.Environment = cmp.Or(out.ETag, have.ETag), cmp.Or(out.Environment, have.Environment)
	if out.Version.Epoch == "" {
		out.Version = have.Version
	}
	return out
}
