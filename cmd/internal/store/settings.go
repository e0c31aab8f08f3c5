package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// sealed is an association's connection data as the two columns have them. Programs from before there were limits for
// each module know settings alone; while replicas are replaced they read and write it next to the current ones.
type sealed struct{ settings, connections []byte }

// wireStored is what connections holds: the connections, and the digest of the settings that were written with them.
type wireStored struct {
	Connections contract.Connections `json:"connections"`
	Settings    []byte               `json:"settings"`
}

// sealConnections writes both columns.
func (s *Store) sealConnections(c contract.Connections, id, service string) (sealed, error) {
	settings, err := s.sealJSON(c.Before(), settingsOf(id, service)...)
	if err != nil {
		return sealed{}, err
	}
	digest := sha256.Sum256(settings)
	connections, err := s.sealJSON(wireStored{c, digest[:]}, connectionsOf(id, service)...)
	return sealed{settings, connections}, err
}

// openConnections reads them. Where settings are not those that were written with the connections, an older program has
// changed them since, and what it knows of is taken from there.
func (s *Store) openConnections(from sealed, id, service string) (contract.Connections, error) {
	var known wireStored
	if from.connections != nil {
		if err := s.openJSON(&known, from.connections, connectionsOf(id, service)...); err != nil {
			return contract.Connections{}, err
		}
		if digest := sha256.Sum256(from.settings); bytes.Equal(known.Settings, digest[:]) {
			return known.Connections, nil
		}
	}
	var before contract.Before
	if err := s.openJSON(&before, from.settings, settingsOf(id, service)...); err != nil {
		return contract.Connections{}, err
	}
	if from.connections == nil {
		return before.Connections(), nil
	}
	return known.Connections.TakeOver(before), nil
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

// settingsOf, connectionsOf and ownerOf are the contexts of what is encrypted.
func settingsOf(id, service string) []string {
	return []string{"settings", tenant.CanonicalID(id), service}
}

func connectionsOf(id, service string) []string {
	return []string{"connections", tenant.CanonicalID(id), service}
}

func ownerOf(id string) []string { return []string{"owner", tenant.CanonicalID(id)} }
