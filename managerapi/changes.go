package managerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Changes is the body of the answer to GET /v1/tenants/active/changes. [Client.FetchChanges] reads it without keeping the events.
type Changes struct {
	Epoch    string `json:"epoch"    doc:"that of the request"`
	Revision uint64 `json:"revision" doc:"of the list after all events"`
	Count    int    `json:"count"    doc:"how many tenants the list has then"                                            minimum:"0"`
	Digest   string `json:"digest"   doc:"the XOR of the XXH64, with seed 0, of the canonical form of each of their ids" example:"ef46db3751d8e999" pattern:"^[0-9a-f]{16}$"`
	// Events are lifecycle events, as they are on Redis.
	Events []json.RawMessage `json:"events" doc:"the events that concern the service, in the order of revisions" nullable:"false"`
}

// FetchChanges asks for the events that lead on from a version of a service's list, and gives them to req.Each as they arrive.
//
// It fails with [tenant.ErrChangesGone] after a 410, for an answer of another epoch or with a lower revision than req.Since, and for one that is
// too large: more than [tenant.MaxChanges] events, an event of more than [tenant.MaxEventBytes], or a body over the limit. It fails with
// [tenant.ErrNoChanges] for an answer that shows that the manager does not have the call: any status but 200, 401, 403, 410, 429 and those of
// 500 and above, and a 200 with another body. Both errors contain what came. All other errors are those of [Client.FetchSnapshot], and a service or an
// epoch that is missing is [ErrInvalidArgument]. On an error the Changes are zero. Once an event was given, the request is not tried again.
func (c *Client) FetchChanges(ctx context.Context, req tenant.ChangesRequest) (tenant.Changes, error) {
	const op = "fetch changes"
	if err := checkService(req.Service); err != nil {
		return tenant.Changes{}, fmt.Errorf("%s: %w", op, err)
	}
	if req.Since.Epoch == "" {
		return tenant.Changes{}, fmt.Errorf("%s: %w: a version without an epoch", op, ErrInvalidArgument)
	}
	query := url.Values{"service": {req.Service}, "since": {req.Since.String()}}
	call := &request{op: op, method: http.MethodGet, path: "/v1/tenants/active/changes?" + query.Encode(), limit: c.cfg.ListLimit}
	var out tenant.Changes
	var unread error // why the last answer was not read
	given := false
	call.committed = func() bool { return given }
	call.accept = func(a *answer) error {
		out, unread = a.readChanges(func(event []byte) {
			given = true
			req.Each(event)
		})
		return unread
	}
	err := meaningOf(c.do(ctx, call), unread)
	if err == nil && (out.Version.Epoch != req.Since.Epoch || out.Version.Revision < req.Since.Revision) {
		err = fmt.Errorf("%s: %w: asked for what came after %s, the answer is of %s", op, tenant.ErrChangesGone, req.Since, out.Version)
	}
	if err != nil {
		return tenant.Changes{}, err
	}
	return out, nil
}

// readChanges reads the answer. Any other success than 200 has no changes.
func (a *answer) readChanges(each func(event []byte)) (tenant.Changes, error) {
	if a.status != http.StatusOK {
		return tenant.Changes{}, fmt.Errorf("%w: status %d", errNoChanges, a.status)
	}
	out, err := decodeChanges(a.body, each)
	out.Environment = environmentOf(a.header.Get(HeaderEnvironment))
	return out, err
}

// meaningOf says what err means for a reader. unread is why a successful answer was not read.
func meaningOf(err, unread error) error {
	if refusal, ok := errors.AsType[*Error](err); ok {
		switch status := refusal.StatusCode; {
		case status == http.StatusGone:
			return fmt.Errorf("%w: %w", tenant.ErrChangesGone, err)
		case status >= http.StatusInternalServerError, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
			return err
		}
		return fmt.Errorf("%w: %w", tenant.ErrNoChanges, err)
	}
	if _, tooLarge := errors.AsType[*BodyTooLargeError](err); tooLarge {
		return fmt.Errorf("%w: %w", tenant.ErrChangesGone, err)
	}
	whole, ok := errors.AsType[*DecodeError](err)
	switch {
	case !ok || whole.Err != nil:
		return err
	case errors.Is(unread, errLargeChanges):
		return fmt.Errorf("%w: %w", tenant.ErrChangesGone, err)
	case errors.Is(unread, errNoChanges):
		return fmt.Errorf("%w: %w", tenant.ErrNoChanges, err)
	}
	return err
}
