package contract

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestX14NothingIsStoredTwice: a name that one change removes and sets again has one place.
func TestX14NothingIsStoredTwice(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		bodies     []string
	}{
		{"a module that is removed and set by a flat field", `{"databases":{"x":{"connectionSettings":{"maxOpenConns":5}}}}`, []string{
			`{"databases":{"x":{"connectionSettings":{"maxOpenConns":3}}}}`, `{"databases":{"x":null},"module":"x","maxOpenConns":5}`,
		}},
		{"a limit of both spellings", `{"connectionSettings":{"maxOpenConns":7}}`, []string{
			`{"connectionSettings":{"maxOpenConns":3}}`, `{"connectionSettings":{"maxOpenConns":null},"maxOpenConns":7}`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := after(t, Connections{}, tt.bodies...)
			stored := c.put.encode()
			if string(stored) != tt.want {
				t.Errorf("stored is %s, want %s", stored, tt.want)
			}
			wantEachOnce(t, stored)
		})
	}
}

// wantEachOnce holds that no object of data has a name twice.
func wantEachOnce(t *testing.T, data []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	var value func() bool
	value = func() bool {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		seen := map[json.Token]bool{}
		for (token == json.Delim('{') || token == json.Delim('[')) && dec.More() {
			if token == json.Delim('{') {
				name, _ := dec.Token() // it was read before
				if seen[name] {
					t.Errorf("%q is stored twice: %s", name, data)
				}
				seen[name] = true
			}
			if !value() {
				return false
			}
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			_, err = dec.Token()
		}
		return err == nil
	}
	if !value() {
		t.Errorf("%s cannot be read", data)
	}
}
