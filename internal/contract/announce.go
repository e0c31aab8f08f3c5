package contract

import (
	"encoding/json"
	"slices"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// ReasonConnections is the reason of the tenant.cache.invalidate that follows a change of connections.
const ReasonConnections = "connections_updated"

// secretNames are the fields of secretPaths and messagingConfig in events, by how a REST body may spell them too.
var secretNames = map[string]string{
	"postgresqlRw": secretReadWrite, "postgresqlRo": secretReadOnly, "rabbitmqSecretPath": secretRabbitMQ,
}

const (
	secretReadWrite = "postgresql_rw"
	secretReadOnly  = "postgresql_ro"
	secretMongoDB   = "mongodb"
	secretRabbitMQ  = "rabbitmq_secret_path"
)

// Announcement is what a change of connections has to be announced with: the modules whose limits are others now, in the
// order of names, or "" where there is no module; and whether what is reached is another, so that handles have to be built
// again.
type Announcement struct {
	Limits  []tenant.ConnectionsUpdated // without the service's name
	Rebuild bool
}

// Announce compares what GET answered before a change with what it answers after it.
func Announce(before, after Connections) Announcement {
	var out Announcement
	modules := after.Modules()
	if len(modules) == 0 {
		modules = []string{""}
	}
	limitsBefore, limitsAfter, told := before.limits(), after.limits(), map[string]bool{}
	for _, module := range modules {
		was, is := limitsBefore(module).settings(), limitsAfter(module).settings()
		if was == is {
			continue
		}
		told[module] = true
		updated := tenant.ConnectionsUpdated{Module: module, MaxOpenConns: is.MaxOpenConns, MaxIdleConns: is.MaxIdleConns}
		if is.StatementTimeout != "" {
			updated.StatementTimeout = encode(is.StatementTimeout)
		}
		out.Limits = append(out.Limits, updated)
	}
	old, now := before.Fields(), after.Fields()
	out.Rebuild = !same(old.RabbitMQ, now.RabbitMQ) || !same(old.Messaging, now.Messaging) ||
		!same(old.Streaming, now.Streaming) || databasesDiffer(before, after, told)
	return out
}

// databasesDiffer leaves the limits out, which have events of their own. A module that comes with nothing but limits makes no
// difference where its limits are told; when one goes, what was built for it has to go.
func databasesDiffer(before, after Connections, told map[string]bool) bool {
	was, is := within(before.put.get(fieldDatabases)), within(after.put.get(fieldDatabases))
	for _, m := range was.all() {
		if now := is.get(m.name); now == nil || !same(withoutLimits(m.value), withoutLimits(now)) {
			return true
		}
	}
	for _, m := range is.all() {
		if was.get(m.name) == nil && !(told[m.name] && same(withoutLimits(m.value), emptyObject)) {
			return true
		}
	}
	return false
}

// withoutLimits is a module without its limits, and without settings that have nothing else.
func withoutLimits(module json.RawMessage) json.RawMessage {
	entry, ok := readObject(module)
	if !ok {
		return module
	}
	settings, ok := readObject(entry.get(fieldSettings))
	if !ok {
		return module
	}
	for _, name := range []string{fieldMaxOpen, fieldMaxIdle, fieldTimeout} {
		settings.remove(name)
	}
	if len(settings.all()) == 0 {
		entry.remove(fieldSettings)
	} else {
		entry.set(fieldSettings, settings.encode())
	}
	return entry.encode()
}

// Associated completes the event of an association that is new.
func (c Connections) Associated(p tenant.ServiceAssociated) tenant.ServiceAssociated {
	p.Modules, p.SecretPaths, p.MessagingConfig = c.connected(), c.put.get(fieldSecretPaths), c.put.get(fieldMessagingConfig)
	p.ConnectionSettings = c.connectionSettings()
	return p
}

// Reactivated completes the event of one that was suspended.
func (c Connections) Reactivated(p tenant.ServiceReactivated) tenant.ServiceReactivated {
	p.SecretPaths, p.ConnectionSettings = c.put.get(fieldSecretPaths), c.connectionSettings()
	return p
}

// connected are the modules that GET answers with more than limits, sorted: of databases, of RabbitMQ and of streams.
func (c Connections) connected() []string {
	f := c.Fields()
	var out []string
	for _, field := range []json.RawMessage{f.Databases, f.RabbitMQ, f.Streaming} {
		modules := within(field)
		for _, m := range modules.all() {
			if !same(withoutLimits(m.value), emptyObject) {
				out = append(out, m.name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// connectionSettings are the limits of the association as an event has them. Nil where there are none.
func (c Connections) connectionSettings() json.RawMessage {
	if limits := c.association(); limits != (Limits{}) {
		return encode(limits.settings())
	}
	return nil
}

// spellSecrets spells the fields of secretPaths and messagingConfig as events do.
func spellSecrets(changes *object) {
	if paths, ok := readObject(changes.get(fieldSecretPaths)); ok {
		for _, m := range paths.all() {
			paths.set(m.name, spelled(m.value))
		}
		changes.set(fieldSecretPaths, paths.encode())
	}
	if config := changes.get(fieldMessagingConfig); config != nil {
		changes.set(fieldMessagingConfig, spelled(config))
	}
}

func spelled(value json.RawMessage) json.RawMessage {
	o, ok := readObject(value)
	if !ok {
		return value
	}
	var out object
	for _, m := range o.all() {
		if name, ok := secretNames[m.name]; ok {
			m.name = name
		}
		out.set(m.name, m.value)
	}
	return out.encode()
}
