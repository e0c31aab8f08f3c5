package contract

import (
	"encoding/json"
)

// Before is how connections were stored before there were limits for each module. Programs of then still read and write
// it, next to those of now, while replicas are replaced.
type Before struct {
	Module           string `json:"module,omitempty"`
	MaxOpenConns     int    `json:"maxOpenConns,omitempty"`
	MaxIdleConns     int    `json:"maxIdleConns,omitempty"`
	StatementTimeout []byte `json:"statementTimeout,omitempty"` // JSON, as all of the below
	Databases        []byte `json:"databases,omitempty"`
	RabbitMQ         []byte `json:"rabbitmq,omitempty"`
	Connection       []byte `json:"connection,omitempty"`
}

// Connections are those that b stands for: services are shown what they were shown, but for a flat rabbitmq, which breaks
// readers and becomes messaging.rabbitmq.
func (b Before) Connections() Connections {
	c := Connections{created: LimitsOf(b.MaxOpenConns, b.MaxIdleConns)}
	c.created.StatementTimeout = b.timeout()
	for _, m := range []member{{fieldDatabases, b.Databases}, {fieldSettings, b.Connection}, {fieldRabbitMQ, b.RabbitMQ}} {
		switch {
		case len(m.value) == 0 || isNull(m.value):
		case m.name == fieldRabbitMQ && isFlat(m.value):
			c.put.set(fieldMessaging, wrap(fieldRabbitMQ, m.value))
		default:
			c.put.set(m.name, m.value)
		}
	}
	return c
}

// timeout is empty for one that no reader could take.
func (b Before) timeout() string {
	var out string
	if json.Unmarshal(b.StatementTimeout, &out) != nil {
		return ""
	}
	return out
}

func isFlat(rabbitmq json.RawMessage) bool {
	o, ok := readObject(rabbitmq)
	if !ok {
		return false
	}
	for _, m := range o.all() {
		if kindOf(m.value) != "an object" {
			return true
		}
	}
	return false
}

// Before is c as programs of then read it: what they answer is what those of now do, as far as they know of it.
func (c Connections) Before() Before {
	f, limits := c.Fields(), c.association().settings()
	out := Before{
		MaxOpenConns: limits.MaxOpenConns, MaxIdleConns: limits.MaxIdleConns,
		Databases: f.Databases, RabbitMQ: f.RabbitMQ, Connection: f.ConnectionSettings,
	}
	if limits.StatementTimeout != "" {
		out.StatementTimeout = encode(limits.StatementTimeout)
	}
	return out
}

// TakeOver returns c with what a program of then has changed since: what it found was c.Before(), and what it left is now.
func (c Connections) TakeOver(now Before) Connections {
	then := c.Before()
	put := within(c.put.encode()) // its own
	replace := func(name string, was, is []byte) {
		switch {
		case same(was, is):
		case len(is) == 0:
			put.remove(name)
		default:
			put.set(name, is)
		}
	}
	replace(fieldDatabases, then.Databases, now.Databases)
	replace(fieldSettings, then.Connection, now.Connection)
	replace(fieldRabbitMQ, then.RabbitMQ, now.RabbitMQ)
	out := Connections{created: c.created, put: put}
	if then.MaxOpenConns == now.MaxOpenConns && then.MaxIdleConns == now.MaxIdleConns && then.timeout() == now.timeout() {
		return out
	}
	limits := LimitsOf(now.MaxOpenConns, now.MaxIdleConns)
	limits.StatementTimeout = now.timeout()
	change := wrap(fieldSettings, limits.fill(nil))
	if now.Module != "" {
		change = wrap(fieldDatabases, wrap(now.Module, change))
	}
	out.put = within(merge(out.put.encode(), change))
	return out
}
