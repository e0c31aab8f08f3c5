package managerapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// What a manager sends beyond the fields that have a name here is kept in Other, and goes out again beside them, so that a
// program that reads connections and hands them on loses nothing.

// UnmarshalJSON keeps in Other what has no field.
func (c *Connections) UnmarshalJSON(data []byte) error {
	type plain Connections
	return readWithOther(data, (*plain)(c), func(other map[string]SecretJSON) { c.Other = other })
}

// MarshalJSON writes Other beside the fields.
func (c Connections) MarshalJSON() ([]byte, error) {
	type plain Connections
	return writeWithOther(plain(c), c.Other)
}

// UnmarshalJSON keeps in Other what has no field.
func (d *DatabaseConnections) UnmarshalJSON(data []byte) error {
	type plain DatabaseConnections
	return readWithOther(data, (*plain)(d), func(other map[string]SecretJSON) { d.Other = other })
}

// MarshalJSON writes Other beside the fields.
func (d DatabaseConnections) MarshalJSON() ([]byte, error) {
	type plain DatabaseConnections
	return writeWithOther(plain(d), d.Other)
}

// UnmarshalJSON keeps in Other what has no field.
func (r *UpdateConnectionsRequest) UnmarshalJSON(data []byte) error {
	type plain UpdateConnectionsRequest
	return readWithOther(data, (*plain)(r), func(other map[string]SecretJSON) { r.Other = other })
}

// MarshalJSON writes Other beside the fields.
func (r UpdateConnectionsRequest) MarshalJSON() ([]byte, error) {
	type plain UpdateConnectionsRequest
	return writeWithOther(plain(r), r.Other)
}

// readWithOther gives fields only the names that they have, to the letter: encoding/json takes one in another case for
// the same. Those below them are exact too.
func readWithOther(data []byte, fields any, keep func(other map[string]SecretJSON)) error {
	var all map[string]SecretJSON
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	known := map[string]SecretJSON{}
	for _, name := range fieldsOf(fields) {
		if value, ok := all[name]; ok {
			known[name] = value
			delete(all, name)
		}
	}
	exact, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if err := tenant.Unmarshal(exact, fields); err != nil {
		return err
	}
	keep(nil)
	if len(all) > 0 {
		keep(all)
	}
	return nil
}

// writeWithOther lets a field win over a name in other that is its own.
func writeWithOther(fields any, other map[string]SecretJSON) ([]byte, error) {
	data, err := json.Marshal(fields)
	if err != nil || len(other) == 0 {
		return data, err
	}
	own := fieldsOf(fields)
	data = data[:len(data)-1]
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if slices.Contains(own, name) {
			continue
		}
		member, err := json.Marshal(map[string]SecretJSON{name: other[name]})
		if err != nil {
			return nil, err
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(data, member[1:len(member)-1]...)
	}
	return append(data, '}'), nil
}

// fieldsOf are the JSON names of a struct, or of what a pointer points to.
func fieldsOf(fields any) []string {
	shape := reflect.TypeOf(fields)
	if shape.Kind() == reflect.Pointer {
		shape = shape.Elem()
	}
	var names []string
	for field := range shape.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	return names
}
