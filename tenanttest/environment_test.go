package tenanttest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// TestX01TheManagerNamesItsEnvironment with a list, on a 304 too, another one where a test wants that, and none where it has
// none or sends no versions.
func TestX01TheManagerNamesItsEnvironment(t *testing.T) {
	for name, tc := range map[string]struct {
		opts  []tenanttest.Option
		fault string
		want  string
	}{
		"its own":          {[]tenanttest.Option{tenanttest.WithEnvironment("dev")}, "", "dev"},
		"another":          {[]tenanttest.Option{tenanttest.WithEnvironment("dev")}, "live", "live"},
		"none":             {nil, "", ""},
		"without versions": {[]tenanttest.Option{tenanttest.WithEnvironment("dev"), tenanttest.WithoutVersions()}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := tenanttest.NewManager(append(tc.opts, tenanttest.WithAPIKey("key"))...)
			if tc.fault != "" {
				m.ListEnvironment(-1, tc.fault)
			}
			v, err := m.Fetcher().FetchSnapshot(t.Context(), tenant.SnapshotRequest{Service: "ledger", Each: func(tenant.Row) {}})
			if err != nil || v.Environment != tc.want {
				t.Errorf("the fetcher gives %q, %v; want %q", v.Environment, err, tc.want)
			}
			for _, etag := range []string{"", v.ETag} {
				w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/tenants/active?service=ledger", nil)
				r.Header.Set(managerapi.HeaderAPIKey, "key")
				r.Header.Set("If-None-Match", etag)
				m.ServeHTTP(w, r)
				if got := w.Header().Get(managerapi.HeaderEnvironment); got != tc.want {
					t.Errorf("status %d names %q, want %q", w.Code, got, tc.want)
				}
			}
		})
	}
}
