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
	// Event is the event as it would be published. It is JSON, but not always a [tenant.Event]. Nil when Raw is set.
	Event json.RawMessage `json:"event,omitempty" doc:"as it would be published"`
	// Raw has the bytes of the event if they are not JSON.
	Raw []byte `json:"raw,omitempty" doc:"in its place, where it is not JSON: its bytes in base64"`
	// Failure says why the event was given up, and Attempts how often it was tried.
	Failure       string    `json:"failure"`
	Attempts      int       `json:"attempts"`
	QuarantinedAt Timestamp `json:"quarantinedAt"`
}

// QuarantinePage is one page of the events that a manager has given up publishing, in the order of their revisions.
type QuarantinePage struct {
	Events []QuarantinedEvent `json:"events" nullable:"false"`
	// Next is the revision after which the next page begins. It is the one of the request when there is nothing newer.
	Next uint64 `json:"next" doc:"what after is for the next page"`
}

// Quarantined returns the events after a revision that the manager has given up publishing, at most limit of them. With
// a limit of zero the manager chooses how many.
func (a Admin) Quarantined(ctx context.Context, after uint64, limit int) (*QuarantinePage, error) {
	values := url.Values{"after": {strconv.FormatUint(after, 10)}}
	setLimit(values, limit)
	return admin[QuarantinePage](ctx, a.client, adminCall{op: "list quarantined events", path: "outbox/quarantined", query: values})
}

// RetryEvent makes the manager try again to publish an event that it has given up. It returns [ErrNotFound] when the
// event was not given up, and [ErrConflict] when a later event of the same tenant was published already, or may have
// been. With force the event is published even then.
func (a Admin) RetryEvent(ctx context.Context, revision uint64, force bool) error {
	call := adminCall{op: "retry event", method: http.MethodPost, path: "outbox/quarantined/" + strconv.FormatUint(revision, 10) + "/retry"}
	if force {
		call.query = url.Values{"force": {"true"}}
	}
	_, err := a.client.send(ctx, call.request(a.client), nil, nil)
	return err
}
