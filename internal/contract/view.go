package contract

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// ConnectionsView is what GET answers: what a service needs to reach a tenant's databases. A client reads managerapi's Connections,
// which would write the members in another order than they were put in.
type ConnectionsView struct {
	ID            string    `json:"id"`
	TenantSlug    string    `json:"tenantSlug"`
	TenantName    string    `json:"tenantName"`
	Service       string    `json:"service"`
	Status        string    `json:"status"`
	IsolationMode string    `json:"isolationMode"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`

	Connections Connections `json:"-"`
}

// MarshalJSON writes what was put between the fields of the manager, with what nobody here knows.
func (v ConnectionsView) MarshalJSON() ([]byte, error) {
	type plain ConnectionsView
	own := within(encode(plain(v)))
	var out object
	for _, m := range own.all() {
		if m.name == "createdAt" {
			for _, put := range v.Connections.Fields().Object() {
				out.set(put.Name, put.Value)
			}
		}
		out.set(m.name, m.value)
	}
	return out.encode(), nil
}

// Fields are the connections as GET answers them: with the limits that count in each module, and with both forms of
// RabbitMQ where one follows from the other. Other are those that nobody here knows.
type Fields struct {
	Databases, RabbitMQ, Messaging, Streaming, ConnectionSettings json.RawMessage // nil is none
	Other                                                         map[string]json.RawMessage
}

// Fields makes them. What was put is in them as it was put.
func (c Connections) Fields() Fields {
	f := Fields{
		Databases: c.databases(), RabbitMQ: c.put.get(fieldRabbitMQ), Messaging: c.put.get(fieldMessaging),
		Streaming: c.put.get(fieldStreaming), ConnectionSettings: c.association().fill(c.put.get(fieldSettings)),
		Other: map[string]json.RawMessage{},
	}
	for _, m := range c.put.all() {
		if body.fields[m.name] == nil {
			f.Other[m.name] = m.value
		}
	}
	return withBothRabbitMQ(f)
}

// Object are the fields as members of a JSON object, in a fixed order.
func (f Fields) Object() []Member {
	out := []Member{
		{fieldDatabases, f.Databases},
		{fieldRabbitMQ, f.RabbitMQ},
		{fieldMessaging, f.Messaging},
		{fieldStreaming, f.Streaming},
		{fieldSettings, f.ConnectionSettings},
	}
	for _, name := range slices.Sorted(maps.Keys(f.Other)) {
		out = append(out, Member{name, f.Other[name]})
	}
	return slices.DeleteFunc(out, func(m Member) bool { return m.Value == nil })
}

// Member is one field of an object.
type Member struct {
	Name  string
	Value json.RawMessage
}

func (c Connections) databases() json.RawMessage {
	put := c.put.get(fieldDatabases)
	modules, ok := readObject(put)
	if !ok {
		return put
	}
	limits := c.limits()
	for _, m := range modules.all() {
		entry, ok := readObject(m.value)
		if !ok {
			continue
		}
		if settings := limits(m.name).fill(entry.get(fieldSettings)); settings != nil {
			entry.set(fieldSettings, settings)
		}
		modules.set(m.name, entry.encode())
	}
	return modules.encode()
}

// withBothRabbitMQ adds the form that was not put, where there is exactly one module that it can be for.
func withBothRabbitMQ(f Fields) Fields {
	messaging := within(f.Messaging)
	modules, shared := modulesOf(f.RabbitMQ), messaging.get(fieldRabbitMQ)
	switch {
	case len(modules) == 1 && shared == nil:
		perModule := within(f.RabbitMQ)
		messaging.set(fieldRabbitMQ, perModule.get(modules[0]))
		f.Messaging = messaging.encode()
	case len(modules) == 0 && shared != nil:
		if databases := modulesOf(f.Databases); len(databases) == 1 {
			f.RabbitMQ = wrap(databases[0], shared)
		}
	}
	return f
}
