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
	"github.com/tenantwatch/tenantwatch/managerapi"
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

type associationList struct {
	Associations []managerapi.AssociationInfo `json:"associations" nullable:"false"`
}

type keysInput struct {
	Service string `query:"service" doc:"only the keys of this service"`
}

type keyList struct {
	Keys []managerapi.KeyInfo `json:"keys" nullable:"false"`
}

type tokenList struct {
	Tokens []managerapi.TokenInfo `json:"tokens" nullable:"false"`
}

type adminEventsInput struct {
	After string `query:"after" doc:"a revision; 0 if it is not there"`
	Limit string `query:"limit" doc:"1 to 1000; 100 if it is not there"`
}

// eventPage is not the client's: an event goes out as it was published, to the byte, and the client decodes it.
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

func describeAdminEvents(a *api, c call) {
	a.described(c).Responses["410"] = refers(http.StatusGone)
}

func (s *Server) listTenants(ctx context.Context, in *tenantsInput) (*reply[managerapi.TenantPage], error) {
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
	out := managerapi.TenantPage{Tenants: make([]managerapi.Tenant, 0, len(page.Tenants)), Next: page.Next}
	for _, t := range page.Tenants {
		out.Tenants = append(out.Tenants, viewTenant(t))
	}
	return &reply[managerapi.TenantPage]{Status: http.StatusOK, Body: out}, nil
}

func (s *Server) listAssociations(ctx context.Context, in *tenantInput) (*reply[associationList], error) {
	if err := checkTenantID(in.ID); err != nil {
		return nil, err
	}
	associations, err := s.store.Associations(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := associationList{Associations: make([]managerapi.AssociationInfo, 0, len(associations))}
	for _, a := range associations {
		out.Associations = append(out.Associations, managerapi.AssociationInfo{
			ServiceName: a.Service, Status: a.Status, IsolationMode: a.IsolationMode,
			CreatedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt),
		})
	}
	return &reply[associationList]{Status: http.StatusOK, Body: out}, nil
}

func (s *Server) listKeys(ctx context.Context, in *keysInput) (*reply[keyList], error) {
	if !tenant.ValidName(in.Service) {
		return nil, refuse(http.StatusBadRequest, "INVALID_SERVICE", "the query parameter service cannot be a service's name")
	}
	keys, err := s.store.Keys(ctx, in.Service)
	out := keyList{make([]managerapi.KeyInfo, 0, len(keys))}
	for _, k := range keys {
		out.Keys = append(out.Keys, managerapi.KeyInfo{
			ID: k.ID, Name: k.Name, Service: k.Service, CreatedAt: stamp(k.CreatedAt), RevokedAt: stamp(k.RevokedAt), LastUsedAt: stamp(k.LastUsed),
		})
	}
	return &reply[keyList]{Status: http.StatusOK, Body: out}, err
}

func (s *Server) createKey(ctx context.Context, _ *nothing, req managerapi.CreateKeyRequest) (*reply[managerapi.CreatedKey], error) {
	if err := contract.CheckAskedService(req.Service); err != nil {
		return nil, err
	}
	if err := checkLabel(req.Name); err != nil {
		return nil, err
	}
	key, secret, err := s.store.CreateKey(ctx, req.Service, req.Name)
	return &reply[managerapi.CreatedKey]{
		Status: http.StatusCreated, Body: managerapi.CreatedKey{ID: key.ID, Service: key.Service, Name: key.Name, Key: managerapi.Secret(secret)},
	}, err
}

func (s *Server) revokeKey(ctx context.Context, in *idInput) (*nothing, error) {
	return nil, s.store.RevokeKey(ctx, in.ID)
}

func (s *Server) listTokens(ctx context.Context, _ *nothing) (*reply[tokenList], error) {
	tokens, err := s.store.Tokens(ctx)
	out := tokenList{make([]managerapi.TokenInfo, 0, len(tokens))}
	for _, t := range tokens {
		out.Tokens = append(out.Tokens, managerapi.TokenInfo{
			ID: t.ID, Name: t.Name, CreatedAt: stamp(t.CreatedAt), RevokedAt: stamp(t.RevokedAt), LastUsedAt: stamp(t.LastUsed),
		})
	}
	return &reply[tokenList]{Status: http.StatusOK, Body: out}, err
}

func (s *Server) createToken(ctx context.Context, _ *nothing, req managerapi.CreateTokenRequest) (*reply[managerapi.CreatedToken], error) {
	if err := checkLabel(req.Name); err != nil {
		return nil, err
	}
	token, secret, err := s.store.CreateToken(ctx, req.Name)
	return &reply[managerapi.CreatedToken]{
		Status: http.StatusCreated, Body: managerapi.CreatedToken{ID: token.ID, Name: token.Name, Token: managerapi.Secret(secret)},
	}, err
}

func (s *Server) revokeToken(ctx context.Context, in *revokeTokenInput) (*nothing, error) {
	force, err := isForced(in.Force)
	if err != nil {
		return nil, err
	}
	return nil, s.store.RevokeToken(ctx, in.ID, force)
}

func (s *Server) outbox(ctx context.Context, _ *nothing) (*reply[managerapi.OutboxStatus], error) {
	status, err := s.store.Outbox(ctx)
	return &reply[managerapi.OutboxStatus]{Status: http.StatusOK, Body: managerapi.OutboxStatus{
		Epoch: status.Epoch, Newest: status.Newest, Sent: status.Sent, Pending: status.Pending,
		Quarantined: status.Quarantined, Oldest: stamp(status.Oldest),
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

// stamp keeps the zero time, which is not written.
func stamp(at time.Time) managerapi.Timestamp { return managerapi.Timestamp{Time: at.UTC()} }

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
		return 0, refuse(http.StatusBadRequest, "INVALID_REVISION", name+" is not a revision")
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
