package managerapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// manager stands in for a tenant manager that has two tenants, of which one is suspended.
func manager(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/tenants/active" {
		w.Header().Set("ETag", `"7"`)
		_, _ = io.WriteString(w, `[{"id":"acme","name":"Acme","status":"active"}]`)
		return
	}
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `{"code":"TENANT_SUSPENDED","error":"the tenant is suspended","status":"suspended"}`)
}

func Example() {
	server := httptest.NewServer(http.HandlerFunc(manager))
	defer server.Close()
	ctx := context.Background()

	client, err := managerapi.NewClient(managerapi.Config{BaseURL: server.URL, APIKey: managerapi.StaticKey("secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	tenants, err := client.GetActiveTenantsByService(ctx, "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range tenants {
		fmt.Println(t.ID, t.Status)
	}

	_, err = client.Connections(ctx, "globex", "ledger")
	var answer *managerapi.Error
	if errors.Is(err, managerapi.ErrAccessDenied) && errors.As(err, &answer) {
		fmt.Println("globex is", answer.TenantStatus)
	}
	// Output:
	// acme active
	// globex is suspended
}

func ExampleClient_FetchSnapshot() {
	server := httptest.NewServer(http.HandlerFunc(manager))
	defer server.Close()
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	list, err := client.FetchSnapshot(context.Background(), tenant.SnapshotRequest{Service: "ledger", Each: func(row tenant.Row) {
		fmt.Println(string(row.ID))
	}})
	fmt.Println(list.ETag, list.NotModified, err)
	// Output:
	// acme
	// "7" false <nil>
}
