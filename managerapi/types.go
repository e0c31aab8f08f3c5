package managerapi

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
	// PasswordHash may be empty, then it is not sent.
	PasswordHash  Secret `json:"passwordHash,omitempty"`
	EmailVerified bool   `json:"emailVerified"`
}

// CreatedTenant is the answer to [CreateTenantRequest].
type CreatedTenant struct {
	ID     string `json:"id"`
	Slug   string `json:"slug"`
	Status string `json:"status"`
	// Created is false when the manager had the same tenant already. It is told by the status code, not the body.
	Created bool `json:"-"`
}

// UpdateTenantRequest is the body of PATCH /v1/tenants/{id}. What is nil is not sent and stays as it is.
type UpdateTenantRequest struct {
	Name     *string           `json:"name,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Tenant is what GET /v1/tenants/{id} answers. Fields that the manager does not send stay zero.
type Tenant struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Slug        string            `json:"slug"`
	Status      string            `json:"status"`
	Environment string            `json:"environment,omitempty"`
	Isolation   string            `json:"isolation,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	CreatedAt   Timestamp         `json:"createdAt,omitzero"`
	UpdatedAt   Timestamp         `json:"updatedAt,omitzero"`
}

// CreateAssociationRequest is the body of POST /v1/tenants/{id}/associations/{service}. Connection limits that are zero
// are not sent and are the manager's choice.
type CreateAssociationRequest struct {
	IsolationMode string `json:"isolationMode"`
	MaxOpenConns  int    `json:"maxOpenConns,omitempty"`
	MaxIdleConns  int    `json:"maxIdleConns,omitempty"`
	// The fields below are those of [UpdateConnectionsRequest]: what is known of the connections already. Only a manager of
	// tenantwatch takes them here.
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
	// RabbitMQ has one object for each module, Messaging one called rabbitmq for all of them, and Streaming one called kafka
	// for each module.
	RabbitMQ           SecretJSON `json:"rabbitmq,omitempty"`
	Messaging          SecretJSON `json:"messaging,omitempty"`
	Streaming          SecretJSON `json:"streaming,omitempty"`
	ConnectionSettings SecretJSON `json:"connectionSettings,omitempty"`
	CreatedAt          Timestamp  `json:"createdAt,omitzero"`
	UpdatedAt          Timestamp  `json:"updatedAt,omitzero"`
	// Other are the fields that this package has no name for.
	Other map[string]SecretJSON `json:"-"`
}

// DatabaseConnections is how one module of a service reaches its databases. What the module does not use is empty.
type DatabaseConnections struct {
	PostgreSQL         SecretJSON `json:"postgresql,omitempty"`
	PostgreSQLReplica  SecretJSON `json:"postgresqlReplica,omitempty"`
	MongoDB            SecretJSON `json:"mongodb,omitempty"`
	ConnectionSettings SecretJSON `json:"connectionSettings,omitempty"`
	// Other are the fields that this package has no name for.
	Other map[string]SecretJSON `json:"-"`
}

// UpdateConnectionsRequest is the body of PUT /v1/tenants/{id}/associations/{service}/connections. What is empty is not
// sent. The pool limits of one module, or without a Module of all that have none of their own, are MaxOpenConns,
// MaxIdleConns and StatementTimeout; the other fields are those that [Connections] shows. The manager merges them into what
// it has (RFC 7396): a field that is SecretJSON("null") is removed. [Client.PatchConnections] removes everything else.
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
	// SecretPaths, by module, and MessagingConfig are for events alone: the manager shows them nowhere else.
	SecretPaths     map[string]tenant.SecretPaths `json:"secretPaths,omitempty"`
	MessagingConfig *tenant.MessagingConfig       `json:"messagingConfig,omitempty"`
	// Other are fields that this package has no name for.
	Other map[string]SecretJSON `json:"-"`
}

// InvalidateCacheRequest is the body of POST /v1/tenants/{id}/associations/{service}/cache/invalidate.
type InvalidateCacheRequest struct {
	Reason string `json:"reason,omitempty"`
}

// ErrorBody is what a manager answers with a status of 400 and above. The client reads it leniently: fields of another
// type count as absent.
type ErrorBody struct {
	Code  string `json:"code"`
	Error string `json:"error"`
	// Status is the tenant's status, when the answer is a 403 because of it. In application/problem+json the field of
	// the same name is a number, the HTTP status; the client tells the two apart by their type.
	Status string `json:"status,omitempty"`
}

// Timestamp is a time of day in RFC 3339. One that cannot be read is zero, because nothing depends on it.
type Timestamp struct{ time.Time }

// UnmarshalJSON reads RFC 3339 and takes everything else as the zero time; it never fails.
func (t *Timestamp) UnmarshalJSON(data []byte) error {
	var at time.Time
	if json.Unmarshal(data, &at) != nil {
		at = time.Time{}
	}
	t.Time = at
	return nil
}
