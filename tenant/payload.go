package tenant

import (
	"bytes"
	"encoding/json"
)

// ServiceAssociated is the payload of [EventServiceAssociated].
type ServiceAssociated struct {
	ServiceName   string   `json:"service_name"`
	IsolationMode string   `json:"isolation_mode"`
	Modules       []string `json:"modules,omitempty"`
	// SecretPaths is a [SecretPaths] for each module, MessagingConfig a [MessagingConfig], and ConnectionSettings a
	// [ConnectionSettings]. They are kept undecoded: if a manager sends one of them in another shape, the rest of the
	// payload can still be read.
	SecretPaths        json.RawMessage `json:"secret_paths,omitempty"`
	MessagingConfig    json.RawMessage `json:"messaging_config,omitempty"`
	ConnectionSettings json.RawMessage `json:"connection_settings,omitempty"`
}

// ConnectionSettings are the limits of a connection pool, as events carry them. Zero means unlimited or unknown.
type ConnectionSettings struct {
	MaxOpenConns int `json:"max_open_conns"`
	MaxIdleConns int `json:"max_idle_conns"`
	// StatementTimeout is a duration such as "30s". Empty means that there is none.
	StatementTimeout string `json:"statement_timeout,omitempty"`
}

// SecretPaths says where the credentials of one module are stored. A path that the module does not have is empty.
type SecretPaths struct {
	PostgreSQLReadWrite string `json:"postgresql_rw,omitempty"`
	PostgreSQLReadOnly  string `json:"postgresql_ro,omitempty"`
	MongoDB             string `json:"mongodb,omitempty"`
}

// MessagingConfig says where the credentials of the message queues are stored.
type MessagingConfig struct {
	RabbitMQSecretPath string `json:"rabbitmq_secret_path,omitempty"`
}

// ServiceReactivated is the payload of [EventServiceReactivated].
type ServiceReactivated struct {
	ServiceName    string `json:"service_name"`
	PreviousStatus string `json:"previous_status"`
	ReProvisioned  bool   `json:"re_provisioned"`
	// SecretPaths and ConnectionSettings have the shapes that they have in [ServiceAssociated].
	SecretPaths        json.RawMessage `json:"secret_paths,omitempty"`
	ConnectionSettings json.RawMessage `json:"connection_settings,omitempty"`
}

// ServiceDisassociated is the payload of [EventServiceDisassociated].
type ServiceDisassociated struct {
	ServiceName  string `json:"service_name"`
	PreserveData bool   `json:"preserve_data"`
}

// ServiceSuspended is the payload of [EventServiceSuspended].
type ServiceSuspended struct {
	ServiceName    string `json:"service_name"`
	PreviousStatus string `json:"previous_status"`
}

// ServicePurged is the payload of [EventServicePurged].
type ServicePurged struct {
	ServiceName string `json:"service_name"`
}

// CredentialsRotated is the payload of [EventCredentialsRotated].
type CredentialsRotated struct {
	ServiceName    string `json:"service_name"`
	CredentialType string `json:"credential_type"`
	NewSecretPath  string `json:"new_secret_path"`
}

// ConnectionsUpdated is the payload of [EventConnectionsUpdated].
type ConnectionsUpdated struct {
	ServiceName  string `json:"service_name"`
	Module       string `json:"module"`
	MaxOpenConns int    `json:"max_open_conns"`
	MaxIdleConns int    `json:"max_idle_conns"`
	// StatementTimeout is a JSON string such as "30s". It is kept undecoded.
	StatementTimeout json.RawMessage `json:"statement_timeout,omitempty"`
}

// CacheInvalidate is the payload of [EventCacheInvalidate].
type CacheInvalidate struct {
	ServiceName string `json:"service_name"`
	Reason      string `json:"reason,omitempty"`
}

const payloadMissing = "payload is missing or is not a JSON object"

// DecodePayload reads an event's payload as T, one of the payload types of this package or one of your own. Fields that
// T does not have are ignored, and so are fields whose names differ from T's in case ([Unmarshal]). DecodePayload
// returns an [EventError] for a payload that is missing, is not a JSON object, or does not fit T.
func DecodePayload[T any](e Event) (T, error) {
	var payload T
	if !bytes.HasPrefix(bytes.TrimLeft(e.Payload, " \t\r\n"), []byte("{")) {
		return payload, e.invalid(payloadMissing)
	}
	if err := Unmarshal(e.Payload, &payload); err != nil {
		return payload, e.invalid("payload: " + err.Error())
	}
	return payload, nil
}
