package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// maxPage is the most that a page of a list has, and defaultPage what it has when nobody says.
	maxPage     = 1000
	defaultPage = 100
	// maxLabel is the longest name of a key or a token, in bytes.
	maxLabel = 200
)

type tenantsInput struct {
	Search  string `query:"search"  doc:"a part of a name, a slug or an id"`
	Status  string `query:"status"  doc:"active or suspended"`
	Service string `query:"service" doc:"a service that the tenant is associated with"`
	After   string `query:"after"   doc:"the next of the page before"`
	Limit   string `query:"limit"   doc:"1 to 1000; 100 if it is not there"`
}

type tenantPage struct {
	Tenants []tenantView `json:"tenants"        nullable:"false"`
	Next    string       `json:"next,omitempty" doc:"what after is for the next page; not there on the last"`
}

type associationView struct {
	ServiceName   string    `json:"serviceName"`
	Status        string    `json:"status"        doc:"active, suspended or purged"`
	IsolationMode string    `json:"isolationMode"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
}

type associationList struct {
	Associations []associationView `json:"associations" nullable:"false"`
}

type keysInput struct {
	Service string `query:"service" doc:"only the keys of this service"`
}

// keyView is a key or, without a service, a token. The secret is never in it.
type keyView struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Service    string     `json:"service,omitempty"`
	CreatedAt  time.Time  `json:"createdAt"`
	RevokedAt  *time.Time `json:"revokedAt,omitempty"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty" doc:"to the minute"`
}

type keyList struct {
	Keys []keyView `json:"keys" nullable:"false"`
}

type tokenList struct {
	Tokens []keyView `json:"tokens" nullable:"false"`
}

type keyRequest struct {
	Service string `json:"service"`
	Name    string `json:"name"`
}

type tokenRequest struct {
	Name string `json:"name"`
}

type createdKey struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Name    string `json:"name"`
	Key     string `json:"key"     doc:"shown here and never again"`
}

type createdToken struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token string `json:"token" doc:"shown here and never again"`
}

type outboxView struct {
	Epoch       string     `json:"epoch"`
	Newest      uint64     `json:"newest"           doc:"the newest revision that there is"`
	Sent        uint64     `json:"sent"             doc:"the newest revision that was published"`
	Pending     int        `json:"pending"`
	Quarantined int        `json:"quarantined"`
	Oldest      *time.Time `json:"oldest,omitempty" doc:"when the oldest pending event was made"`
}

type adminEventsInput struct {
	After string `query:"after" doc:"a revision; 0 if it is not there"`
	Limit string `query:"limit" doc:"1 to 1000; 100 if it is not there"`
}

type eventPage struct {
	Epoch  string            `json:"epoch"`
	Events []json.RawMessage `json:"events" nullable:"false"`
	Next   uint64            `json:"next"   doc:"what after is for the next page"`
}

type idInput struct {
	ID string `path:"id"`
}

type revokeTokenInput struct {
	ID    string `path:"id"`
	Force string `query:"force" doc:"true: even when it is the last token that holds"`
}

func (s *Server) registerAdmin(a *api) {
	get := func(path, id, summary string) call {
		return call{method: "GET", path: adminPath + path, id: id, summary: summary, status: http.StatusOK, tag: "admin"}
	}
	post := func(path, id, summary string) call {
		return call{method: "POST", path: adminPath + path, id: id, summary: summary, status: http.StatusCreated, tag: "admin"}
	}
	remove := func(path, id, summary string) call {
		return call{method: "DELETE", path: adminPath + path, id: id, summary: summary, status: http.StatusNoContent, tag: "admin"}
	}
	read(a, get("tenants", "list-tenants", "List and search tenants"), s.listTenants)
	read(a, get("tenants/{id}/associations", "list-associations", "List the associations of a tenant"), s.listAssociations)
	read(a, get("keys", "list-keys", "List the keys of services"), s.listKeys)
	writeBody(a, post("keys", "create-key", "Make a key for a service"), s.createKey)
	write(a, remove("keys/{id}", "revoke-key", "Revoke a key"), s.revokeKey)
	read(a, get("tokens", "list-tokens", "List the tokens of administrators"), s.listTokens)
	writeBody(a, post("tokens", "create-token", "Make a token"), s.createToken)
	write(a, remove("tokens/{id}", "revoke-token", "Revoke a token"), s.revokeToken)
	read(a, get("outbox", "get-outbox", "See how far the publishing of events is"), s.outbox)
	read(a, get("outbox/quarantined", "list-quarantined-events", "List the events that were given up"), s.listQuarantined)
	again := call{method: "POST", path: adminPath + "outbox/quarantined/{revision}/retry", id: "retry-event", status: http.StatusNoContent, tag: "admin"}
	again.summary = "Try again to publish an event that was given up"
	write(a, again, s.retryEvent)
	read(a, get("events", "list-events", "List events by revision"), s.listEvents)
}

func (s *Server) listTenants(ctx context.Context, in *tenantsInput) (*reply[tenantPage], error) {
	limit, err := pageSize(in.Limit)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{in.Search, in.Status, in.Service, in.After} {
		if !tenant.ValidName(text) {
			return nil, refuse(http.StatusBadRequest, "INVALID_QUERY", "a query parameter is too long or has a control character")
		}
	}
	if known := []string{"", tenant.StatusActive, tenant.StatusSuspended}; !slices.Contains(known, in.Status) {
		return nil, refuse(http.StatusBadRequest, "INVALID_STATUS", "status has to be active or suspended")
	}
	page, err := s.store.Tenants(ctx, store.TenantFilter{
		Search: in.Search, Status: in.Status, Service: in.Service, After: in.After, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	out := tenantPage{Tenants: make([]tenantView, 0, len(page.Tenants)), Next: page.Next}
	for _, t := range page.Tenants {
		out.Tenants = append(out.Tenants, tenantView(t))
	}
	return &reply[tenantPage]{Status: http.StatusOK, Body: out}, nil
}

func (s *Server) listAssociations(ctx context.Context, in *tenantInput) (*reply[associationList], error) {
	if err := checkTenantID(in.ID); err != nil {
		return nil, err
	}
	associations, err := s.store.Associations(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := associationList{Associations: make([]associationView, 0, len(associations))}
	for _, a := range associations {
		out.Associations = append(out.Associations, associationView{
			ServiceName: a.Service, Status: a.Status, IsolationMode: a.IsolationMode,
			CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
		})
	}
	return &reply[associationList]{Status: http.StatusOK, Body: out}, nil
}

func (s *Server) listKeys(ctx context.Context, in *keysInput) (*reply[keyList], error) {
	if !tenant.ValidName(in.Service) {
		return nil, refuse(http.StatusBadRequest, "INVALID_SERVICE", "the query parameter service cannot be a service's name")
	}
	keys, err := s.store.Keys(ctx, in.Service)
	return &reply[keyList]{Status: http.StatusOK, Body: keyList{viewKeys(keys)}}, err
}

func (s *Server) createKey(ctx context.Context, _ *nothing, req keyRequest) (*reply[createdKey], error) {
	if err := contract.CheckAskedService(req.Service); err != nil {
		return nil, err
	}
	if err := checkLabel(req.Name); err != nil {
		return nil, err
	}
	key, secret, err := s.store.CreateKey(ctx, req.Service, req.Name)
	return &reply[createdKey]{
		Status: http.StatusCreated, Body: createdKey{ID: key.ID, Service: key.Service, Name: key.Name, Key: secret},
	}, err
}

func (s *Server) revokeKey(ctx context.Context, in *idInput) (*nothing, error) {
	return nil, s.store.RevokeKey(ctx, in.ID)
}

func (s *Server) listTokens(ctx context.Context, _ *nothing) (*reply[tokenList], error) {
	tokens, err := s.store.Tokens(ctx)
	return &reply[tokenList]{Status: http.StatusOK, Body: tokenList{viewKeys(tokens)}}, err
}

func (s *Server) createToken(ctx context.Context, _ *nothing, req tokenRequest) (*reply[createdToken], error) {
	if err := checkLabel(req.Name); err != nil {
		return nil, err
	}
	token, secret, err := s.store.CreateToken(ctx, req.Name)
	return &reply[createdToken]{
		Status: http.StatusCreated, Body: createdToken{ID: token.ID, Name: token.Name, Token: secret},
	}, err
}

func (s *Server) revokeToken(ctx context.Context, in *revokeTokenInput) (*nothing, error) {
	force, err := isForced(in.Force)
	if err != nil {
		return nil, err
	}
	return nil, s.store.RevokeToken(ctx, in.ID, force)
}

func (s *Server) outbox(ctx context.Context, _ *nothing) (*reply[outboxView], error) {
	status, err := s.store.Outbox(ctx)
	return &reply[outboxView]{Status: http.StatusOK, Body: outboxView{
		Epoch: status.Epoch, Newest: status.Newest, Sent: status.Sent, Pending: status.Pending,
		Quarantined: status.Quarantined, Oldest: moment(status.Oldest),
	}}, err
}

func (s *Server) listEvents(ctx context.Context, in *adminEventsInput) (*reply[eventPage], error) {
	limit, err := pageSize(in.Limit)
	if err != nil {
		return nil, err
	}
	after, err := revisionOf("after", in.After)
	if err != nil {
		return nil, err
	}
	events, epoch, err := s.store.EventsAfter(ctx, tenant.Version{Revision: after}, limit)
	if err != nil {
		return nil, err
	}
	out := eventPage{Epoch: epoch, Events: make([]json.RawMessage, 0, len(events)), Next: after}
	for _, e := range events {
		out.Events = append(out.Events, e.Data)
		out.Next = e.Revision
	}
	return &reply[eventPage]{Status: http.StatusOK, Body: out}, nil
}

func viewKeys(keys []store.Key) []keyView {
	out := make([]keyView, 0, len(keys))
	for _, k := range keys {
		out = append(out, keyView{
			ID: k.ID, Name: k.Name, Service: k.Service, CreatedAt: k.CreatedAt.UTC(),
			RevokedAt: moment(k.RevokedAt), LastUsedAt: moment(k.LastUsed),
		})
	}
	return out
}

// moment is nil for the zero time.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

func checkLabel(name string) error {
	if len(name) > maxLabel || !tenant.ValidName(name) {
		return refuse(http.StatusBadRequest, "INVALID_NAME", "the name is too long or has a control character")
	}
	return nil
}

// revisionOf takes no text as 0.
func revisionOf(name, text string) (uint64, error) {
	revision, err := strconv.ParseUint(text, 10, 64)
	if text != "" && err != nil {
		return 0, refuse(http.StatusBadRequest, "INVALID_REVISION", name+" is no revision")
	}
	return revision, nil
}

func pageSize(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, refuse(http.StatusBadRequest, "INVALID_LIMIT", "limit has to be a number from 1 to "+strconv.Itoa(maxPage))
	}
	return n, nil
}
