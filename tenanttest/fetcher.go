package tenanttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Fetcher reads a manager's lists, and what changes them, without a network, so that it works in a bubble of testing/synctest. It returns what
// a client of the REST API would return in one attempt, with the same faults. It needs no key.
type Fetcher struct{ manager *Manager }

// Fetcher returns a [Fetcher] for m. It may be used from any goroutine.
func (m *Manager) Fetcher() *Fetcher { return &Fetcher{manager: m} }

// GetActiveTenantsByService returns the rows of service's list. A row that [Manager.AnswerList] made null is nil.
//
// It returns the error of ctx; a *[managerapi.Error] for an error status; a *[managerapi.DecodeError] for a body that
// is not an array or is incomplete; and an error that matches managerapi.ErrUnavailable for a dropped connection.
func (f *Fetcher) GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error) {
	answer, err := f.fetch(ctx, service)
	if err != nil {
		return nil, err
	}
	rows, err := answer.decode()
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// FetchSnapshot gives every row, unless the request has the list's ETag. A null is a row without values. The errors are those of
// [Fetcher.GetActiveTenantsByService]; rows may have been given before one.
func (f *Fetcher) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	answer, err := f.fetch(ctx, req.Service)
	if err != nil {
		return tenant.Snapshot{}, err
	}
	out := answer.with
	if req.Have.ETag != "" && req.Have.ETag == out.ETag {
		out.NotModified = true
		return out, nil
	}
	rows, err := answer.decode()
	for _, row := range rows {
		if row == nil {
			row = &tenant.Summary{}
		}
		req.Each(tenant.RowOf(*row))
	}
	if err != nil {
		return tenant.Snapshot{}, err
	}
	return out, nil
}

// fetch turns the faults that need no body into errors.
func (f *Fetcher) fetch(ctx context.Context, service string) (list, error) {
	f.manager.noteRequest(nil)
	if fail := f.manager.takeFailure(); fail != nil {
		return list{}, fail.err(listRequest)
	}
	answer, err := f.manager.read(ctx, service)
	switch {
	case err != nil:
		return list{}, fmt.Errorf("%s: %w", listRequest, err)
	case answer.dropped:
		return list{}, fmt.Errorf("%s: %w: %w", listRequest, managerapi.ErrUnavailable, io.EOF)
	case answer.failure != nil:
		return list{}, answer.failure.err(listRequest)
	case answer.answer != nil && answer.answer.status() != http.StatusOK:
		return list{}, answer.answer.err()
	}
	return answer, nil
}

// decode returns the rows that arrive, also with an error.
func (l list) decode() ([]*tenant.Summary, error) {
	if l.answer != nil {
		return l.answer.decode()
	}
	arrived := len(l.rows)
	if l.cut {
		arrived /= 2
	}
	rows := make([]*tenant.Summary, arrived)
	for i := range rows {
		rows[i] = &l.rows[i]
	}
	if l.cut {
		return rows, cutShort(listRequest)
	}
	return rows, nil
}

// cutShort is the error of an answer of which only the first half arrived.
func cutShort(request string) error {
	return &managerapi.DecodeError{
		Request: request, StatusCode: http.StatusOK, ContentType: jsonType, Reason: "the body ends early",
		Err: fmt.Errorf("%w: %w", managerapi.ErrUnavailable, io.ErrUnexpectedEOF),
	}
}

func (a *Answer) decode() ([]*tenant.Summary, error) {
	var raw []map[string]any
	err := json.Unmarshal(a.Body, &raw)
	if err == nil && raw != nil {
		rows := make([]*tenant.Summary, len(raw))
		for i, fields := range raw {
			rows[i] = readRow(fields)
		}
		return rows, nil
	}
	reason := "the body is null"
	if err != nil {
		reason = err.Error()
	}
	return nil, &managerapi.DecodeError{
		Request: listRequest, StatusCode: a.status(), ContentType: a.header().Get("Content-Type"), Reason: reason,
	}
}

// readRow reads each field for itself, as [managerapi.Client] does. Without an id or a status that can be read there is none.
func readRow(fields map[string]any) *tenant.Summary {
	if fields == nil {
		return nil
	}
	text := func(name string) (string, bool) {
		value, there := fields[name]
		s, is := value.(string)
		return s, is || !there
	}
	id, readableID := text("id")
	status, readableStatus := text("status")
	name, _ := text("name")
	if !readableID || !readableStatus {
		return &tenant.Summary{}
	}
	return &tenant.Summary{ID: id, Name: name, Status: status}
}

func (a *Answer) err() error {
	var body managerapi.ErrorBody
	_ = tenant.Unmarshal(a.Body, &body) // a body that is none says nothing
	return &managerapi.Error{
		Request: listRequest, StatusCode: a.status(), Code: body.Code, Message: body.Error, TenantStatus: body.Status,
		RetryAfter: readRetryAfter(a.Header.Get("Retry-After")),
	}
}

func (f *failure) err(request string) *managerapi.Error {
	return &managerapi.Error{
		Request: request, StatusCode: f.status, Code: faultCode, Message: faultMessage,
		RetryAfter: readRetryAfter(f.retryAfter),
	}
}

// readRetryAfter reads seconds or a date; everything else is zero.
func readRetryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), int(managerapi.MaxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), managerapi.MaxRetryAfter)
}
