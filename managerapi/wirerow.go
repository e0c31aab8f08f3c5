package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/tenantwatch/tenantwatch/internal/jsonscan"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var errNoRow = errors.New("a row is not a JSON object")

// wireRow is a row of the list as it is read from the wire: each field for itself, so that one of a wrong type spoils no
// other, and by its exact name. Its values are parts of what it was read from, unless they are spelled with escapes.
//
// A name that is not a string is left empty. Without an id or a status that can be read the row is of no use, and has no
// field at all; null is not a string.
type wireRow tenant.Row

// scan reads the row that the data begins with, and returns where it ends, [jsonscan.Odd] or [jsonscan.Cut].
func (r *wireRow) scan(data []byte) int {
	*r = wireRow{}
	usable := true
	o := jsonscan.Open(data)
	for o.Next() {
		if jsonscan.Escaped(o.Name) {
			return jsonscan.Odd
		}
		usable = r.take(o.Name, o.Value) && usable
	}
	if !usable {
		*r = wireRow{}
	}
	return o.End()
}

// UnmarshalJSON reads a row by encoding/json: one that is odd.
func (r *wireRow) UnmarshalJSON(data []byte) error {
	*r = wireRow{}
	dec := json.NewDecoder(bytes.NewReader(data))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return errNoRow
	}
	usable := true
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		usable = r.take([]byte(name.(string)), value) && usable
	}
	if !usable {
		*r = wireRow{}
	}
	return nil
}

// take reads a field, and reports whether the row is still of use.
func (r *wireRow) take(name, value []byte) bool {
	var ok bool
	switch string(name) {
	case "id":
		r.ID, ok = jsonscan.String(value)
		return ok
	case "status":
		r.Status, ok = jsonscan.String(value)
		return ok
	case "name":
		r.Name, _ = jsonscan.String(value) // nothing depends on it
	}
	return true
}
