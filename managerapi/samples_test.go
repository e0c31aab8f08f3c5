package managerapi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const sampleFolder = "../docs/samples/rest/"

// wireTypes says which type each sample of the protocol's REST part is decoded as.
var wireTypes = map[string]any{
	"active-tenants.json":        &[]tenant.Summary{},
	"active-tenants-none.json":   &[]tenant.Summary{},
	"changes.json":               &managerapi.Changes{},
	"create-tenant-request.json": &managerapi.CreateTenantRequest{},
	"create-tenant-answer.json":  &managerapi.CreatedTenant{},
	"update-tenant-request.json": &managerapi.UpdateTenantRequest{},
	"tenant.json":                &managerapi.Tenant{},
	"associate-request.json":     &managerapi.CreateAssociationRequest{},
	"associate-answer.json":      &managerapi.Association{},
	"connections.json":           &managerapi.Connections{},

	"update-connections-request.json": &managerapi.UpdateConnectionsRequest{},
	"update-limits-request.json":      &managerapi.UpdateConnectionsRequest{},
	"invalidate-cache-request.json":   &managerapi.InvalidateCacheRequest{},
	"error-no-association.json": &struct {
		managerapi.ErrorBody

		Services []string `json:"services"`
	}{},

	"error-not-found.json":     &managerapi.ErrorBody{},
	"error-conflict.json":      &managerapi.ErrorBody{},
	"error-access-denied.json": &managerapi.ErrorBody{},
}

func TestEverySampleOfRESTGoesThroughItsWireType(t *testing.T) {
	for name, value := range wireTypes {
		t.Run(name, func(t *testing.T) {
			sample := readSample(t, name)
			decoder := json.NewDecoder(bytes.NewReader(sample))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(value); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := plain(t, again), plain(t, sample); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestEverySampleOfRESTHasAWireType(t *testing.T) {
	paths, err := filepath.Glob(sampleFolder + "*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if _, ok := wireTypes[name]; !ok && name != "error-problem.json" {
			t.Errorf("no test decodes %s", name)
		}
	}
}

func TestSampleErrorsSayWhatTheProtocolSays(t *testing.T) {
	tests := []struct {
		file string
		want managerapi.ErrorBody
	}{
		{"error-not-found.json", managerapi.ErrorBody{Code: "TENANT_NOT_FOUND", Error: "tenant not found"}},
		{"error-access-denied.json", managerapi.ErrorBody{Code: "TENANT_ACCESS_DENIED", Error: "the association is suspended", Status: tenant.StatusSuspended}},
		{"error-problem.json", managerapi.ErrorBody{Code: "UNAVAILABLE", Error: "the database does not answer"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			var got managerapi.ErrorBody
			if err := json.Unmarshal(readSample(t, tt.file), &got); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func readSample(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(sampleFolder + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// plain decodes JSON into maps and slices, so that two texts can be compared by what they say.
func plain(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
