package managerapi

// The manager encodes and decodes these types too. Their tags doc, required and nullable are for its OpenAPI document, which
// describes that manager: what it requires of itself a client of another one may miss.

import (
	"encoding/json"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// The headers of the protocol that net/http has no name for.
const (
	// HeaderAPIKey carries the service's key on every request: X-API-Key, in the spelling of net/http.
	HeaderAPIKey = "X-Api-Key"
	// HeaderEpoch tells, on the list of active tenants, the identity of the manager's data set.
	HeaderEpoch = "Tenant-Set-Epoch"
	// HeaderRevision tells, on the list of active tenants, the revision that the list belongs to, in decimal.
	HeaderRevision = "Tenant-Set-Revision"
	// HeaderEnvironment tells, on the list of active tenants and on its 304, the environment of the list.
	HeaderEnvironment = "Tenant-Set-Environment"
)

// CreateTenantRequest is the body of POST /v1/tenants.
type CreateTenantRequest struct {
	Name string `json:"name"`
	// Slug is the short name. Empty lets the manager make one.
	Slug        string            `json:"slug,omitempty"`
	Environment string            `json:"environment"`
	Isolation   string            `json:"isolation"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Owner       Owner             `json:"owner"`
}

// Owner is the first user of a tenant.
type Owner struct {
	Email string `json:"email"`
	// PasswordHash may be empty. Then it is not sent.
	PasswordHash  Secret `json:"passwordHash,omitempty"`
	EmailVerified bool   `json:"emailVerified"`
}

// CreatedTenant is the answer to [CreateTenantRequest].
type CreatedTenant struct {
	ID     string `json:"id"`
	Slug   string `json:"slug"`
	Status string `json:"status"`
	// Created is false when the manager had the same tenant already. It comes from the status code, not from the body.
	Created bool `json:"-"`
}

// UpdateTenantRequest is the body of PATCH /v1/tenants/{id}. A field that is nil is not sent and stays as it is.
type UpdateTenantRequest struct {
	Name     *string           `json:"name,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Tenant is the answer to GET /v1/tenants/{id}. Fields that the manager does not send stay zero.
type Tenant struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Slug        string            `json:"slug"`
	Status      string            `json:"status"                doc:"active or suspended"`
	Environment string            `json:"environment,omitempty"`
	Isolation   string            `json:"isolation,omitempty"`
	Metadata    map[string]string `json:"metadata,omitzero"     required:"true"`
	CreatedAt   Timestamp         `json:"createdAt,omitzero"    required:"true"`
	UpdatedAt   Timestamp         `json:"updatedAt,omitzero"    required:"true"`
}

// CreateAssociationRequest is the body of POST /v1/tenants/{id}/associations/{service}. A connection limit of zero is
// not sent; the manager then chooses it.
type CreateAssociationRequest struct {
	IsolationMode string `json:"isolationMode"`
	MaxOpenConns  int    `json:"maxOpenConns,omitempty"`
	MaxIdleConns  int    `json:"maxIdleConns,omitempty"`
	// The fields below are those of [UpdateConnectionsRequest], for connections that are known already. Only the
	// manager of tenantwatch accepts them here.
	Databases          map[string]DatabaseConnections `json:"databases,omitempty"`
	RabbitMQ           SecretJSON                     `json:"rabbitmq,omitempty"`
	Messaging          SecretJSON                     `json:"messaging,omitempty"`
	Streaming          SecretJSON                     `json:"streaming,omitempty"`
	ConnectionSettings SecretJSON                     `json:"connectionSettings,omitempty"`
	SecretPaths        map[string]tenant.SecretPaths  `json:"secretPaths,omitempty"`
	MessagingConfig    *tenant.MessagingConfig        `json:"messagingConfig,omitempty"`
}

// Association is the answer to [CreateAssociationRequest].
type Association struct {
	ServiceName string `json:"serviceName"`
	Status      string `json:"status"`
}

// Connections tells a service how it reaches a tenant's databases and queues.
type Connections struct {
	ID            string `json:"id"`
	TenantSlug    string `json:"tenantSlug"`
	TenantName    string `json:"tenantName"`
	Service       string `json:"service"`
	Status        string `json:"status"`
	IsolationMode string `json:"isolationMode"`
	// Databases has one entry for each module of the service.
	Databases map[string]DatabaseConnections `json:"databases,omitempty"`
	// RabbitMQ has one object for each module. Messaging has one object, called rabbitmq, for all modules. Streaming
	// has one object for each module, with one called kafka in it.
	RabbitMQ           SecretJSON `json:"rabbitmq,omitempty"`
	Messaging          SecretJSON `json:"messaging,omitempty"`
	Streaming          SecretJSON `json:"streaming,omitempty"`
	ConnectionSettings SecretJSON `json:"connectionSettings,omitempty"`
	CreatedAt          Timestamp  `json:"createdAt,omitzero"`
	UpdatedAt          Timestamp  `json:"updatedAt,omitzero"`
	// Other has the fields that this package has no name for.
	Other map[string]SecretJSON `json:"-"`
}

// DatabaseConnections tells one module of a service how it reaches its databases. A field that the module does not use
// is empty.
type DatabaseConnections struct {
	PostgreSQL         SecretJSON `json:"postgresql,omitempty"`
	PostgreSQLReplica  SecretJSON `json:"postgresqlReplica,omitempty"`
	MongoDB            SecretJSON `json:"mongodb,omitempty"`
	ConnectionSettings SecretJSON `json:"connectionSettings,omitempty"`
	// Other has the fields that this package has no name for.
	Other map[string]SecretJSON `json:"-"`
}

// UpdateConnectionsRequest is the body of PUT /v1/tenants/{id}/associations/{service}/connections. An empty field is
// not sent. MaxOpenConns, MaxIdleConns and StatementTimeout are the limits of a connection pool: of one module or,
// without a Module, of all modules that have no limits of their own. The other fields are those of [Connections]. The
// manager merges them into the connections that it has (RFC 7396). A field that is SecretJSON("null") is removed; use
// [Client.PatchConnections] to remove anything else.
type UpdateConnectionsRequest struct {
	Module       string `json:"module,omitempty"`
	MaxOpenConns int    `json:"maxOpenConns,omitempty"`
	MaxIdleConns int    `json:"maxIdleConns,omitempty"`
	// StatementTimeout is a JSON string such as "30s".
	StatementTimeout   json.RawMessage                `json:"statementTimeout,omitempty"`
	Databases          map[string]DatabaseConnections `json:"databases,omitempty"`
	RabbitMQ           SecretJSON                     `json:"rabbitmq,omitempty"`
	Messaging          SecretJSON                     `json:"messaging,omitempty"`
	Streaming          SecretJSON                     `json:"streaming,omitempty"`
	ConnectionSettings SecretJSON                     `json:"connectionSettings,omitempty"`
	// SecretPaths, by module, and MessagingConfig are only for events: the manager shows them nowhere else.
	SecretPaths     map[string]tenant.SecretPaths `json:"secretPaths,omitempty"`
	MessagingConfig *tenant.MessagingConfig       `json:"messagingConfig,omitempty"`
	// Other has the fields that this package has no name for.
	Other map[string]SecretJSON `json:"-"`
}

// InvalidateCacheRequest is the body of POST /v1/tenants/{id}/associations/{service}/cache/invalidate.
type InvalidateCacheRequest struct {
	Reason string `json:"reason,omitempty"`
}

// ErrorBody is the body of an answer with a status of 400 or above. The client treats a field of another type as
// absent.
type ErrorBody struct {
	Code  string `json:"code"`
	Error string `json:"error"`
	// Status is the tenant's status, when that is the reason for a 403. In application/problem+json the field of the
	// same name is the HTTP status, a number. The client distinguishes the two by their type.
	Status string `json:"status,omitempty"`
}

// Timestamp is a date and time in the format of RFC 3339. One that cannot be read is zero, because nothing depends on
// it.
type Timestamp struct{ time.Time }

// UnmarshalJSON reads the format of RFC 3339. Everything else becomes the zero time. It never fails.
func (t *Timestamp) UnmarshalJSON(data []byte) error {
	var at time.Time
	if json.Unmarshal(data, &at) != nil {
		at = time.Time{}
	}
	t.Time = at
	return nil
}
