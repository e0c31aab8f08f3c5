package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/testserver"
)

const sampleFolder = "../../docs/samples/rest"

// sample is a file of the protocol's, as one line of JSON.
func sample(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(sampleFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestBaseLinesOfTheProtocol goes through every base line of the section on REST, in one story. ID stands for the id of
// the tenant that is made in its course. An answer that is a sample has exactly its fields and values, but for ids and
// times; other answers have exactly the body that is written here, none when that is empty.
func TestBaseLinesOfTheProtocol(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { goThroughTheProtocol(t, start(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		goThroughTheProtocol(t, serve(t, openDSN(t, testserver.SharedPostgres(t).Database(t)), func(*Server) {}))
	})
}

func goThroughTheProtocol(t *testing.T, h *served) {
	t.Helper()
	const (
		tenants     = "/v1/tenants"
		one         = "/v1/tenants/ID"
		ledger      = one + "/associations/ledger"
		connections = ledger + "/connections"
		list        = "/v1/tenants/active?service=ledger"
		row         = `[{"id":"ID","name":"Acme Inc.","status":"active"}]`
	)
	create, associate := sample(t, "create-tenant-request.json"), sample(t, "associate-request.json")
	another := strings.Replace(create, "Acme Inc.", "Another", 1)
	settings := connectionsRequest(t)
	steps := []struct {
		method, path, body string
		status             int
		file, want         string
	}{
		{"GET", list, "", 200, "active-tenants-none.json", ""},
		{"POST", tenants, create, 201, "create-tenant-answer.json", ""},
		{"POST", tenants, create, 200, "create-tenant-answer.json", ""},
		{"POST", tenants, another, 409, "error-conflict.json", ""},
		{"GET", one, "", 200, "tenant.json", ""},
		{"GET", tenants + "/nobody", "", 404, "error-not-found.json", ""},
		{"GET", connections, "", 404, "", `{"code":"ASSOCIATION_NOT_FOUND","error":"no association with this service"}`},
		{"POST", ledger, associate, 201, "associate-answer.json", ""},
		{"POST", ledger, associate, 409, "", `{"code":"ALREADY_ASSOCIATED","error":"*"}`},
		{"POST", tenants + "/nobody/associations/ledger", associate, 404, "error-not-found.json", ""},
		{"GET", list, "", 200, "", row},
		{"PATCH", one, `{"name":"Acme 2"}`, 200, "", `{"name":"Acme 2","metadata":{"plan":"gold"}}`},
		{"PATCH", one, sample(t, "update-tenant-request.json"), 200, "", `{"name":"Acme International","metadata":{"plan":"platinum"}}`},
		{"PATCH", one, `{"name":"Acme Inc.","metadata":{"plan":"gold"}}`, 200, "tenant.json", ""},
		{"PATCH", one, `{"name":" "}`, 400, "", `{"code":"INVALID_NAME","error":"name is blank"}`},
		{"GET", connections, "", 200, "", `{"id":"ID","tenantSlug":"acme","tenantName":"Acme Inc.","service":"ledger","status":"active","isolationMode":"isolated","connectionSettings":{"maxOpenConns":25,"maxIdleConns":5}}`},
		{"PUT", connections, settings, 200, "connections.json", ""},
		{"GET", connections, "", 200, "connections.json", ""},
		{"POST", ledger + "/credentials/rotate", "", 202, "", `{"serviceName":"ledger","status":"rotating"}`},
		{"PUT", ledger + "/reactivate", "", 409, "", `{"code":"NOT_SUSPENDED","error":"*"}`},
		{"PUT", ledger + "/suspend", "", 204, "", ""},
		{"PUT", ledger + "/suspend", "", 409, "", `{"code":"ALREADY_SUSPENDED","error":"*"}`},
		{"GET", list, "", 200, "active-tenants-none.json", ""},
		{"GET", connections, "", 403, "error-access-denied.json", ""},
		{"PUT", ledger + "/reactivate", "", 204, "", ""},
		{"GET", list, "", 200, "", row},
		{"PUT", one + "/reactivate", "", 409, "", `{"code":"NOT_SUSPENDED","error":"*"}`},
		{"PUT", one + "/suspend", "", 204, "", ""},
		{"PUT", one + "/suspend", "", 409, "", `{"code":"ALREADY_SUSPENDED","error":"*"}`},
		{"GET", list, "", 200, "active-tenants-none.json", ""},
		{"GET", connections, "", 403, "", `{"code":"TENANT_ACCESS_DENIED","error":"the tenant is suspended","status":"suspended"}`},
		{"POST", one + "/associations/other", associate, 403, "", `{"code":"TENANT_ACCESS_DENIED","error":"the tenant is suspended","status":"suspended"}`},
		{"PUT", one + "/reactivate", "", 204, "", ""},
		{"GET", list, "", 200, "", row},
		{"DELETE", ledger + "?purge=true", "", 204, "", ""},
		{"GET", connections, "", 403, "", `{"code":"TENANT_ACCESS_DENIED","error":"the association is purged","status":"purged"}`},
		{"DELETE", ledger, "", 404, "", `{"code":"ASSOCIATION_NOT_FOUND","error":"no association with this service"}`},
		{"PUT", ledger + "/suspend", "", 404, "", `{"code":"ASSOCIATION_NOT_FOUND","error":"no association with this service"}`},
		{"POST", ledger, associate, 201, "associate-answer.json", ""},
		{"DELETE", ledger, "", 204, "", ""},
		{"GET", connections, "", 404, "", `{"code":"ASSOCIATION_NOT_FOUND","error":"no association with this service"}`},
		{"PUT", connections, "{}", 404, "", `{"code":"ASSOCIATION_NOT_FOUND","error":"no association with this service"}`},
		{"POST", ledger + "/credentials/rotate", "", 404, "", `{"code":"ASSOCIATION_NOT_FOUND","error":"no association with this service"}`},
		{"DELETE", one, "", 204, "", ""},
		{"DELETE", one, "", 404, "error-not-found.json", ""},
		{"GET", one, "", 404, "error-not-found.json", ""},
		{"PUT", one + "/suspend", "", 404, "error-not-found.json", ""},
		{"PUT", one + "/reactivate", "", 404, "error-not-found.json", ""},
		{"POST", tenants, another, 201, "create-tenant-answer.json", ""},
		{"POST", tenants, `{"name":" "}`, 400, "", `{"code":"INVALID_NAME","error":"name is blank"}`},
		{"POST", tenants, strings.Replace(create, "staging", "production", 1), 400, "", `{"code":"WRONG_ENVIRONMENT","error":"this manager's environment is staging"}`},
		{"GET", "/v1/tenants/active", "", 400, "", `{"code":"SERVICE_REQUIRED","error":"the query parameter service is missing"}`},
		{"GET", "/v1/nothing", "", 404, "", `{"code":"NOT_FOUND","error":"there is no such call"}`},
		{"PUT", tenants, "", 405, "", `{"code":"METHOD_NOT_ALLOWED","error":"there is no such call"}`},
	}
	id := ""
	for i, step := range steps {
		got := h.call(t, step.method, strings.Replace(step.path, "ID", id, 1), step.body)
		if i == 1 {
			id = idOf(t, got.body)
		}
		want := strings.ReplaceAll(step.want, `"ID"`, `"`+id+`"`)
		exact := step.file != ""
		if exact {
			want = sample(t, step.file)
		}
		if got.status != step.status {
			t.Errorf("step %d, %s %s: status %d %s, want %d", i, step.method, step.path, got.status, got.body, step.status)
		}
		compareBodies(t, step.method+" "+step.path, got, want)
	}
}

// connectionsRequest sets what the sample of connections shows.
func connectionsRequest(t *testing.T) string {
	t.Helper()
	var shown map[string]json.RawMessage
	if err := json.Unmarshal([]byte(sample(t, "connections.json")), &shown); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]json.RawMessage{
		"databases": shown["databases"], "rabbitmq": shown["rabbitmq"], "connectionSettings": shown["connectionSettings"],
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)

// compareBodies compares arrays as they are. Of an object each field that is wanted has to be there with its value, where
// ids and times only have to be some, and "*" is any text; in an error nothing else may be there but the fields of problem+json.
func compareBodies(t *testing.T, what string, got answer, want string) {
	t.Helper()
	if got.body != "" && got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: Content-Type %q", what, got.header.Get("Content-Type"))
	}
	if want == "" || strings.HasPrefix(want, "[") {
		if got.body != strings.TrimSpace(want) {
			t.Errorf("%s: %q, want %q", what, got.body, want)
		}
		return
	}
	var gotFields, wantFields map[string]any
	if err := json.Unmarshal([]byte(got.body), &gotFields); err != nil {
		t.Errorf("%s: %s: %v", what, got.body, err)
	}
	if err := json.Unmarshal([]byte(want), &wantFields); err != nil {
		t.Fatal(err)
	}
	for name, value := range wantFields {
		text, _ := gotFields[name].(string)
		var same bool
		switch {
		case name == "createdAt" || name == "updatedAt":
			same = rfc3339.MatchString(text)
		case name == "id" || value == "*":
			same = text != ""
		default:
			same = reflect.DeepEqual(gotFields[name], value)
		}
		if !same {
			t.Errorf("%s: %s is %v, want %v", what, name, gotFields[name], value)
		}
	}
	if got.status < 400 {
		return
	}
	for name := range gotFields {
		if _, wanted := wantFields[name]; !wanted && name != "type" && name != "title" && name != "detail" {
			t.Errorf("%s: %s is in %s", what, name, got.body)
		}
	}
}
