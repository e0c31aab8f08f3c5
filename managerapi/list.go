package managerapi

import (
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
// manager's order. The slice is never nil on success. Rows are not looked at: a null in the list is a nil pointer, a name
// that is not a string is empty, and a row whose id or status has another type is a Summary without fields, which nobody can
// use. The names of fields are exact.
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
		return a.decodeList(func(row *tenant.Summary) {
			if row != nil {
				kept := *row
				row = &kept
			}
			rows = append(rows, row)
		})
	}
	if err := c.do(ctx, req); err != nil {
		return nil, err
	}
	return rows, nil
}

// FetchSnapshot reads the same list as [Client.GetActiveTenantsByService], row by row as it arrives, and the version
// that it belongs to. each is called for every row, on the caller's goroutine, before FetchSnapshot returns; a null in
// the list and a row whose id or status is not a string are a Summary without fields. On an error what each was given counts
// for nothing. Once a row was given the request is not tried again.
//
// With have.ETag the request is conditional, and is made again without it when it is answered with 400, 412 or 431. If the list is still the same, notModified is true, each is not called, and
// v is the current version. What the manager then leaves out of v is taken from have.
//
// v is zero for a manager that sends no versions. It has an epoch and a revision, or neither. Its environment is compared with
// nothing here: that is for the caller.
func (c *Client) FetchSnapshot(ctx context.Context, service string, have tenant.Version, each func(tenant.Summary)) (v tenant.Version, notModified bool, err error) {
	req, err := c.listRequest("fetch snapshot", service)
	if err != nil {
		return tenant.Version{}, false, err
	}
	if validHeaderValue(have.ETag) {
		req.ifNoneMatch = have.ETag
	}
	given := false
	req.committed = func() bool { return given }
	req.accept = func(a *answer) error {
		v, notModified = versionOf(a.header), a.status == http.StatusNotModified
		if notModified {
			v = completed(v, have)
			return nil
		}
		return a.decodeList(func(row *tenant.Summary) {
			given = true
			if row == nil {
				row = &tenant.Summary{}
			}
			each(*row)
		})
	}
	err = c.do(ctx, req)
	if req.ifNoneMatch != "" && refusesCondition(err) {
		req.ifNoneMatch = ""
		err = c.do(ctx, req)
	}
	if err != nil {
		return tenant.Version{}, false, err
	}
	return v, notModified, nil
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
func (a *answer) decodeList(each func(row *tenant.Summary)) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("status %d is no list", a.status)
	}
	return decodeRows(a.body, each)
}

// versionOf reads the version headers. A revision that is missing or no number makes the epoch useless: zero would
// claim that the list is older than every event.
func versionOf(header http.Header) tenant.Version {
	v := tenant.Version{ETag: header.Get("ETag"), Environment: environmentOf(header.Get(HeaderEnvironment))}
	epoch := header.Get(HeaderEpoch)
	revision, err := strconv.ParseUint(header.Get(HeaderRevision), 10, 64)
	if epoch != "" && err == nil {
		v.Epoch, v.Revision = epoch, revision
	}
	return v
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
func completed(v, have tenant.Version) tenant.Version {
	if v.ETag == "" {
		v.ETag = have.ETag
	}
	if v.Epoch == "" {
		v.Epoch, v.Revision = have.Epoch, have.Revision
	}
	if v.Environment == "" {
		v.Environment = have.Environment
	}
	return v
}
