package contract

import "encoding/json"

// soundPut is what was stored, by a program that had fewer rules, as readers can take it: one known field of another type
// fails their whole decode, and a flat rabbitmq does.
func soundPut(put object) object {
	rabbitmq := put.get(fieldRabbitMQ)
	flat := isFlat(rabbitmq)
	if flat {
		put.remove(fieldRabbitMQ)
	}
	out := within(body.sound(put.encode()))
	removeTheManagers(&out)
	if flat {
		messaging := within(out.get(fieldMessaging))
		messaging.set(fieldRabbitMQ, body.fields[fieldMessaging].fields[fieldRabbitMQ].sound(rabbitmq))
		out.set(fieldMessaging, messaging.encode())
	}
	return out
}

// sound is value without the known fields that are null, or of another kind than they have to be. Nothing is made of a value
// that could mean two things: a timeout of 30 may be seconds or milliseconds. Nil is a value that is not one of s itself.
func (s *shape) sound(value json.RawMessage) json.RawMessage {
	if len(value) == 0 || isNull(value) {
		return nil
	}
	if s.fits != nil {
		if s.fits(value) {
			return value
		}
		return nil
	}
	o, ok := readObject(value)
	if !ok {
		return nil
	}
	for _, m := range o.all() {
		field := s.fields[m.name]
		if s.each != nil {
			field = s.each
		}
		if field == nil {
			continue
		}
		if sound := field.sound(m.value); sound != nil {
			o.set(m.name, sound)
		} else {
			o.remove(m.name)
		}
	}
	return o.encode()
}

// sound are the limits that a PUT could have set.
func (l Limits) sound() Limits {
	if l.MaxOpenConns != nil && !isLimit(*l.MaxOpenConns) {
		l.MaxOpenConns = nil
	}
	if l.MaxIdleConns != nil && !isLimit(*l.MaxIdleConns) {
		l.MaxIdleConns = nil
	}
	return l
}
