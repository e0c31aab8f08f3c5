package contract

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// object is a JSON object whose members keep their order and, to the byte, their values: what nobody here knows is handed
// on as it came.
type object struct {
	members []member
	at      map[string]int
}

// member without a value was removed.
type member struct {
	name  string
	value json.RawMessage
}

var emptyObject = json.RawMessage(`{}`)

// readObject reports false for what is not an object. The zero object is an empty one.
func readObject(data json.RawMessage) (object, bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return object{}, false
	}
	var o object
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return object{}, false
		}
		o.set(name, value)
	}
	return o, true
}

// within is readObject for where anything else counts as nothing.
func within(data json.RawMessage) object {
	o, _ := readObject(data)
	return o
}

func (o *object) get(name string) json.RawMessage {
	if i, ok := o.at[name]; ok {
		return o.members[i].value
	}
	return nil
}

func (o *object) set(name string, value json.RawMessage) {
	if o.at == nil {
		o.at = map[string]int{}
	}
	if i, ok := o.at[name]; ok {
		o.members[i].value = value
		return
	}
	o.at[name] = len(o.members)
	o.members = append(o.members, member{name, value})
}

func (o *object) remove(name string) {
	if i, ok := o.at[name]; ok {
		o.members[i].value = nil
	}
}

// all are the members that are there, in the order in which they came.
func (o *object) all() []member {
	var out []member
	for _, m := range o.members {
		if m.value != nil {
			out = append(out, m)
		}
	}
	return out
}

// encode writes the members that are there.
func (o *object) encode() json.RawMessage {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o.all() {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(encode(m.name))
		out.WriteByte(':')
		out.Write(m.value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// encode is for values that are known to have a JSON form.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("contract: " + err.Error())
	}
	return data
}

// merge changes target, an object or nothing, by patch as RFC 7396 says.
func merge(target, patch json.RawMessage) json.RawMessage {
	return readTree(target).merge(readTree(patch), false).encode()
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }

// same reports whether two texts, or none, say the same.
func same(a, b json.RawMessage) bool {
	return bytes.Equal(a, b) || reflect.DeepEqual(plain(a), plain(b))
}

// plain keeps numbers as they are written: two that differ past the fifteenth digit are not the same.
func plain(data json.RawMessage) any {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if dec.Decode(&value) != nil {
		return nil
	}
	return value
}
