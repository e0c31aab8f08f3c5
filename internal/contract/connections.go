package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The names of what the connections have.
const (
	fieldDatabases       = "databases"
	fieldRabbitMQ        = "rabbitmq"
	fieldMessaging       = "messaging"
	fieldStreaming       = "streaming"
	fieldSettings        = "connectionSettings"
	fieldSecretPaths     = "secretPaths"
	fieldMessagingConfig = "messagingConfig"
	fieldModule          = "module"
	fieldMaxOpen         = "maxOpenConns"
	fieldMaxIdle         = "maxIdleConns"
	fieldTimeout         = "statementTimeout"
)

const codeBody = "INVALID_BODY"

// Bounds of what an association can have, so that its events and what GET answers stay readable.
const (
	maxDocument = 1 << 20  // bytes
	maxSecrets  = 64 << 10 // bytes of secretPaths and messagingConfig together, which go into one event
	maxModules  = 256
	maxModule   = 255 // bytes of a name
)

// theManagers are the fields of the answer that no PUT changes. A client that sends back what it was shown means no harm. In
// another case they are not kept either: a reader that is written in Go would take another tenant's id for the answer's.
var theManagers = []string{
	"id", "tenantSlug", "tenantName", "service", "status", "isolationMode", "createdAt", "updatedAt",
}

// Connections is how a service reaches what it has for a tenant: what was put, merged, and the limits of before that. The
// zero value has none.
type Connections struct { //nolint:recvcheck // UnmarshalJSON and what it calls change it
	created Limits
	put     object
}

// Patch is a change of [Connections] that keeps the rules. The zero Patch changes nothing.
type Patch struct {
	fields json.RawMessage
	limits json.RawMessage // those that were put beside the fields; they come last
}

// String hides them: there are passwords in them.
func (c Connections) String() string { return "[redacted]" }

// GoString hides them too.
func (c Connections) GoString() string { return c.String() }

// NewConnections are those of an association that was made with limits of its own.
func NewConnections(created Limits) Connections { return Connections{created: created} }

// ParsePatch reads the body of a PUT, a JSON object. What breaks a rule is an *[Invalid].
func ParsePatch(data []byte) (Patch, error) {
	if err := body.check("", data); err != nil {
		return Patch{}, err
	}
	changes, ok := readObject(data)
	if !ok {
		return Patch{}, &Invalid{Code: codeBody, Message: "the connections are not a JSON object"}
	}
	removeTheManagers(&changes)
	module, err := takeModule(&changes)
	if err != nil {
		return Patch{}, err
	}
	spellSecrets(&changes)
	limits := takeLimits(&changes, module)
	return Patch{fields: changes.encode(), limits: limits}, nil
}

func removeTheManagers(changes *object) {
	for _, m := range changes.all() {
		if slices.ContainsFunc(theManagers, func(name string) bool { return strings.EqualFold(name, m.name) }) {
			changes.remove(m.name)
		}
	}
}

// ParseNew reads, of the body of a POST that makes an association, what is known of its connections already. Its limits are
// those of [LimitsOf], and are checked here alone. Fields that a PUT does not know are nobody's. What breaks a rule is an
// *[Invalid].
func ParseNew(data []byte) (Patch, error) {
	asked := within(data)
	for _, name := range []string{fieldMaxOpen, fieldMaxIdle} {
		if value := asked.get(name); value != nil {
			if err := number.check(name, value); err != nil {
				return Patch{}, err
			}
		}
	}
	var fields object
	for _, name := range []string{
		fieldDatabases, fieldRabbitMQ, fieldMessaging, fieldStreaming, fieldSettings, fieldSecretPaths, fieldMessagingConfig,
	} {
		if value := asked.get(name); value != nil {
			fields.set(name, value)
		}
	}
	return ParsePatch(fields.encode())
}

// Merge returns c with what p changes. It returns an *[Invalid] when that is too large.
func (c Connections) Merge(p Patch) (Connections, error) {
	merged := readTree(c.put.encode())
	if len(p.fields) > 0 {
		merged = merged.merge(readTree(p.fields), false)
	}
	if len(p.limits) > 0 { // one that is removed makes no module that was not there
		merged = merged.merge(readTree(p.limits), true)
	}
	put := merged.encode()
	out := Connections{created: c.created, put: within(put)}
	return out, out.checkSize(len(put))
}

// Modules are the names in databases, sorted.
func (c Connections) Modules() []string { return modulesOf(c.put.get(fieldDatabases)) }

func modulesOf(value json.RawMessage) []string {
	modules := within(value)
	var names []string
	for _, m := range modules.all() {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}

// takeModule removes the name of the module whose limits are beside the connections, and returns it. Empty is none.
func takeModule(changes *object) (string, error) {
	var module string
	_ = json.Unmarshal(changes.get(fieldModule), &module) // checked; null and nothing are none
	changes.remove(fieldModule)
	if module == "" {
		return "", nil
	}
	return module, checkModule(module)
}

// takeLimits removes the limits that a PUT may name beside the connections, and returns them as the change that they mean:
// of databases.MODULE.connectionSettings, or of connectionSettings where no module is named. Nil for none.
func takeLimits(changes *object, module string) json.RawMessage {
	var settings object
	for _, name := range []string{fieldMaxOpen, fieldMaxIdle, fieldTimeout} {
		if value := changes.get(name); value != nil {
			settings.set(name, value)
			changes.remove(name)
		}
	}
	if len(settings.all()) == 0 {
		return nil
	}
	out := wrap(fieldSettings, settings.encode())
	if module != "" {
		out = wrap(fieldDatabases, wrap(module, out))
	}
	return out
}

func wrap(name string, value json.RawMessage) json.RawMessage {
	var o object
	o.set(name, value)
	return o.encode()
}

func checkModule(name string) error {
	switch {
	case name == "":
		return &Invalid{Code: codeBody, Message: "a module has an empty name"}
	case len(name) > maxModule:
		return &Invalid{Code: codeBody, Message: fmt.Sprintf("the name of a module has %d bytes, the most is %d", len(name), maxModule)}
	}
	return nil
}

func (c Connections) checkSize(size int) error {
	secrets := len(c.put.get(fieldSecretPaths)) + len(c.put.get(fieldMessagingConfig))
	modules := len(c.Modules())
	switch {
	case size > maxDocument:
		return tooLarge("the connections have %d bytes, the most is %d", size, maxDocument)
	case secrets > maxSecrets:
		return tooLarge("secretPaths and messagingConfig have %d bytes, the most is %d", secrets, maxSecrets)
	case modules > maxModules:
		return tooLarge("there are %d modules, the most is %d", modules, maxModules)
	}
	return nil
}

func tooLarge(format string, is, most int) error {
	return &Invalid{Code: "CONNECTIONS_TOO_LARGE", Message: fmt.Sprintf(format, is, most)}
}

// wireConnections is how they are stored.
type wireConnections struct {
	Created Limits          `json:"created"`
	Put     json.RawMessage `json:"put"`
}

// MarshalJSON is for a store of them.
func (c Connections) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireConnections{c.created, c.put.encode()})
}

// UnmarshalJSON reads what MarshalJSON wrote, also that of a program with fewer rules.
func (c *Connections) UnmarshalJSON(data []byte) error {
	var wire wireConnections
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*c = Connections{created: wire.Created.sound(), put: soundPut(within(wire.Put))}
	return nil
}
