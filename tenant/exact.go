package tenant

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// Unmarshal is like json.Unmarshal, but the names of members are case-sensitive. A member whose name differs from that
// of a field in case is ignored, like every unknown member. encoding/json would accept it: a "Tenant_ID" after
// "tenant_id" would then turn the event into that of another tenant.
func Unmarshal(data []byte, into any) error {
	if !json.Valid(data) || reflect.ValueOf(into).Kind() != reflect.Pointer || !hasFields(reflect.TypeOf(into)) {
		return json.Unmarshal(data, into)
	}
	exact, err := keepExact(data, reflect.TypeOf(into))
	if err != nil {
		return err
	}
	return json.Unmarshal(exact, into)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// keepExact returns the JSON without the members that are not a field of the type by their exact name. What does not fit
// the type stays for json.Unmarshal to refuse.
func keepExact(data json.RawMessage, shape reflect.Type) (json.RawMessage, error) {
	for shape.Kind() == reflect.Pointer && !shape.Implements(unmarshaler) {
		shape = shape.Elem()
	}
	if shape.Implements(unmarshaler) || reflect.PointerTo(shape).Implements(unmarshaler) {
		return data, nil
	}
	switch shape.Kind() {
	case reflect.Struct:
		return keepMembers(data, jsonFields(shape))
	case reflect.Map:
		if hasFields(shape.Elem()) {
			return keepMembers(data, anyField{shape.Elem()})
		}
	case reflect.Slice, reflect.Array:
		if hasFields(shape.Elem()) {
			return keepElements(data, shape.Elem())
		}
	default:
	}
	return data, nil
}

// hasFields reports whether there can be names to compare in a value of the type.
func hasFields(shape reflect.Type) bool {
	const most = 16 // a type may hold itself
	for range most {
		switch shape.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Array:
			shape = shape.Elem()
		default:
			return shape.Kind() == reflect.Struct
		}
	}
	return true
}

// fields says of which type a member is, and whether there is one of that name.
type fields interface {
	field(name string) (reflect.Type, bool)
}

type namedFields map[string]reflect.Type

func (f namedFields) field(name string) (reflect.Type, bool) { shape, ok := f[name]; return shape, ok }

// anyField is a map's: every name is one.
type anyField struct{ shape reflect.Type }

func (f anyField) field(string) (reflect.Type, bool) { return f.shape, true }

func keepMembers(data json.RawMessage, known fields) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(data, &members) // what is not an object stays as it is, for json.Unmarshal to say in its own words
	changed := false
	for name, value := range members {
		shape, ok := known.field(name)
		if !ok {
			delete(members, name)
			changed = true
			continue
		}
		exact, err := keepExact(value, shape)
		if err != nil {
			return nil, err
		}
		changed = changed || !bytes.Equal(exact, value)
		members[name] = exact
	}
	return marshalIf(changed, data, members)
}

func keepElements(data json.RawMessage, shape reflect.Type) (json.RawMessage, error) {
	var elements []json.RawMessage
	_ = json.Unmarshal(data, &elements) // the same for what is not an array
	changed := false
	for i, element := range elements {
		exact, err := keepExact(element, shape)
		if err != nil {
			return nil, err
		}
		changed = changed || !bytes.Equal(exact, element)
		elements[i] = exact
	}
	return marshalIf(changed, data, elements)
}

// marshalIf leaves what was not changed as it came, byte for byte.
func marshalIf(changed bool, data json.RawMessage, parts any) (json.RawMessage, error) {
	if !changed {
		return data, nil
	}
	return json.Marshal(parts)
}

// jsonFields returns the fields of a struct by their JSON names, those of embedded structs among them.
func jsonFields(shape reflect.Type) namedFields {
	found := namedFields{}
	for _, field := range reflect.VisibleFields(shape) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported() || field.Anonymous && name == "":
		case name == "":
			found[field.Name] = field.Type
		default:
			found[name] = field.Type
		}
	}
	return found
}
