package server

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// What the OpenAPI document says beyond what huma finds in the types of the calls: those take their parameters as text,
// because the words of a refusal are fixed, and decode bodies by rules of their own.

// complete is called when all calls are registered.
func (a *api) complete() {
	doc := a.OpenAPI()
	doc.Servers = []*huma.Server{{URL: "/", Description: "the manager that this document comes from"}}
	doc.Info.License = &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}
	doc.Components.Responses = map[string]*huma.Response{}
	for status, what := range refusals {
		doc.Components.Responses[what.name] = a.refusal(status, what.when)
	}
	for _, c := range calls {
		if c.id == "" {
			continue
		}
		op := a.described(c)
		refuses(op, c)
		for _, param := range op.Parameters {
			if schema := typeOfParam(op.OperationID, param.Name); schema != nil {
				param.Schema = schema
			}
		}
	}
}

// typeOfParam is nil for a text.
func typeOfParam(operation, name string) *huma.Schema {
	number := func(least, most float64) *huma.Schema {
		s := &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &least}
		if most > 0 {
			s.Maximum = &most
		}
		return s
	}
	switch {
	case name == "limit":
		s := number(1, maxPage)
		s.Default = defaultPage
		return s
	case name == "revision", name == "after" && operation != "list-tenants": // of that one it is a page
		return number(0, 0)
	case name == "force", name == "purge":
		return &huma.Schema{Type: huma.TypeBoolean, Default: false}
	}
	return nil
}

// refusals are the ones that more than one call has.
var refusals = map[int]struct{ name, when string }{
	400: {"Invalid", "the request can never succeed"},
	401: {"Unauthorized", "the key or the token is missing or wrong"},
	403: {"Inactive", "the tenant, or the association, is suspended or purged; status says which"},
	404: {"NotFound", "there is no such thing, or it is another service's"},
	408: {"TooSlow", "the body did not arrive in time"},
	409: {"Conflict", "the state of things does not allow it"},
	410: {"Gone", "some of the events are no longer kept"},
	413: {"TooLarge", "the body is larger than 1 MiB"},
	415: {"NoJSON", "the body is not called JSON"},
	429: {"TooOften", "this key asks more often than it may"},
	503: {"Unavailable", "the database does not answer, or too much is going on; Retry-After says when to ask again"},
}

func (a *api) refusal(status int, when string) *huma.Response {
	answer := &huma.Response{
		Description: when,
		Content:     map[string]*huma.MediaType{jsonType: {Schema: a.schema(reflect.TypeFor[apiError]())}},
	}
	header := func(name, what string) {
		answer.Headers = map[string]*huma.Param{name: {Description: what, Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	switch status {
	case 401:
		header("WWW-Authenticate", "ApiKey or Bearer")
	case 429, 503:
		header("Retry-After", "in seconds")
	}
	return answer
}

// refuses names what a call can be refused with. A status that the call has described itself stays.
func refuses(op *huma.Operation, c call) {
	can := map[int]bool{
		400: true, 401: true, 429: true, 503: true,
		403: c.inactive, 404: strings.Contains(c.path, "{") || c.access == byKey,
		408: op.RequestBody != nil, 409: c.conflicts, 413: op.RequestBody != nil, 415: op.RequestBody != nil,
	}
	for status, can := range can {
		if code := strconv.Itoa(status); can && op.Responses[code] == nil {
			op.Responses[code] = refers(status)
		}
	}
}

// refers is the refusal that many calls have.
func refers(status int) *huma.Response {
	return &huma.Response{Ref: "#/components/responses/" + refusals[status].name}
}

// shapes says which of the types below the document shows for one that decodes itself.
func shapes(schemas huma.Registry) {
	for from, to := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[contract.ConnectionsView]():            reflect.TypeFor[connections](),
		reflect.TypeFor[managerapi.UpdateConnectionsRequest](): reflect.TypeFor[connectionsChange](),
		reflect.TypeFor[managerapi.CreateAssociationRequest](): reflect.TypeFor[newAssociation](),
	} {
		schemas.RegisterTypeAlias(from, to)
	}
}

type connections struct {
	Reached

	ID            string `json:"id"`
	TenantSlug    string `json:"tenantSlug"`
	TenantName    string `json:"tenantName"`
	Service       string `json:"service"`
	Status        string `json:"status"`
	IsolationMode string `json:"isolationMode"`
	CreatedAt     string `json:"createdAt"     format:"date-time"`
	UpdatedAt     string `json:"updatedAt"     format:"date-time"`
}

// Reached is what the connections are made of. It is exported because huma passes over what is embedded and not.
type Reached struct {
	Databases          map[string]moduleDatabases `json:"databases,omitempty"          doc:"by module"`
	RabbitMQ           map[string]rabbitMQ        `json:"rabbitmq,omitempty"           doc:"by module"`
	Messaging          *messaging                 `json:"messaging,omitempty"`
	Streaming          map[string]streaming       `json:"streaming,omitempty"          doc:"by module"`
	ConnectionSettings *poolLimits                `json:"connectionSettings,omitempty" doc:"what counts where a module has nothing of its own"`
}

type connectionsChange struct {
	Reached
	Told

	Module           string `json:"module,omitempty"           doc:"whose limits the next three are; without it, those of the association"`
	MaxOpenConns     int32  `json:"maxOpenConns,omitempty"     minimum:"0"`
	MaxIdleConns     int32  `json:"maxIdleConns,omitempty"     minimum:"0"`
	StatementTimeout string `json:"statementTimeout,omitempty" example:"30s"`
}

type newAssociation struct {
	Reached
	Told

	IsolationMode string `json:"isolationMode"`
	MaxOpenConns  int32  `json:"maxOpenConns,omitempty" minimum:"0"`
	MaxIdleConns  int32  `json:"maxIdleConns,omitempty" minimum:"0"`
}

// Told is for events alone.
type Told struct {
	SecretPaths     map[string]secretPaths `json:"secretPaths,omitempty"     doc:"by module"`
	MessagingConfig *messagingConfig       `json:"messagingConfig,omitempty"`
}

type moduleDatabases struct {
	PostgreSQL         *postgreSQL `json:"postgresql,omitempty"`
	PostgreSQLReplica  *postgreSQL `json:"postgresqlReplica,omitempty"`
	MongoDB            *mongoDB    `json:"mongodb,omitempty"`
	ConnectionSettings *poolLimits `json:"connectionSettings,omitempty"`
}

type postgreSQL struct {
	Host        string `json:"host,omitempty"`
	Port        int32  `json:"port,omitempty"        minimum:"0"`
	Database    string `json:"database,omitempty"`
	Username    string `json:"username,omitempty"`
	Password    string `json:"password,omitempty"`
	Schema      string `json:"schema,omitempty"`
	SSLMode     string `json:"sslmode,omitempty"`
	SSLRootCert string `json:"sslrootcert,omitempty"`
	SSLCert     string `json:"sslcert,omitempty"`
	SSLKey      string `json:"sslkey,omitempty"`
}

type mongoDB struct {
	Host             string `json:"host,omitempty"`
	Port             int32  `json:"port,omitempty"             minimum:"0"`
	Database         string `json:"database,omitempty"`
	Username         string `json:"username,omitempty"`
	Password         string `json:"password,omitempty"`
	URI              string `json:"uri,omitempty"`
	AuthSource       string `json:"authSource,omitempty"`
	TLSCAFile        string `json:"tlsCAFile,omitempty"`
	TLSCertFile      string `json:"tlsCertFile,omitempty"`
	TLSKeyFile       string `json:"tlsKeyFile,omitempty"`
	MaxPoolSize      int32  `json:"maxPoolSize,omitempty"      minimum:"0"`
	DirectConnection bool   `json:"directConnection,omitempty"`
	TLS              bool   `json:"tls,omitempty"`
	TLSSkipVerify    bool   `json:"tlsSkipVerify,omitempty"`
}

type rabbitMQ struct {
	Host      string `json:"host,omitempty"`
	Port      int32  `json:"port,omitempty"      minimum:"0"`
	VHost     string `json:"vhost,omitempty"`
	Username  string `json:"username,omitempty"`
	Password  string `json:"password,omitempty"`
	TLSCAFile string `json:"tlsCAFile,omitempty"`
	TLS       bool   `json:"tls,omitempty"`
}

type messaging struct {
	RabbitMQ *rabbitMQ `json:"rabbitmq,omitempty"`
}

type streaming struct {
	Kafka *kafka `json:"kafka,omitempty"`
}

type kafka struct {
	Brokers   []string `json:"brokers,omitempty"   nullable:"false"`
	Username  string   `json:"username,omitempty"`
	Password  string   `json:"password,omitempty"`
	Mechanism string   `json:"mechanism,omitempty"`
	TLS       bool     `json:"tls,omitempty"`
}

type poolLimits struct {
	MaxOpenConns     int32  `json:"maxOpenConns,omitempty"     minimum:"0"`
	MaxIdleConns     int32  `json:"maxIdleConns,omitempty"     minimum:"0"`
	StatementTimeout string `json:"statementTimeout,omitempty" example:"30s"`
}

type secretPaths struct {
	PostgreSQLReadWrite string `json:"postgresql_rw,omitempty"`
	PostgreSQLReadOnly  string `json:"postgresql_ro,omitempty"`
	MongoDB             string `json:"mongodb,omitempty"`
}

type messagingConfig struct {
	RabbitMQSecretPath string `json:"rabbitmq_secret_path,omitempty"`
}
