package contract

import (
	"cmp"
	"encoding/json"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Limits are those of one module's pool. Nil, and an empty timeout, are not given.
type Limits struct {
	MaxOpenConns     *int   `json:"maxOpenConns,omitempty"`
	MaxIdleConns     *int   `json:"maxIdleConns,omitempty"`
	StatementTimeout string `json:"statementTimeout,omitempty"`
}

// LimitsOf takes zero for a limit that is not given, as the body of a POST does.
func LimitsOf(maxOpen, maxIdle int) Limits {
	var l Limits
	if maxOpen != 0 {
		l.MaxOpenConns = &maxOpen
	}
	if maxIdle != 0 {
		l.MaxIdleConns = &maxIdle
	}
	return l
}

// readLimits takes null, and a field of another kind, for none: what was stored before there were rules has some.
func readLimits(settings json.RawMessage) Limits {
	o := within(limits.sound(settings))
	var l Limits
	for name, into := range map[string]any{
		fieldMaxOpen: &l.MaxOpenConns, fieldMaxIdle: &l.MaxIdleConns, fieldTimeout: &l.StatementTimeout,
	} {
		if value := o.get(name); value != nil {
			_ = json.Unmarshal(value, into) // which is sound
		}
	}
	return l
}

// or takes from under what l does not have.
func (l Limits) or(under Limits) Limits {
	return Limits{
		MaxOpenConns:     cmp.Or(l.MaxOpenConns, under.MaxOpenConns),
		MaxIdleConns:     cmp.Or(l.MaxIdleConns, under.MaxIdleConns),
		StatementTimeout: cmp.Or(l.StatementTimeout, under.StatementTimeout),
	}
}

// fill adds to settings, as they were put, what they do not say of the limits that count. An empty timeout says nothing.
func (l Limits) fill(settings json.RawMessage) json.RawMessage {
	o := within(settings)
	own := readLimits(settings)
	add := func(name string, value any, missing bool) {
		if missing {
			o.set(name, encode(value))
		}
	}
	add(fieldMaxOpen, l.MaxOpenConns, l.MaxOpenConns != nil && own.MaxOpenConns == nil)
	add(fieldMaxIdle, l.MaxIdleConns, l.MaxIdleConns != nil && own.MaxIdleConns == nil)
	add(fieldTimeout, l.StatementTimeout, l.StatementTimeout != "" && own.StatementTimeout == "")
	if settings == nil && len(o.all()) == 0 {
		return nil
	}
	return o.encode()
}

// settings are the limits as an event has them, where a limit that is not given is 0.
func (l Limits) settings() tenant.ConnectionSettings {
	out := tenant.ConnectionSettings{StatementTimeout: l.StatementTimeout}
	if l.MaxOpenConns != nil {
		out.MaxOpenConns = *l.MaxOpenConns
	}
	if l.MaxIdleConns != nil {
		out.MaxIdleConns = *l.MaxIdleConns
	}
	return out
}

// association are the limits that count where a module has none of its own, and where there is no module.
func (c Connections) association() Limits {
	return readLimits(c.put.get(fieldSettings)).or(c.created)
}

// Limits are those that count for a module: its own, else those of the association. A module that is not there has the
// association's.
func (c Connections) Limits(module string) Limits { return c.limits()(module) }

// limits reads what all modules have once, however many are asked for.
func (c Connections) limits() func(module string) Limits {
	databases, under := within(c.put.get(fieldDatabases)), c.association()
	return func(module string) Limits {
		entry := within(databases.get(module))
		return readLimits(entry.get(fieldSettings)).or(under)
	}
}
