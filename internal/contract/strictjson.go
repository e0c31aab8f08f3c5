package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// maxDepth is how deeply the JSON of a request may be nested.
const maxDepth = 64

// Decode reads the body of a request, one JSON object, into into, a pointer to a struct, and refuses what encoding/json
// would quietly make something of: a key that is there twice; something behind the object; text that is not UTF-8, or has
// half of a surrogate pair, or a NUL, which PostgreSQL cannot keep. Keys that are not a field's to the letter are ignored.
// What it refuses is an *[Invalid].
func Decode(data []byte, into any) error {
	err := strict(data)
	if err == nil {
		err = inPlainWords(tenant.Unmarshal(data, into))
	}
	if _, ours := errors.AsType[*Invalid](err); err == nil || ours {
		return err
	}
	return &Invalid{Code: codeBody, Message: "the body cannot be used: " + err.Error()}
}

func strict(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("it is not valid UTF-8")
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return errors.New("it is not a JSON object")
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
	return nil
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

// inPlainWords leaves out the names of Go types, which mean nothing to a client.
func inPlainWords(err error) error {
	var wrongType *json.UnmarshalTypeError
	if !errors.As(err, &wrongType) {
		return err
	}
	kind, _, _ := strings.Cut(wrongType.Value, " ")
	return fmt.Errorf("%s has a value of the wrong kind, %s", wrongType.Field, kind)
}
