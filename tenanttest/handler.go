package tenanttest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	jsonType     = "application/json"
	listRequest  = "GET /v1/tenants/active"
	maxBodyBytes = 1 << 20
)

// What a failure that a test asked for says of itself.
const (
	faultCode    = "FAULT"
	faultMessage = "this failure was asked for by the test"
)

// endpoint answers one call: with a status and a body, nil for none, or with an error.
type endpoint func(r *http.Request) (status int, body any, err error)

func (m *Manager) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc(listRequest, m.serveList)
	read := func(pattern string, serve endpoint) { mux.HandleFunc(pattern, m.serve(false, serve)) }
	write := func(pattern string, serve endpoint) { mux.HandleFunc(pattern, m.serve(true, serve)) }

	const tenantPath = "/v1/tenants/{id}"
	write("POST /v1/tenants", m.serveCreate)
	read("GET "+tenantPath, m.serveGet)
	write("PATCH "+tenantPath, m.serveUpdate)
	write("DELETE "+tenantPath, forTenant(m.Delete))
	write("PUT "+tenantPath+"/suspend", forTenant(m.Suspend))
	write("PUT "+tenantPath+"/reactivate", forTenant(m.Reactivate))

	const associationPath = tenantPath + "/associations/{service}"
	write("POST "+associationPath, m.serveAssociate)
	write("DELETE "+associationPath, m.serveDisassociate)
	write("PUT "+associationPath+"/suspend", forAssociation(m.SuspendService))
	write("PUT "+associationPath+"/reactivate", forAssociation(m.ReactivateService))
	read("GET "+associationPath+"/connections", m.serveConnections)
	write("PUT "+associationPath+"/connections", m.serveUpdateConnections)
	write("POST "+associationPath+"/credentials/rotate", m.serveRotate)
	write("POST "+associationPath+"/cache/invalidate", m.serveInvalidate)
	return mux
}

// ServeHTTP speaks the tenant manager's REST API.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fail := m.takeFailure(); fail != nil {
		if _, pattern := m.mux.Handler(r); pattern == listRequest {
			m.noteRequest(r.Header)
		}
		writeFailure(w, fail)
		return
	}
	if _, pattern := m.mux.Handler(r); pattern == "" {
		m.serveUnknown(w, r)
		return
	}
	m.mux.ServeHTTP(w, r)
}

// serve does what all calls but the list have in common.
func (m *Manager) serve(writes bool, serve endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := m.authorize(r, writes); err != nil {
			writeError(w, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		status, body, err := serve(r)
		switch {
		case refused(err):
			writeError(w, err)
		case body == nil:
			w.WriteHeader(status)
		default:
			writeJSON(w, status, body)
		}
	}
}

// authorize compares digests, so that neither what a secret is nor how long it is can be measured.
func (m *Manager) authorize(r *http.Request, writes bool) error {
	if !equal(r.Header.Get(managerapi.HeaderAPIKey), m.APIKey()) {
		return refuse(http.StatusUnauthorized, "UNAUTHORIZED", managerapi.HeaderAPIKey+" is missing or wrong")
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if writes && !(strings.EqualFold(scheme, "Bearer") && equal(token, m.Token())) {
		return refuse(http.StatusUnauthorized, "UNAUTHORIZED", "the bearer token is missing or wrong")
	}
	return nil
}

func equal(got, want string) bool {
	gotSum, wantSum := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(gotSum[:], wantSum[:]) == 1
}

// serveUnknown keeps the status that the mux would have given, and gives it the body that errors have.
func (m *Manager) serveUnknown(w http.ResponseWriter, r *http.Request) {
	if err := m.authorize(r, false); err != nil {
		writeError(w, err)
		return
	}
	handler, _ := m.mux.Handler(r)
	answer := statusOnly{header: w.Header()}
	handler.ServeHTTP(&answer, r)
	code := strings.ToUpper(strings.ReplaceAll(http.StatusText(answer.status), " ", "_"))
	writeError(w, refuse(answer.status, code, "there is no "+r.Method+" "+r.URL.Path))
}

// statusOnly keeps the header and the status of an answer.
type statusOnly struct {
	header http.Header
	status int
}

// Header is the header of the real answer.
func (s *statusOnly) Header() http.Header { return s.header }

// WriteHeader keeps the status.
func (s *statusOnly) WriteHeader(status int) { s.status = status }

// Write drops the text of the mux.
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }

func forTenant(change func(ctx context.Context, id string) error) endpoint {
	return func(r *http.Request) (int, any, error) {
		return http.StatusNoContent, nil, change(lasting(r), r.PathValue("id"))
	}
}

func forAssociation(change func(ctx context.Context, id, service string) error) endpoint {
	return func(r *http.Request) (int, any, error) {
		return http.StatusNoContent, nil, change(lasting(r), r.PathValue("id"), r.PathValue("service"))
	}
}

func (m *Manager) serveCreate(r *http.Request) (int, any, error) {
	var req managerapi.CreateTenantRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	created, err := m.Create(lasting(r), req)
	if created.Created {
		return http.StatusCreated, created, err
	}
	return http.StatusOK, created, err
}

func (m *Manager) serveGet(r *http.Request) (int, any, error) {
	view, err := m.Get(r.PathValue("id"))
	return http.StatusOK, view, err
}

func (m *Manager) serveUpdate(r *http.Request) (int, any, error) {
	var req managerapi.UpdateTenantRequest
	if err := readJSON(r, &req); err != nil {
		return 0, nil, err
	}
	view, err := m.Update(lasting(r), r.PathValue("id"), req)
	return http.StatusOK, view, err
}

func (m *Manager) serveAssociate(r *http.Request) (int, any, error) {
	var body json.RawMessage
	if err := readJSON(r, &body); err != nil {
		return 0, nil, err
	}
	association, err := m.postAssociation(lasting(r), r.PathValue("id"), r.PathValue("service"), body)
	return http.StatusCreated, association, err
}

func (m *Manager) serveDisassociate(r *http.Request) (int, any, error) {
	purge := r.URL.Query().Get("purge") == "true"
	return http.StatusNoContent, nil, m.Disassociate(lasting(r), r.PathValue("id"), r.PathValue("service"), purge)
}

func (m *Manager) serveConnections(r *http.Request) (int, any, error) {
	connections, err := m.Connections(r.PathValue("id"), r.PathValue("service"))
	return http.StatusOK, connections, err
}

func (m *Manager) serveUpdateConnections(r *http.Request) (int, any, error) {
	var body json.RawMessage
	if err := readJSON(r, &body); err != nil {
		return 0, nil, err
	}
	connections, err := m.putConnections(lasting(r), r.PathValue("id"), r.PathValue("service"), body)
	return http.StatusOK, connections, err
}

func (m *Manager) serveRotate(r *http.Request) (int, any, error) {
	id, service := r.PathValue("id"), r.PathValue("service")
	accepted := managerapi.Association{ServiceName: service, Status: "rotating"}
	return http.StatusAccepted, accepted, m.RotateCredentials(lasting(r), id, service)
}

func (m *Manager) serveInvalidate(r *http.Request) (int, any, error) {
	var req managerapi.InvalidateCacheRequest
	if err := readJSON(r, &req); err != nil && r.ContentLength != 0 { // the body may be left out
		return 0, nil, err
	}
	id, service := r.PathValue("id"), r.PathValue("service")
	accepted := managerapi.Association{ServiceName: service, Status: "invalidating"}
	return http.StatusAccepted, accepted, m.InvalidateCache(lasting(r), id, service, req.Reason)
}

// lasting is the ctx of a change: it is made, so its events are published even if the client goes away.
func lasting(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

// readJSON wants one JSON value and nothing behind it, and takes only the names that it knows to the letter.
func readJSON(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	var value json.RawMessage
	err := decoder.Decode(&value)
	if err == nil && contract.HasLoneSurrogate(value) {
		err = errors.New("a text in it has half of a surrogate pair")
	}
	if err == nil {
		err = tenant.Unmarshal(value, into)
	}
	if err == nil {
		if _, end := decoder.Token(); end != io.EOF {
			err = errors.Join(errors.New("something follows the JSON value"), end)
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", err.Error())
	case err != nil:
		return refuse(http.StatusBadRequest, "INVALID_BODY", err.Error())
	}
	return nil
}

// writeError answers with the refusal in err; whatever else it is, is a 500.
func writeError(w http.ResponseWriter, err error) {
	var refusal *managerapi.Error
	if !errors.As(err, &refusal) {
		refusal = refuse(http.StatusInternalServerError, "INTERNAL", err.Error())
	}
	writeJSON(w, refusal.StatusCode, managerapi.ErrorBody{
		Code: refusal.Code, Error: refusal.Message, Status: refusal.TenantStatus,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(encode(body)) // the client is gone if this fails
}
