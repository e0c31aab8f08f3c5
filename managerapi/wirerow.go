package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/tenantwatch/tenantwatch/tenant"
)

var errNoRow = errors.New("a row is not a JSON object")

// wireRow is a row of the list as it is read from the wire: each field for itself, so that one of a wrong type spoils no
// other, and by its exact name. It is a hot path: of 200,000 rows each is a few of these. The bytes are used again for the next row.
type wireRow tenant.Row

// UnmarshalJSON reads a row. A name that is not a string is left empty. Without an id or a status that can be read the
// row is of no use, and has no field at all; null is not a string.
func (r *wireRow) UnmarshalJSON(data []byte) error {
	r.clear()
	if len(data) == 0 || data[0] != '{' {
		return errNoRow
	}
	usable := true
	for rest := data[1:]; ; {
		var key, value []byte
		if key, value, rest = nextField(rest); key == nil {
			break
		}
		switch string(key) {
		case "id":
			usable = readField(value, &r.ID) && usable
		case "status":
			usable = readField(value, &r.Status) && usable
		case "name":
			_ = readField(value, &r.Name) // nothing depends on it
		}
	}
	if !usable {
		r.clear()
	}
	return nil
}

func (r *wireRow) clear() { r.ID, r.Name, r.Status = r.ID[:0], r.Name[:0], r.Status[:0] }

// readField reads a string, and reports whether the value is one.
func readField(value []byte, field *[]byte) bool {
	*field = (*field)[:0]
	if value[0] != '"' {
		return false
	}
	*field = append(*field, unquote(value)...)
	return true
}

// nextField cuts the first field off what is left of an object, which the decoder has found to be well-formed. The key is
// nil where there is none.
func nextField(rest []byte) (key, value, after []byte) {
	rest = bytes.TrimLeft(rest, whiteSpace+",")
	if rest[0] == '}' {
		return nil, nil, nil
	}
	end := stringEnd(rest)
	key = unquote(rest[:end])
	rest = bytes.TrimLeft(rest[end:], whiteSpace+":")
	end = valueEnd(rest)
	return key, rest[:end], rest[end:]
}

// unquote returns what a JSON string says.
func unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if !bytes.ContainsFunc(inner, func(c rune) bool { return c == '\\' || c > '~' }) {
		return inner
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // the decoder has found it to be well-formed
	return []byte(s)
}

// valueEnd returns where the value ends that data begins with.
func valueEnd(data []byte) int {
	if data[0] == '"' {
		return stringEnd(data)
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += stringEnd(data[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i // of the object around a number or a word
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}

// stringEnd returns where the string ends that data begins with.
func stringEnd(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}
