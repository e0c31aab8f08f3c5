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
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/managerapi"
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
	if m.hasChanges() {
		mux.HandleFunc(changesRequest, m.serveChanges)
	}
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
		if _, pattern := m.mux.Handler(r); pattern == listRequest || pattern == changesRequest {
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
		if !m.authorize(w, r, writes) {
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		status, body, err := serve(r)
		switch {
		case refused(err):
			writeError(w, err, m.servicesFor(r, err)...)
		case body == nil:
			w.WriteHeader(status)
		default:
			writeJSON(w, status, body)
		}
	}
}

// authorize wants a key or a token, the token where something is written, and all that is there has to be right. It compares
// digests, so that neither what a secret is nor how long it is can be measured. Whom it refuses it has answered.
func (m *Manager) authorize(w http.ResponseWriter, r *http.Request, writes bool) bool {
	token := bearer(r)
	nothing := !hasKey(r) && token == "" && !writes
	if nothing || hasKey(r) && !equal(r.Header.Get(managerapi.HeaderAPIKey), m.APIKey()) {
		return unauthorized(w, "ApiKey", managerapi.HeaderAPIKey+" is missing or wrong")
	}
	if (writes || token != "") && !equal(token, m.Token()) {
		return unauthorized(w, "Bearer", "the bearer token is missing or wrong")
	}
	return true
}

func unauthorized(w http.ResponseWriter, scheme, message string) bool {
	w.Header().Set("WWW-Authenticate", scheme)
	writeError(w, refuse(http.StatusUnauthorized, "UNAUTHORIZED", message))
	return false
}

func bearer(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

func hasKey(r *http.Request) bool { return r.Header.Get(managerapi.HeaderAPIKey) != "" }

// servicesFor are those that there are, for a token alone that asked for another.
func (m *Manager) servicesFor(r *http.Request, err error) []string {
	if refusal, ok := errors.AsType[*managerapi.Error](err); !ok || refusal.Code != codeNoAssociation || hasKey(r) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	services := m.world.services()
	return services[:min(len(services), managerapi.MaxServices)]
}

func equal(got, want string) bool {
	gotSum, wantSum := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(gotSum[:], wantSum[:]) == 1
}

// serveUnknown keeps the status that the mux would have given, and gives it the body that errors have.
func (m *Manager) serveUnknown(w http.ResponseWriter, r *http.Request) {
	if !m.authorize(w, r, false) {
		return
	}
	handler, _ := m.mux.Handler(r)
	answer := statusOnly{header: w.Header()}
	handler.ServeHTTP(&answer, r)
	writeError(w, noSuchCall("", answer.status))
}

func noSuchCall(request string, status int) *managerapi.Error {
	code := strings.ToUpper(strings.ReplaceAll(http.StatusText(status), " ", "_"))
	return &managerapi.Error{Request: request, StatusCode: status, Code: code, Message: "there is no such call"}
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
	if err := readJSON(r, &req, false); err != nil {
		return 0, nil, err
	}
	created, err := m.Create(lasting(r), req)
	if created.Created {
		return http.StatusCreated, created, err
	}
	return http.StatusOK, created, err
}

func (m *Manager) serveGet(r *http.Request) (int, any, error) {
	view, services, err := m.get(r.PathValue("id"))
	if err == nil && services == 0 && bearer(r) == "" {
		err = refusal("get tenant", errNoTenant) // one that no service has is for tokens
	}
	return http.StatusOK, view, err
}

func (m *Manager) serveUpdate(r *http.Request) (int, any, error) {
	var req managerapi.UpdateTenantRequest
	if err := readJSON(r, &req, false); err != nil {
		return 0, nil, err
	}
	view, err := m.Update(lasting(r), r.PathValue("id"), req)
	return http.StatusOK, view, err
}

func (m *Manager) serveAssociate(r *http.Request) (int, any, error) {
	var asked lifecycle.NewAssociation
	if err := readJSON(r, &asked, false); err != nil {
		return 0, nil, err
	}
	association, err := m.associate(lasting(r), r.PathValue("id"), r.PathValue("service"), asked)
	return http.StatusCreated, association, err
}

func (m *Manager) serveDisassociate(r *http.Request) (int, any, error) {
	purge := r.URL.Query().Get("purge")
	if purge != "" && purge != "true" && purge != "false" {
		return 0, nil, refuse(http.StatusBadRequest, "INVALID_PURGE", "purge is true or false")
	}
	return http.StatusNoContent, nil, m.Disassociate(lasting(r), r.PathValue("id"), r.PathValue("service"), purge == "true")
}

func (m *Manager) serveConnections(r *http.Request) (int, any, error) {
	connections, err := m.connections(r.PathValue("id"), r.PathValue("service"))
	if missing, ok := errors.AsType[*managerapi.Error](err); ok && missing.Code == codeNoAssociation && hasKey(r) {
		err = refusal(missing.Request, errNoTenant) // a key is not told that others have the tenant
	}
	return http.StatusOK, connections, err
}

func (m *Manager) serveUpdateConnections(r *http.Request) (int, any, error) {
	var body json.RawMessage
	if err := readJSON(r, &body, false); err != nil {
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
	if err := readJSON(r, &req, true); err != nil {
		return 0, nil, err
	}
	id, service := r.PathValue("id"), r.PathValue("service")
	accepted := managerapi.Association{ServiceName: service, Status: "invalidating"}
	return http.StatusAccepted, accepted, m.InvalidateCache(lasting(r), id, service, req.Reason)
}

// lasting is the ctx of a change: it is made, so its events are published even if the client goes away.
func lasting(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

// readJSON reads a body, which may be empty where it may be none.
func readJSON(r *http.Request, into any, mayBeNone bool) error {
	if wrong := contract.NotJSON(r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding")); wrong != "" {
		return refuse(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", wrong)
	}
	data, err := io.ReadAll(r.Body)
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return refuse(http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", "the body is larger than 1 MiB")
	case err != nil:
		return refuse(http.StatusBadRequest, "INVALID_BODY", "the body broke off")
	case mayBeNone && len(data) == 0:
		return nil
	}
	return refusal("", contract.Decode(data, into))
}

// problem is the body of an error: the fields of the protocol, and those of application/problem+json beside them.
type problem struct {
	managerapi.ErrorBody

	Services []string `json:"services,omitempty"`
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Detail   string   `json:"detail"`
}

// writeError answers with the refusal in err; whatever else it is, is a 500.
func writeError(w http.ResponseWriter, err error, services ...string) {
	refusal, ok := errors.AsType[*managerapi.Error](err)
	if !ok {
		refusal = refuse(http.StatusInternalServerError, "INTERNAL", err.Error())
	}
	writeJSON(w, refusal.StatusCode, problem{
		ErrorBody: managerapi.ErrorBody{Code: refusal.Code, Error: refusal.Message, Status: refusal.TenantStatus},
		Services:  services, Type: "about:blank", Title: http.StatusText(refusal.StatusCode), Detail: refusal.Message,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(encode(body)) // the client is gone if this fails
}

// encode is for values that are known to have a JSON form.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("tenanttest: " + err.Error())
	}
	return data
}

func refuse(status int, code, message string) *managerapi.Error {
	return &managerapi.Error{StatusCode: status, Code: code, Message: message}
}
