package managerapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Admin has the calls below /v1/admin. All of them need the bearer token, even to read, and no API key. Not every
// manager has these calls: one without them answers 404, so that the error is [ErrNotFound]. [Client.Admin] makes an
// Admin; the zero Admin cannot be used.
type Admin struct{ client *Client }

// Admin returns the calls for administrators. They use c.
func (c *Client) Admin() Admin { return Admin{client: c} }

// TenantQuery selects tenants. An empty field matches every tenant.
type TenantQuery struct {
	// Search is a part of the tenant's name, slug or id.
	Search string
	// Status is the status of the tenant.
	Status string
	// Service is a service that the tenant is associated with.
	Service string
	// After is the Next of the previous page. Empty begins at the oldest tenant.
	After string
	// Limit is the largest number of tenants of a page. Zero lets the manager choose.
	Limit int
}

// TenantPage is one page of a list of tenants, oldest first.
type TenantPage struct {
	Tenants []Tenant `json:"tenants" nullable:"false"`
	// Next is the value of After for the next page. Empty on the last page.
	Next string `json:"next,omitempty" doc:"what after is for the next page; not there on the last"`
}

// AssociationInfo is one association of a tenant, without its connections.
type AssociationInfo struct {
	ServiceName   string    `json:"serviceName"`
	Status        string    `json:"status"             doc:"active, suspended or purged"`
	IsolationMode string    `json:"isolationMode"`
	CreatedAt     Timestamp `json:"createdAt,omitzero" required:"true"`
	UpdatedAt     Timestamp `json:"updatedAt,omitzero" required:"true"`
}

// KeyInfo describes an API key. Only [CreatedKey] contains the key itself.
type KeyInfo struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Service   string    `json:"service"`
	CreatedAt Timestamp `json:"createdAt,omitzero" required:"true"`
	// RevokedAt is zero while the key is valid.
	RevokedAt Timestamp `json:"revokedAt,omitzero"`
	// LastUsedAt is zero for a key that was never used. It may lag behind by a minute.
	LastUsedAt Timestamp `json:"lastUsedAt,omitzero" doc:"to the minute"`
}

// CreateKeyRequest is the body of POST /v1/admin/keys.
type CreateKeyRequest struct {
	Service string `json:"service"`
	// Name is for people.
	Name string `json:"name"`
}

// CreatedKey is a new API key. The manager cannot show the key again.
type CreatedKey struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Name    string `json:"name"`
	Key     Secret `json:"key"     doc:"shown here and never again"`
}

// LogValue shows which key it is, without the key itself.
func (k CreatedKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", k.ID), slog.String("service", k.Service), slog.String("name", k.Name))
}

// TokenInfo describes a bearer token. Only [CreatedToken] contains the token itself.
type TokenInfo struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt Timestamp `json:"createdAt,omitzero" required:"true"`
	// RevokedAt is zero while the token is valid.
	RevokedAt Timestamp `json:"revokedAt,omitzero"`
	// LastUsedAt is zero for a token that was never used. It may lag behind by a minute.
	LastUsedAt Timestamp `json:"lastUsedAt,omitzero" doc:"to the minute"`
}

// CreateTokenRequest is the body of POST /v1/admin/tokens.
type CreateTokenRequest struct {
	// Name is for people.
	Name string `json:"name"`
}

// CreatedToken is a new bearer token. The manager cannot show the token again.
type CreatedToken struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token Secret `json:"token" doc:"shown here and never again"`
}

// LogValue shows which token it is, without the token itself.
func (t CreatedToken) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", t.ID), slog.String("name", t.Name))
}

// OutboxStatus says how far the manager has published its events.
type OutboxStatus struct {
	Epoch string `json:"epoch"`
	// Newest is the newest revision, Sent the newest revision that was published.
	Newest uint64 `json:"newest" doc:"the newest revision that there is"`
	Sent   uint64 `json:"sent"   doc:"the newest revision that was published"`
	// Pending is how many events wait to be published. Quarantined is how many events the manager has given up
	// publishing.
	Pending     int `json:"pending"`
	Quarantined int `json:"quarantined"`
	// Oldest is when the oldest pending event was committed. It is zero if none is pending.
	Oldest Timestamp `json:"oldest,omitzero" doc:"when the oldest pending event was made"`
}

// EventPage is one page of a manager's events, in the order of their revisions.
type EventPage struct {
	Epoch  string         `json:"epoch"`
	Events []tenant.Event `json:"events"`
	// Next is the revision after which the next page begins. It is the one of the request when there is nothing newer.
	Next uint64 `json:"next"`
	// Raw has each of Events as it was published, byte for byte. It is set when a page is read, and is not written.
	Raw []json.RawMessage `json:"-"`
}

// UnmarshalJSON reads a page, and also keeps the events unchanged in Raw. Names are case-sensitive.
func (p *EventPage) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	var page EventPage
	for name, into := range map[string]any{"epoch": &page.Epoch, "events": &page.Raw, "next": &page.Next} {
		if err := readMember(fields, name, into); err != nil {
			return err
		}
	}
	page.Events = make([]tenant.Event, len(page.Raw))
	for i, raw := range page.Raw {
		if err := json.Unmarshal(raw, &page.Events[i]); err != nil {
			return fmt.Errorf("event %d of the page: %w", i+1, err)
		}
	}
	*p = page
	return nil
}

// readMember does not change into where the member is missing. Its error names the member.
func readMember(fields map[string]json.RawMessage, name string, into any) error {
	raw, ok := fields[name]
	if !ok {
		return nil
	}
	err := json.Unmarshal(raw, into)
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wrongType.Field = name
	}
	return err
}

// Tenants returns one page of the tenants that the query selects.
func (a Admin) Tenants(ctx context.Context, query TenantQuery) (*TenantPage, error) {
	values := url.Values{}
	for name, value := range map[string]string{
		"search": query.Search, "status": query.Status, "service": query.Service, "after": query.After,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	setLimit(values, query.Limit)
	return admin[TenantPage](ctx, a.client, adminCall{op: "list tenants", path: "tenants", query: values})
}

// Associations returns the associations of a tenant, or [ErrNotFound].
func (a Admin) Associations(ctx context.Context, tenantID string) ([]AssociationInfo, error) {
	const op = "list associations"
	if !tenant.ValidID(tenantID) {
		return nil, fmt.Errorf("%s: %w: tenant id %.80q", op, ErrInvalidArgument, tenantID)
	}
	path := "tenants/" + url.PathEscape(tenantID) + "/associations"
	list, err := admin[struct {
		Associations []AssociationInfo `json:"associations"`
	}](ctx, a.client, adminCall{op: op, path: path})
	if err != nil {
		return nil, err
	}
	return list.Associations, nil
}

// Keys returns the API keys of a service, including revoked ones. With an empty service it returns the keys of all
// services.
func (a Admin) Keys(ctx context.Context, service string) ([]KeyInfo, error) {
	values := url.Values{}
	if service != "" {
		values.Set("service", service)
	}
	list, err := admin[struct {
		Keys []KeyInfo `json:"keys"`
	}](ctx, a.client, adminCall{op: "list keys", path: "keys", query: values})
	if err != nil {
		return nil, err
	}
	return list.Keys, nil
}

// CreateKey makes an API key for a service. It returns [ErrConflict] when the service has as many valid keys as it may
// have.
func (a Admin) CreateKey(ctx context.Context, wanted CreateKeyRequest) (*CreatedKey, error) {
	const op = "create key"
	if err := checkService(wanted.Service); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return admin[CreatedKey](ctx, a.client, adminCall{op: op, method: http.MethodPost, path: "keys", in: wanted})
}

// RevokeKey revokes an API key: the manager refuses it from the next request on. It returns [ErrNotFound] for a key
// that the manager does not know.
func (a Admin) RevokeKey(ctx context.Context, id string) error {
	return a.revoke(ctx, "revoke key", "keys", id, false)
}

// Tokens returns the bearer tokens, including revoked ones.
func (a Admin) Tokens(ctx context.Context) ([]TokenInfo, error) {
	list, err := admin[struct {
		Tokens []TokenInfo `json:"tokens"`
	}](ctx, a.client, adminCall{op: "list tokens", path: "tokens"})
	if err != nil {
		return nil, err
	}
	return list.Tokens, nil
}

// CreateToken makes a bearer token.
func (a Admin) CreateToken(ctx context.Context, wanted CreateTokenRequest) (*CreatedToken, error) {
	return admin[CreatedToken](ctx, a.client, adminCall{op: "create token", method: http.MethodPost, path: "tokens", in: wanted})
}

// RevokeToken revokes a bearer token: the manager refuses it from the next request on. The errors are those of
// [Admin.RevokeKey]. For the last valid token it returns [ErrConflict]; with force it revokes that one too.
func (a Admin) RevokeToken(ctx context.Context, id string, force bool) error {
	return a.revoke(ctx, "revoke token", "tokens", id, force)
}

// Outbox says how far the manager has published its events.
func (a Admin) Outbox(ctx context.Context) (*OutboxStatus, error) {
	return admin[OutboxStatus](ctx, a.client, adminCall{op: "get outbox", path: "outbox"})
}

// Events returns the events after a revision, at most limit of them. With a limit of zero the manager chooses how many.
// It returns [ErrGone] when some of these events are no longer kept.
func (a Admin) Events(ctx context.Context, after uint64, limit int) (*EventPage, error) {
	values := url.Values{"after": {strconv.FormatUint(after, 10)}}
	setLimit(values, limit)
	return admin[EventPage](ctx, a.client, adminCall{op: "list events", path: "events", query: values})
}

func (a Admin) revoke(ctx context.Context, op, kind, id string, force bool) error {
	if strings.TrimSpace(id) == "" || id == "." || id == ".." {
		return fmt.Errorf("%s: %w: id %.80q", op, ErrInvalidArgument, id)
	}
	call := adminCall{op: op, method: http.MethodDelete, path: kind + "/" + url.PathEscape(id)}
	if force {
		call.query = url.Values{"force": {"true"}}
	}
	_, err := a.client.send(ctx, call.request(a.client), nil, nil)
	return err
}

func setLimit(values url.Values, limit int) {
	if limit > 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
}

// adminCall is a request below /v1/admin.
type adminCall struct {
	op     string
	method string // empty is GET
	path   string // escaped, below /v1/admin
	query  url.Values
	in     any
}

// request allows a page as much as the list of active tenants: a thousand rows are more than other answers have.
func (a adminCall) request(c *Client) request {
	req := request{
		op: a.op, method: cmp.Or(a.method, http.MethodGet), path: "/v1/admin/" + a.path,
		limit: c.cfg.ListLimit, withToken: true,
	}
	if len(a.query) > 0 {
		req.path += "?" + a.query.Encode()
	}
	return req
}

func admin[T any](ctx context.Context, c *Client, a adminCall) (*T, error) {
	var out T
	if _, err := c.send(ctx, a.request(c), a.in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
