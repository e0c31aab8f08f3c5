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

// sealSettings encrypts n for one association.
func (s *Store) sealSettings(id, service string, n Settings) ([]byte, error) {
	data, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	return s.seal.seal(data, s.environment, "settings", tenant.CanonicalID(id), service)
}

func (s *Store) openSettings(id, service string, sealed []byte) (Settings, error) {
	var n Settings
	data, err := s.seal.open(sealed, s.environment, "settings", tenant.CanonicalID(id), service)
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal(data, &n)
}

func (s *Store) sealOwner(id string, owner Owner) ([]byte, error) {
	data, err := json.Marshal(owner)
	if err != nil {
		return nil, err
	}
	return s.seal.seal(data, s.environment, "owner", tenant.CanonicalID(id))
}

func (s *Store) openOwner(id string, sealed []byte) (Owner, error) {
	var owner Owner
	data, err := s.seal.open(sealed, s.environment, "owner", tenant.CanonicalID(id))
	if err != nil {
		return owner, err
	}
	return owner, json.Unmarshal(data, &owner)
}
