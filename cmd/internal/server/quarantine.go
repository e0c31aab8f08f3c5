package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

type retryInput struct {
	Revision string `path:"revision"`
	Force    string `query:"force"   doc:"true: even when later news of its tenant was sent already"`
}

func (s *Server) listQuarantined(ctx context.Context, in *adminEventsInput) (*reply[managerapi.QuarantinePage], error) {
	limit, err := pageSize(in.Limit)
	if err != nil {
		return nil, err
	}
	after, err := revisionOf("after", in.After)
	if err != nil {
		return nil, err
	}
	events, err := s.store.Quarantined(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	out := managerapi.QuarantinePage{Events: make([]managerapi.QuarantinedEvent, 0, len(events)), Next: after}
	for _, q := range events {
		view := managerapi.QuarantinedEvent{Revision: q.Revision, Failure: q.Failure, Attempts: q.Attempts, QuarantinedAt: managerapi.Timestamp{Time: q.Since}}
		if utf8.Valid(q.Data) && json.Valid(q.Data) {
			view.Event = q.Data
		} else {
			view.Raw = q.Data
		}
		out.Events = append(out.Events, view)
		out.Next = q.Revision
	}
	return &reply[managerapi.QuarantinePage]{Status: http.StatusOK, Body: out}, nil
}

func (s *Server) retryEvent(ctx context.Context, in *retryInput) (*nothing, error) {
	revision, err := revisionOf("what is to be retried", in.Revision)
	if err != nil {
		return nil, err
	}
	force, err := isForced(in.Force)
	if err != nil {
		return nil, err
	}
	err = s.store.Retry(ctx, revision, force)
	if errors.Is(err, store.ErrNotFound) {
		err = refuse(http.StatusNotFound, "EVENT_NOT_FOUND", "no such event was given up")
	}
	return nil, err
}

// isForced takes no text as false.
func isForced(text string) (bool, error) {
	if text != "" && text != "true" && text != "false" {
		return false, refuse(http.StatusBadRequest, "INVALID_QUERY", "force is true or false")
	}
	return text == "true", nil
}
