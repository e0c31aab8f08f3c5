package server

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deeply the JSON of a request may be nested.
const maxDepth = 64

// decode reads one JSON object into into, a pointer to a struct, and refuses what encoding/json would quietly make
// something of: a key that is there twice, or that is a field's but for its case; something behind the object; text that
// is no UTF-8, or has a NUL, which PostgreSQL cannot keep. Keys that are no field's are ignored.
func decode(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("it is not valid UTF-8")
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return errors.New("it is no JSON object")
	}
	c := checker{json.NewDecoder(bytes.NewReader(data))}
	if err := c.value(reflect.TypeOf(into).Elem(), 0); err != nil {
		return err
	}
	if _, err := c.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return inPlainWords(json.Unmarshal(data, into))
}

// checker walks through a JSON text beside the type that it will be decoded into. A nil type is one that has no fields.
type checker struct{ dec *json.Decoder }

func (c checker) value(shape reflect.Type, depth int) error {
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
		err = c.object(shape, depth+1)
	} else {
		err = c.array(shape, depth+1)
	}
	if err == nil {
		_, err = c.next() // the bracket that closes
	}
	return err
}

func (c checker) object(shape reflect.Type, depth int) error {
	fields := fieldsOf(shape)
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
		field, ok := fields[key]
		if !ok {
			if err := checkCase(key, fields); err != nil {
				return err
			}
			field = elementOf(shape)
		}
		if err := c.value(field, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) array(shape reflect.Type, depth int) error {
	for c.dec.More() {
		if err := c.value(elementOf(shape), depth); err != nil {
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

func checkCase(key string, fields map[string]reflect.Type) error {
	for name := range fields {
		if strings.EqualFold(name, key) {
			return fmt.Errorf("the key %.80q has to be spelled %s", key, name)
		}
	}
	return nil
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

func elementOf(shape reflect.Type) reflect.Type {
	shape = plain(shape)
	if shape == nil || shape.Kind() != reflect.Map && shape.Kind() != reflect.Slice {
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
