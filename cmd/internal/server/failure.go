package server

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

const (
	jsonType = "application/json"
	// statusClientGone is for the log and the metrics; nobody reads the answer. It keeps clients that hang up from looking
	// like failures.
	statusClientGone = 499
	// retryAfter is how long a client shall wait, in seconds, when the database does not answer.
	retryAfter = 1
)

// apiError is every answer of 400 and above: the fields of the protocol, and those of application/problem+json beside
// them, which managerapi's ErrorBody has not because no client acts on them. The number that problem+json calls status is left out, because in the protocol that is the tenant's.
type apiError struct {
	status int
	header http.Header

	Code    string `json:"code"  doc:"what happened, for programs" example:"TENANT_NOT_FOUND"`
	Message string `json:"error" doc:"what happened, for people"`
	// TenantStatus is set in a 403 that is about the state of a tenant or an association.
	TenantStatus string `json:"status,omitempty" doc:"the tenant's state, in a 403 because of it" example:"suspended"`
	// Services is for a caller that has only a token.
	Services []string `json:"services,omitempty" doc:"names of services that there are, at most 100, in a 404 ASSOCIATION_NOT_FOUND for a token" nullable:"false"`
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Detail   string   `json:"detail"`
}

func refuse(status int, code, message string) *apiError {
	return &apiError{
		status: status, header: http.Header{}, Code: code, Message: message,
		Type: "about:blank", Title: http.StatusText(status), Detail: message,
	}
}

// with adds a header to the answer.
func (e *apiError) with(name, value string) *apiError {
	e.header.Set(name, value)
	return e
}

// Error is the text for people.
func (e *apiError) Error() string { return e.Message }

// GetStatus is what huma asks for.
func (e *apiError) GetStatus() int { return e.status }

// GetHeaders is what huma asks for.
func (e *apiError) GetHeaders() http.Header { return e.header }

// noTenant is also for what is hidden from the caller.
func noTenant() error { return &store.NotFound{Of: store.OfTenant} }

func denied(inactive *store.Inactive) *apiError {
	err := refuse(http.StatusForbidden, "TENANT_ACCESS_DENIED", inactive.Error())
	err.TenantStatus = inactive.Status
	return err
}

// explain makes of any error the answer to it. What is not a decision of ours and of no use to the client becomes a 500 that
// tells nothing; its text is for the log.
func explain(err error) *apiError {
	var (
		ours     *apiError
		conflict *store.Conflict
		invalid  *store.Invalid
		inactive *store.Inactive
		missing  *store.NotFound
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &conflict):
		return refuse(http.StatusConflict, conflict.Code, conflict.Message)
	case errors.As(err, &invalid):
		return refuse(http.StatusBadRequest, invalid.Code, invalid.Message)
	case errors.As(err, &inactive):
		return denied(inactive)
	case errors.As(err, &missing):
		return refuse(http.StatusNotFound, missing.Code(), missing.Error())
	case errors.Is(err, store.ErrGone):
		return refuse(http.StatusGone, "EVENTS_GONE", "these events are no longer kept, or are of another epoch: read the list again")
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "UNAVAILABLE", "the database does not answer").
			with("Retry-After", strconv.Itoa(retryAfter))
	case errors.Is(err, context.Canceled):
		return refuse(statusClientGone, "CLIENT_GONE", "the client went away")
	default:
		return refuse(http.StatusInternalServerError, "INTERNAL", "the manager failed; its log says more")
	}
}

// writeError is for answers that do not go through huma.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	answer := explain(err)
	noteOf(r.Context()).failed(answer, err)
	maps.Copy(w.Header(), answer.header)
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(answer.status)
	_ = writeJSON(w, answer)
}

// writeJSON leaves it to net/http to notice a client that is gone. Its error is a value without a JSON form.
func writeJSON(w interface{ Write(p []byte) (int, error) }, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, _ = w.Write(data) // the client is gone if this fails
	return nil
}

// inOurWords turns an error that huma made into one of ours.
func inOurWords(_ huma.Context, _ string, value any) (any, error) {
	made, ok := value.(*huma.ErrorModel)
	if !ok {
		return value, nil
	}
	code := strings.ToUpper(strings.ReplaceAll(http.StatusText(made.Status), " ", "_"))
	return refuse(made.Status, code, made.Detail), nil
}
