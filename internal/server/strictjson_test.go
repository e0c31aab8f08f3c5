package server

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

func TestM09DecodeRefusesWhatIsAmbiguous(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct{ name, body, want string }{
		{"plain", `{"name":"a","metadata":{"k":"v"},"owner":{"email":"e"}}`, ""},
		{"a key that is no field", `{"name":"a","more":{"x":[1,{"y":null}]}}`, ""},
		{"keys of a map differ in case", `{"metadata":{"k":"1","K":"2"}}`, ""},
		{"deep enough", `{"more":` + deep(maxDepth-1) + `}`, ""},
		{"white space around", " \n{} \t", ""},
		{"a key twice", `{"name":"a","name":"b"}`, "twice"},
		{"a key twice, once in escapes", `{"name":"a","n\u0061me":"b"}`, "twice"},
		{"a key twice inside", `{"owner":{"email":"a","email":"b"}}`, "twice"},
		{"a key twice in a map", `{"metadata":{"k":"1","k":"2"}}`, "twice"},
		{"a key twice where we have no field", `{"more":{"k":1,"k":2}}`, "twice"},
		{"another case", `{"Name":"a"}`, "spelled name"},
		{"another case beside", `{"name":"a","NAME":"b"}`, "spelled name"},
		{"another case inside", `{"owner":{"EMAIL":"b"}}`, "spelled email"},
		{"a letter that folds to s", "{\"\u017flug\":\"b\"}", "spelled slug"},
		{"too deep", `{"more":` + deep(maxDepth) + `}`, "nested"},
		{"far too deep", `{"more":` + strings.Repeat("[", 20_000) + `}`, "nested"},
		{"garbage behind", `{} x`, "follows"},
		{"a second object", `{}{}`, "follows"},
		{"a bracket behind", `{}}`, "follows"},
		{"an array", `[]`, "no JSON object"},
		{"null", `null`, "no JSON object"},
		{"empty", ``, "no JSON object"},
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
			err := decode([]byte(tt.body), &req)
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

func TestM09DecodeKnowsTheTypesBelowMaps(t *testing.T) {
	var req managerapi.UpdateConnectionsRequest
	if err := decode([]byte(`{"databases":{"a":{"postgresql":{"X":1,"x":2}},"A":{}}}`), &req); err != nil {
		t.Errorf("what is the manager's affair: %v", err)
	}
	if err := decode([]byte(`{"databases":{"a":{"PostgreSQL":{}}}}`), &req); err == nil {
		t.Error("a field of a module in another case passes")
	}
	if err := decode([]byte(`{"rabbitmq":{"x":1,"x":2}}`), &req); err == nil {
		t.Error("a key twice in a value that is kept as it is passes")
	}
}
