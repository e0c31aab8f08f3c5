package contract

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

func TestM09DecodeRefusesWhatIsAmbiguous(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct{ name, body, want string }{
		{"plain", `{"name":"a","metadata":{"k":"v"},"owner":{"email":"e"}}`, ""},
		{"a key that is not a field", `{"name":"a","more":{"x":[1,{"y":null}]}}`, ""},
		{"keys of a map differ in case", `{"metadata":{"k":"1","K":"2"}}`, ""},
		{"deep enough", `{"more":` + deep(maxDepth-1) + `}`, ""},
		{"white space around", " \n{} \t", ""},
		{"a key twice", `{"name":"a","name":"b"}`, "twice"},
		{"a key twice, once in escapes", `{"name":"a","n\u0061me":"b"}`, "twice"},
		{"a key twice inside", `{"owner":{"email":"a","email":"b"}}`, "twice"},
		{"a key twice in a map", `{"metadata":{"k":"1","k":"2"}}`, "twice"},
		{"a key twice where we have no field", `{"more":{"k":1,"k":2}}`, "twice"},
		{"half of a character", `{"name":"a\ud800b"}`, "surrogate"},
		{"the other half", `{"name":"\udc00"}`, "surrogate"},
		{"halves the wrong way round", `{"name":"\udc00\ud800"}`, "surrogate"},
		{"half, and then another character", `{"name":"\ud800\u0041"}`, "surrogate"},
		{"half, behind a backslash", `{"name":"\\\ud800"}`, "surrogate"},
		{"half in a key that is not a field", `{"more":{"\ud800":1}}`, "surrogate"},
		{"a whole character, and what only looks like half", `{"name":"\ud83d\ude00 \\ud800"}`, ""},
		{"too deep", `{"more":` + deep(maxDepth) + `}`, "nested"},
		{"far too deep", `{"more":` + strings.Repeat("[", 20_000) + `}`, "nested"},
		{"garbage behind", `{} x`, "follows"},
		{"a second object", `{}{}`, "follows"},
		{"a bracket behind", `{}}`, "follows"},
		{"an array", `[]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"empty", ``, "not a JSON object"},
		{"cut", `{"name":"a`, "unexpected EOF"},
		{"cut between", `{"name":`, "unexpected EOF"},
		{"invalid UTF-8", "{\"name\":\"\xff\"}", "UTF-8"},
		{"a NUL", `{"name":"a\u0000b"}`, "NUL"},
		{"a NUL in a key", `{"metadata":{"\u0000":"b"}}`, "NUL"},
		{"the wrong kind", `{"name":7}`, "name has a value of the wrong kind, number"},
		{"the wrong kind inside", `{"owner":"x"}`, "owner has a value of the wrong kind, string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var req managerapi.CreateTenantRequest
			err := Decode([]byte(tt.body), &req)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestX21NamesAreExact: encoding/json takes a name in another case for the same, and the last one wins.
func TestX21NamesAreExact(t *testing.T) {
	const body = "{\"name\":\"a\",\"NAME\":\"b\",\"SLUG\":\"c\",\"\u017flug\":\"d\",\"Metadata\":{\"k\":\"v\"},\"owner\":{\"email\":\"e\",\"EMAIL\":\"f\"},\"OWNER\":{\"email\":\"g\"}}"
	var req managerapi.CreateTenantRequest
	if err := Decode([]byte(body), &req); err != nil {
		t.Fatal(err)
	}
	want := managerapi.CreateTenantRequest{Name: "a", Owner: managerapi.Owner{Email: "e"}}
	if !reflect.DeepEqual(req, want) {
		t.Errorf("got %+v, want %+v", req, want)
	}
}
