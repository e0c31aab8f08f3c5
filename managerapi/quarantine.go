package managerapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// QuarantinedEvent is an event that the manager has given up publishing.
type QuarantinedEvent struct {
	Revision uint64 `json:"revision"`
	// Event is what would be published. It is JSON, and not always a [tenant.Event]. Nil when Raw is set.
	Event json.RawMessage `json:"event,omitempty"`
	// Raw is what there is instead when that is no JSON.
	Raw []byte `json:"raw,omitempty"`
	// Failure is why it was given up, and Attempts how often it was tried.
	Failure       string    `json:"failure"`
	Attempts      int       `json:"attempts"`
	QuarantinedAt Timestamp `json:"quarantinedAt"`
}

// QuarantinePage is a part of what a manager has given up, in the order of revisions.
type QuarantinePage struct {
	Events []QuarantinedEvent `json:"events"`
	// Next is the revision to ask for more after. It is that of the request when there is nothing newer.
	Next uint64 `json:"next"`
}

// Quarantined returns the events after a revision that were given up, at most limit of them, or as many as the manager likes
// with a limit of zero.
func (a Admin) Quarantined(ctx context.Context, after uint64, limit int) (*QuarantinePage, error) {
	values := url.Values{"after": {strconv.FormatUint(after, 10)}}
	setLimit(values, limit)
	return admin[QuarantinePage](ctx, a.client, adminCall{op: "list quarantined events", path: "outbox/quarantined", query: values})
}

// RetryEvent has the manager try again to publish an event that it has given up. One that was not given up is
// [ErrNotFound]. It is [ErrConflict] when later news of the same tenant was published already; with force
// it is published all the same.
func (a Admin) RetryEvent(ctx context.Context, revision uint64, force bool) error {
	call := adminCall{op: "retry event", method: http.MethodPost, path: "outbox/quarantined/" + strconv.FormatUint(revision, 10) + "/retry"}
	if force {
		call.query = url.Values{"force": {"true"}}
	}
	_, err := a.client.send(ctx, call.request(a.client), nil, nil)
	return err
}
