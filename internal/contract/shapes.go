package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// shape is what a known field has to be: of one kind, or an object with fields of its own. Fields that are in no shape are
// nobody's here and may be anything; null is for what is to be removed.
type shape struct {
	wants  string // in an error, as in "a string"
	fits   func(json.RawMessage) bool
	fields map[string]*shape
	each   *shape // of an object whose names are those of modules
}

var (
	text    = &shape{wants: "a string", fits: isText}
	timeout = &shape{wants: `a string such as "30s"`, fits: isText}
	number  = &shape{wants: fmt.Sprintf("a whole number from 0 to %d", math.MaxInt32), fits: isNumber}
	flag    = &shape{wants: "true or false", fits: isFlag}
	texts   = &shape{wants: "a list of strings", fits: isTexts}
)

var (
	postgresql = record(map[*shape][]string{
		text:   {"host", "database", "username", "password", "schema", "sslmode", "sslrootcert", "sslcert", "sslkey"},
		number: {"port"},
	})
	mongodb = record(map[*shape][]string{
		text:   {"host", "database", "username", "password", "uri", "authSource", "tlsCAFile", "tlsCertFile", "tlsKeyFile"},
		number: {"port", "maxPoolSize"},
		flag:   {"directConnection", "tls", "tlsSkipVerify"},
	})
	rabbitmq = record(map[*shape][]string{
		text: {"host", "vhost", "username", "password", "tlsCAFile"}, number: {"port"}, flag: {"tls"},
	})
	kafka = record(map[*shape][]string{
		texts: {"brokers"}, text: {"username", "password", "mechanism"}, flag: {"tls"},
	})
	limits = record(map[*shape][]string{number: {fieldMaxOpen, fieldMaxIdle}, timeout: {fieldTimeout}})
)

// body is what a PUT of connections may have.
var body = &shape{wants: "an object", fields: map[string]*shape{
	fieldDatabases: perModule(&shape{wants: "an object", fields: map[string]*shape{
		"postgresql": postgresql, "postgresqlReplica": postgresql, "mongodb": mongodb, fieldSettings: limits,
	}}),
	fieldRabbitMQ:        perModule(rabbitmq),
	fieldMessaging:       {wants: "an object", fields: map[string]*shape{fieldRabbitMQ: rabbitmq}},
	fieldStreaming:       perModule(&shape{wants: "an object", fields: map[string]*shape{"kafka": kafka}}),
	fieldSettings:        limits,
	fieldSecretPaths:     perModule(record(map[*shape][]string{text: {secretReadWrite, secretReadOnly, secretMongoDB}})),
	fieldMessagingConfig: record(map[*shape][]string{text: {secretRabbitMQ}}),
	fieldModule:          text, fieldMaxOpen: number, fieldMaxIdle: number, fieldTimeout: timeout,
}}

func record(kinds map[*shape][]string) *shape {
	out := &shape{wants: "an object", fields: map[string]*shape{}}
	for kind, names := range kinds {
		for _, name := range names {
			out.fields[name] = kind
		}
	}
	return out
}

func perModule(each *shape) *shape {
	return &shape{wants: "one object for each module", each: each}
}

// check refuses a known field of another kind. path is where value stands.
func (s *shape) check(path string, value json.RawMessage) error {
	if isNull(value) {
		return nil
	}
	if s.fits != nil {
		if !s.fits(value) {
			return s.misfit(path, value)
		}
		return nil
	}
	o, ok := readObject(value)
	if !ok {
		return s.misfit(path, value)
	}
	for _, m := range o.all() {
		if err := s.checkMember(path, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) checkMember(path string, m member) error {
	under := m.name
	if path != "" {
		under = fmt.Sprintf("%s.%.80s", path, m.name)
	}
	switch {
	case s.each == nil:
		if field := s.fields[m.name]; field != nil {
			return field.check(under, m.value)
		}
		return nil
	case path == fieldRabbitMQ && !isNull(m.value) && kindOf(m.value) != "an object":
		return flatRabbitMQ()
	}
	if err := checkModule(m.name); err != nil {
		return err
	}
	return s.each.check(under, m.value)
}

func (s *shape) misfit(path string, value json.RawMessage) error {
	kind := kindOf(value)
	if s == number && kind == aNumber {
		kind = "another number"
	}
	return &Invalid{Code: codeBody, Message: fmt.Sprintf("%s has to be %s, and is %s", path, s.wants, kind)}
}

func flatRabbitMQ() error {
	return &Invalid{Code: codeBody, Message: `rabbitmq has to be one object for each module, as in {"rabbitmq":{"onboarding":{"host":…}}}; ` +
		`a connection for all modules is {"messaging":{"rabbitmq":{"host":…}}}`}
}

const aNumber = "a number"

// kindOf says what a value is without repeating it.
func kindOf(value json.RawMessage) string {
	switch value = bytes.TrimSpace(value); {
	case len(value) == 0:
		return "nothing"
	case value[0] == '"':
		return "a string"
	case value[0] == '{':
		return "an object"
	case value[0] == '[':
		return "a list"
	case value[0] == 't' || value[0] == 'f':
		return "true or false"
	case isNull(value):
		return "null"
	}
	return aNumber
}

func isText(value json.RawMessage) bool {
	var s string
	return json.Unmarshal(value, &s) == nil
}

// isNumber takes what every reader's integer takes: 1.0 and 1e3 are whole numbers too, and a Go program reads neither.
func isNumber(value json.RawMessage) bool {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 32)
	return err == nil && n <= math.MaxInt32
}

func isLimit(n int) bool { return 0 <= n && n <= math.MaxInt32 }

func isFlag(value json.RawMessage) bool {
	var b bool
	return json.Unmarshal(value, &b) == nil
}

func isTexts(value json.RawMessage) bool {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return false
	}
	for _, one := range list {
		if isNull(one) || !isText(one) {
			return false
		}
	}
	return true
}
