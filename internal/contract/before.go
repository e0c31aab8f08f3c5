package contract

import (
	"encoding/json"
)

// Before is how connections were stored before there were limits for each module. Programs of then still read and write
// it, next to current ones, while replicas are replaced.
type Before struct {
	Module           string `json:"module,omitempty"`
	MaxOpenConns     int    `json:"maxOpenConns,omitempty"`
	MaxIdleConns     int    `json:"maxIdleConns,omitempty"`
	StatementTimeout []byte `json:"statementTimeout,omitempty"` // JSON, as all of the below
	Databases        []byte `json:"databases,omitempty"`
	RabbitMQ         []byte `json:"rabbitmq,omitempty"`
	Connection       []byte `json:"connection,omitempty"`
}

// Connections are those that b stands for: services are shown what they were shown, but for what breaks readers. A flat
// rabbitmq becomes messaging.rabbitmq, and a known field that is null, or of another type, is left out.
func (b Before) Connections() Connections {
	c := Connections{created: LimitsOf(b.MaxOpenConns, b.MaxIdleConns).sound()}
	c.created.StatementTimeout = b.timeout()
	for _, m := range []member{{fieldDatabases, b.Databases}, {fieldSettings, b.Connection}, {fieldRabbitMQ, b.RabbitMQ}} {
		if len(m.value) > 0 {
			c.put.set(m.name, m.value)
		}
	}
	c.put = soundPut(c.put)
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
		if !isNull(m.value) && kindOf(m.value) != "an object" {
			return true
		}
	}
	return false
}

// Before is c as programs of then read it: what they answer is what current ones do, as far as they know of it.
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
	then, theirs := c.Before(), now.Connections()
	out := Connections{created: c.created, put: within(c.put.encode())} // its own
	out.replace(fieldDatabases, then.Databases, theirs.put.get(fieldDatabases))
	out.replace(fieldSettings, then.Connection, theirs.put.get(fieldSettings))
	out.replaceRabbitMQ(then.RabbitMQ, theirs.put)
	if then.MaxOpenConns == now.MaxOpenConns && then.MaxIdleConns == now.MaxIdleConns && then.timeout() == now.timeout() {
		return out
	}
	change := wrap(fieldSettings, theirs.created.fill(nil))
	if now.Module != "" {
		change = wrap(fieldDatabases, wrap(now.Module, change))
	}
	out.put = within(merge(out.put.encode(), change))
	return out
}

func (c *Connections) replace(name string, was, is json.RawMessage) {
	switch {
	case same(was, is):
	case len(is) == 0:
		c.put.remove(name)
	default:
		c.put.set(name, is)
	}
}

// replaceRabbitMQ knows that they have changed, under one name, what may be the shared connection: they were shown that as
// the only module's, and put one that is flat.
func (c *Connections) replaceRabbitMQ(was json.RawMessage, theirs object) {
	is := theirs.get(fieldRabbitMQ)
	messaging := within(theirs.get(fieldMessaging))
	shared := messaging.get(fieldRabbitMQ)
	if shared == nil && same(was, is) {
		return
	}
	messaging = within(c.put.get(fieldMessaging))
	switch {
	case shared != nil:
		messaging.set(fieldRabbitMQ, shared)
	case c.put.get(fieldRabbitMQ) == nil:
		messaging.remove(fieldRabbitMQ)
	}
	if shared != nil || c.put.get(fieldMessaging) != nil {
		c.put.set(fieldMessaging, messaging.encode())
	}
	c.replace(fieldRabbitMQ, c.put.get(fieldRabbitMQ), is)
}
