package server

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deeply the JSON of a request may be nested.
const maxDepth = 64

// decode reads one JSON object into into, a pointer to a struct, and refuses what encoding/json would quietly make
// something of: a key that is there twice; something behind the object; text that is not UTF-8, or has half of a surrogate
// pair, or a NUL, which PostgreSQL cannot keep. Keys that are not a field's to the letter are ignored.
func decode(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not valid UTF-8")
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return errors.New("it is no JSON object")
	}
	c := checker{json.NewDecoder(bytes.NewReader(data))}
	if err := c.value(0); err != nil {
		return err
	}
	if _, err := c.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	if hasLoneSurrogate(data) {
		return errors.New(`a text in it has half of a surrogate pair, such as \ud800 alone`)
	}
	return exact(data, into)
}

// exact reads the fields whose names are there to the letter: encoding/json takes one in another case for the same.
func exact(data []byte, into any) error {
	kept, err := only(data, reflect.TypeOf(into).Elem())
	if err != nil {
		return err
	}
	return inPlainWords(json.Unmarshal(kept, into))
}

// only leaves out of a JSON text the keys that are not a field's of the type that it will be decoded into.
func only(data json.RawMessage, shape reflect.Type) (json.RawMessage, error) {
	fields, element := fieldsOf(shape), elementOf(shape)
	if fields == nil && fieldsOf(element) == nil {
		return data, nil
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return data, nil // of another kind, which decoding it says
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	for name, value := range members {
		field := element
		if fields != nil {
			if field = fields[name]; field == nil {
				delete(members, name)
				continue
			}
		}
		kept, err := only(value, field)
		if err != nil {
			return nil, err
		}
		members[name] = kept
	}
	return json.Marshal(members)
}

// hasLoneSurrogate looks through a JSON text that is known to be one. encoding/json would make U+FFFD of it, which is not
// what was sent.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // what is escaped; a backslash too
		if data[i] != 'u' {
			continue
		}
		first := codeUnit(data[i+1:])
		if !utf16.IsSurrogate(first) {
			continue
		}
		rest := data[i+5:]
		if !bytes.HasPrefix(rest, []byte(`\u`)) || utf16.DecodeRune(first, codeUnit(rest[2:])) == unicode.ReplacementChar {
			return true
		}
		i += 10 // both of the pair
	}
	return false
}

func codeUnit(hex []byte) rune {
	n, err := strconv.ParseUint(string(hex[:4]), 16, 16)
	if err != nil {
		return unicode.ReplacementChar
	}
	return rune(n)
}

// checker walks through a JSON text.
type checker struct{ dec *json.Decoder }

func (c checker) value(depth int) error {
	token, err := c.next()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("it is nested more deeply than %d", maxDepth)
	}
	if delim == '{' {
		err = c.object(depth + 1)
	} else {
		err = c.array(depth + 1)
	}
	if err == nil {
		_, err = c.next() // the bracket that closes
	}
	return err
}

func (c checker) object(depth int) error {
	seen := map[string]bool{}
	for c.dec.More() {
		token, err := c.next()
		if err != nil {
			return err
		}
		key := token.(string) // the decoder lets nothing else pass
		if seen[key] {
			return fmt.Errorf("the key %.80q is there twice", key)
		}
		seen[key] = true
		if err := c.value(depth); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) array(depth int) error {
	for c.dec.More() {
		if err := c.value(depth); err != nil {
			return err
		}
	}
	return nil
}

// next refuses a NUL wherever it stands.
func (c checker) next() (json.Token, error) {
	token, err := c.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if text, ok := token.(string); ok && strings.ContainsRune(text, 0) {
		return nil, errors.New("a text in it has a NUL")
	}
	return token, nil
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fieldsOf returns the fields of a struct by their JSON names, and nothing for a type that reads its JSON itself.
func fieldsOf(shape reflect.Type) map[string]reflect.Type {
	shape = plain(shape)
	if shape == nil || shape.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Type{}
	for field := range shape.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			fields[name] = field.Type
		}
	}
	return fields
}

// elementOf is the type below a map. No request has a list of structs.
func elementOf(shape reflect.Type) reflect.Type {
	shape = plain(shape)
	if shape == nil || shape.Kind() != reflect.Map {
		return nil
	}
	return shape.Elem()
}

// plain follows pointers. It returns nil for a type whose JSON is its own affair.
func plain(shape reflect.Type) reflect.Type {
	if shape == nil {
		return nil
	}
	if shape.Kind() == reflect.Pointer {
		shape = shape.Elem()
	}
	if pointer := reflect.PointerTo(shape); pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler) {
		return nil
	}
	return shape
}

// inPlainWords leaves out the names of Go types, which mean nothing to a client.
func inPlainWords(err error) error {
	var wrongType *json.UnmarshalTypeError
	if !errors.As(err, &wrongType) {
		return err
	}
	kind, _, _ := strings.Cut(wrongType.Value, " ")
	return fmt.Errorf("%s has a value of the wrong kind, %s", wrongType.Field, kind)
}
