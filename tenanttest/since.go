package tenanttest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const changesRequest = "GET /v1/tenants/active/changes"

// errGone is the refusal to say what has changed.
var errGone = &managerapi.Error{
	Request: changesRequest, StatusCode: http.StatusGone, Code: "EVENTS_GONE",
	Message: "these events are no longer kept, or are of another epoch: read the list again",
}

// changes is what one request for changes is answered with: the first of gone, dropped and failure that is set, else events.
type changes struct {
	gone    bool
	dropped bool
	failure *failure
	events  []json.RawMessage
	to      tenant.Changes
	cut     bool // only the first half arrives
}

// readChanges makes the answer to one request for changes, under the faults that are set. Its error is that of ctx.
func (m *Manager) readChanges(ctx context.Context, service string, since tenant.Version) (changes, error) {
	if m.refusesChanges(since) {
		return changes{gone: true}, nil
	}
	p := m.takePlan()
	if err := p.hold.stop(ctx, true); err != nil {
		return changes{}, err
	}
	answer := m.composeChanges(service, since, p)
	if err := p.hold.stop(ctx, false); err != nil {
		return changes{}, err
	}
	return answer, sleep(ctx, p.delay)
}

// refusesChanges is asked before faults are used up, so that those for lists are left for the list that is read instead.
func (m *Manager) refusesChanges(since tenant.Version) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.faults
	upTo := m.revision
	if f.stale.left != 0 {
		upTo = min(upTo, f.stale.value)
	}
	return f.answer.left != 0 || f.keep.left != 0 || f.empty.left != 0 || !m.reaches(since, upTo)
}

// reaches reports whether all events from a version to a revision are kept. The lock is held.
func (m *Manager) reaches(since tenant.Version, upTo uint64) bool {
	pruned := m.revision - uint64(len(m.kept()))
	return since.Epoch == m.epoch && pruned <= since.Revision && since.Revision <= upTo
}

func (m *Manager) composeChanges(service string, since tenant.Version, p plan) changes {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows, to := m.rowsBack(service, p.stale)
	out := changes{dropped: p.drop, failure: p.failure, cut: p.cut, to: tenant.Changes{Version: to, Count: len(rows), Environment: m.environment}}
	if p.answer != nil || p.keep != nil || p.empty || !m.reaches(since, to.Revision) {
		return changes{gone: true}
	}
	for _, row := range rows {
		out.to.Digest ^= tenant.IDDigest(row.ID)
	}
	if p.environment != nil {
		out.to.Environment = *p.environment
	}
	for _, entry := range m.kept() {
		if since.Revision < entry.revision && entry.revision <= to.Revision && entry.concerns(service) {
			out.events = append(out.events, encode(entry.event))
		}
	}
	if len(out.events) > tenant.MaxChanges {
		return changes{gone: true}
	}
	return out
}

// concerns reports whether the event is for the service: for the one that it names, else for all that have its tenant.
func (e logEntry) concerns(service string) bool {
	if e.event.EventType.PerService() {
		named, err := e.event.ServiceName()
		return err == nil && named == service
	}
	return slices.Contains(e.services, service)
}

// serveChanges answers GET /v1/tenants/active/changes. The request is counted whether it is authorized or not.
func (m *Manager) serveChanges(w http.ResponseWriter, r *http.Request) {
	m.noteRequest(r.Header)
	if !m.authorize(w, r, false) {
		return
	}
	query := r.URL.Query()
	since, err := parseSince(query.Get("since"))
	if err := cmp.Or(checkListed(query.Get("service")), err); err != nil {
		writeError(w, err)
		return
	}
	answer, err := m.readChanges(r.Context(), query.Get("service"), since)
	switch {
	case err != nil || answer.dropped: // an error is the client's going away
		panic(http.ErrAbortHandler)
	case answer.gone:
		writeError(w, errGone)
	case answer.failure != nil:
		writeFailure(w, answer.failure)
	default:
		m.writeChanges(w, r, answer)
	}
}

// parseSince wants an epoch and a revision.
func parseSince(text string) (tenant.Version, error) {
	if text == "" {
		return tenant.Version{}, refuse(http.StatusBadRequest, "SINCE_REQUIRED", "the query parameter since is missing")
	}
	at := max(strings.LastIndexByte(text, ':'), 0)
	epoch, number := text[:at], strings.TrimPrefix(text[at:], ":")
	revision, err := strconv.ParseUint(number, 10, 64)
	if epoch == "" || err != nil {
		return tenant.Version{}, refuse(http.StatusBadRequest, "INVALID_SINCE", "the query parameter since is not an epoch, a colon and a revision")
	}
	return tenant.Version{Epoch: epoch, Revision: revision}, nil
}

func (m *Manager) writeChanges(w http.ResponseWriter, r *http.Request, c changes) {
	body := []byte(encode(managerapi.Changes{
		Epoch: c.to.Version.Epoch, Revision: c.to.Version.Revision, Count: c.to.Count, Digest: fmt.Sprintf("%016x", c.to.Digest),
		Events: append([]json.RawMessage{}, c.events...),
	}))
	if c.to.Environment != "" {
		w.Header().Set(managerapi.HeaderEnvironment, c.to.Environment)
	}
	w.Header().Set("Vary", "Accept-Encoding")
	writeBody(w, body, acceptsGzip(r.Header), c.cut)
}

// FetchChanges asks for what has changed since a version of service's list. It gives every event to req.Each, and its
// errors are those of [managerapi.Client.FetchChanges]: [tenant.ErrChangesGone] and [tenant.ErrNoChanges] among them.
func (f *Fetcher) FetchChanges(ctx context.Context, req tenant.ChangesRequest) (tenant.Changes, error) {
	m := f.manager
	if m.hasChanges() {
		m.noteRequest(nil)
	}
	if fail := m.takeFailure(); fail != nil {
		return tenant.Changes{}, meaningOf(fail.err(changesRequest))
	}
	if !m.hasChanges() {
		return tenant.Changes{}, meaningOf(noSuchCall(changesRequest, http.StatusNotFound))
	}
	answer, err := m.readChanges(ctx, req.Service, req.Since)
	switch {
	case err != nil:
		return tenant.Changes{}, fmt.Errorf("%s: %w", changesRequest, err)
	case answer.dropped:
		return tenant.Changes{}, fmt.Errorf("%s: %w: %w", changesRequest, managerapi.ErrUnavailable, io.EOF)
	case answer.gone:
		return tenant.Changes{}, meaningOf(errGone)
	case answer.failure != nil:
		return tenant.Changes{}, meaningOf(answer.failure.err(changesRequest))
	case answer.cut:
		answer.give(len(answer.events)/2, req.Each)
		return tenant.Changes{}, cutShort(changesRequest)
	}
	answer.give(len(answer.events), req.Each)
	return answer.to, nil
}

func (c changes) give(n int, each func([]byte)) {
	for _, event := range c.events[:n] {
		each(event)
	}
}

func (m *Manager) hasChanges() bool { return m.versions && m.changes }

// meaningOf says what an error status means for a reader of changes.
func meaningOf(err *managerapi.Error) error {
	switch status := err.StatusCode; {
	case status == http.StatusGone:
		return fmt.Errorf("%w: %w", tenant.ErrChangesGone, err)
	case status >= http.StatusInternalServerError, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		return err
	}
	return fmt.Errorf("%w: %w", tenant.ErrNoChanges, err)
}
