package server

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// openAPI is what the tests look at.
type openAPI struct {
	Servers []struct{ URL string }
	Paths   map[string]map[string]struct {
		OperationID string
		Parameters  []struct {
			Name   string
			Schema map[string]any
		}
		Responses map[string]any
	}
}

func describedBy(t *testing.T) (openAPI, string) {
	t.Helper()
	text := start(t).want(t, 200, "GET", "/openapi.json", "", without("X-API-Key"), without("Authorization")).body
	var doc openAPI
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, text
}

func TestX22ParametersHaveTheirTypes(t *testing.T) {
	doc, text := describedBy(t)
	if path := os.Getenv("OPENAPI_DOCUMENT"); path != "" { // for a look at it
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"limit": "integer", "revision": "integer", "force": "boolean", "purge": "boolean"}
	seen := map[string]bool{}
	for path, calls := range doc.Paths {
		for method, call := range calls {
			for _, param := range call.Parameters {
				kind := want[param.Name]
				switch {
				case param.Name == "after" && call.OperationID != "list-tenants":
					kind = "integer"
				case kind == "":
					kind = "string"
				}
				seen[param.Name] = true
				if param.Schema["type"] != kind {
					t.Errorf("%s of %s %s is %v, want %s", param.Name, method, path, param.Schema, kind)
				}
			}
		}
	}
	for _, name := range []string{"limit", "after", "revision", "force", "purge"} {
		if !seen[name] {
			t.Errorf("no call has %s", name)
		}
	}
}

func TestX22EveryCallSaysHowItIsRefused(t *testing.T) {
	doc, text := describedBy(t)
	if len(doc.Servers) != 1 || doc.Servers[0].URL != "/" {
		t.Errorf("the servers are %v", doc.Servers)
	}
	for path, calls := range doc.Paths {
		for method, call := range calls {
			for _, status := range []string{"400", "401", "503", "default"} {
				if call.Responses[status] == nil {
					t.Errorf("%s %s has no %s", method, path, status)
				}
			}
			if strings.Contains(path, "{") && call.Responses["404"] == nil {
				t.Errorf("%s %s has no 404", method, path)
			}
		}
	}
	for _, part := range []string{`"postgresqlReplica":{"$ref":"#/components/schemas/PostgreSQL"`, `"services":{`, `/cache/invalidate":{`} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in it", part)
		}
	}
}
