package store

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// defaultModule is the module that events name when nobody has named one.
const defaultModule = "default"

// check refuses what is no JSON.
func (n Settings) check() error {
	for _, field := range [][]byte{n.StatementTimeout, n.Databases, n.RabbitMQ, n.Connection} {
		if len(field) > 0 && !json.Valid(field) {
			return &Invalid{Code: "INVALID_BODY", Message: "a field of the connections is no JSON"}
		}
	}
	return nil
}

// merge returns n with what is set in over.
func (n Settings) merge(over Settings) Settings {
	return Settings{
		Module:           cmp.Or(over.Module, n.Module),
		MaxOpenConns:     cmp.Or(over.MaxOpenConns, n.MaxOpenConns),
		MaxIdleConns:     cmp.Or(over.MaxIdleConns, n.MaxIdleConns),
		StatementTimeout: first(over.StatementTimeout, n.StatementTimeout),
		Databases:        first(over.Databases, n.Databases),
		RabbitMQ:         first(over.RabbitMQ, n.RabbitMQ),
		Connection:       first(over.Connection, n.Connection),
	}
}

func first(over, under []byte) []byte {
	if len(over) > 0 {
		return bytes.Clone(over)
	}
	return under
}

// updated is the event of connections that were changed.
func updated(service string, n Settings) happening {
	return happening{kind: tenant.EventConnectionsUpdated, payload: tenant.ConnectionsUpdated{
		ServiceName: service, Module: cmp.Or(n.Module, defaultModule), MaxOpenConns: n.MaxOpenConns,
		MaxIdleConns: n.MaxIdleConns, StatementTimeout: n.StatementTimeout,
	}}
}

// limits are the sizes of the pool as JSON, nil when there are none.
func limits(n Settings) json.RawMessage {
	if n.MaxOpenConns == 0 && n.MaxIdleConns == 0 {
		return nil
	}
	data, err := json.Marshal(struct {
		MaxOpenConns int `json:"maxOpenConns,omitempty"`
		MaxIdleConns int `json:"maxIdleConns,omitempty"`
	}{n.MaxOpenConns, n.MaxIdleConns})
	if err != nil {
		panic("store: two numbers have no JSON form: " + err.Error())
	}
	return data
}

// sealJSON encrypts v. context says what it is; see sealer.
func (s *Store) sealJSON(v any, context ...string) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.seal.seal(data, append([]string{s.environment}, context...)...), nil
}

func (s *Store) openJSON(into any, sealed []byte, context ...string) error {
	data, err := s.seal.open(sealed, append([]string{s.environment}, context...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// settingsOf and ownerOf are the contexts of what is encrypted.
func settingsOf(id, service string) []string {
	return []string{"settings", tenant.CanonicalID(id), service}
}

func ownerOf(id string) []string { return []string{"owner", tenant.CanonicalID(id)} }
