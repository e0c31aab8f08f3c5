package server

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

func decoded[T any](t *testing.T, body string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return value
}

func TestAdminListsAndSearchesTenants(t *testing.T) {
	h := start(t)
	has(t, h.want(t, 200, "GET", "/v1/admin/tenants", "").body, `{"tenants":[]}`)
	var ids []string
	for i := range 5 {
		ids = append(ids, h.tenant(t, "Acme "+strconv.Itoa(i)))
	}
	globex := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"Globex"}`).body)
	h.want(t, 204, "PUT", "/v1/tenants/"+ids[1]+"/suspend", "")
	names := func(query string) string {
		t.Helper()
		var out []string
		page := decoded[managerapi.TenantPage](t, h.want(t, 200, "GET", "/v1/admin/tenants?"+query, "").body)
		for _, one := range page.Tenants {
			out = append(out, one.Name)
		}
		return strings.Join(out, ",")
	}
	for query, want := range map[string]string{
		"search=glob": "Globex", "search=" + globex: "Globex", "status=suspended": "Acme 1", "service=ledger&status=active&search=acme": "Acme 0,Acme 2,Acme 3,Acme 4",
		"service=nobody": "",
	} {
		if got := names(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	var all []string
	after := ""
	for range 4 {
		page := decoded[managerapi.TenantPage](t, h.want(t, 200, "GET", "/v1/admin/tenants?limit=2&after="+after, "").body)
		for _, one := range page.Tenants {
			all = append(all, one.Name)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if got := strings.Join(all, ","); got != "Acme 0,Acme 1,Acme 2,Acme 3,Acme 4,Globex" || after != "" {
		t.Errorf("the pages have %q, and the last one says %q", got, after)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "search=%00", "after=%ff", "status=Active"} {
		h.want(t, 400, "GET", "/v1/admin/tenants?"+query, "")
	}
}

func TestAdminListsAssociations(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	h.want(t, 204, "PUT", "/v1/tenants/"+id+"/associations/ledger/suspend", "")
	got := decoded[associationList](t, h.want(t, 200, "GET", "/v1/admin/tenants/"+id+"/associations", "").body)
	if len(got.Associations) != 1 || got.Associations[0].ServiceName != "ledger" || got.Associations[0].Status != "suspended" ||
		got.Associations[0].IsolationMode != "isolated" || got.Associations[0].CreatedAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	h.want(t, 404, "GET", "/v1/admin/tenants/nobody/associations", "")
}

func TestAdminKeys(t *testing.T) {
	h := start(t)
	made := decoded[managerapi.CreatedKey](t, h.want(t, 201, "POST", "/v1/admin/keys", `{"service":"billing","name":"blue"}`).body)
	if made.Service != "billing" || made.Name != "blue" || made.ID == "" || !strings.HasPrefix(string(made.Key), "twk_") {
		t.Errorf("made %+v", made)
	}
	h.want(t, 201, "POST", "/v1/admin/keys", `{"service":"billing","name":"green"}`)
	h.want(t, 409, "POST", "/v1/admin/keys", `{"service":"billing","name":"a third"}`)
	h.want(t, 200, "GET", "/v1/tenants/active?service=billing", "", with("X-API-Key", string(made.Key)))
	h.want(t, 204, "DELETE", "/v1/admin/keys/"+made.ID, "")
	body := h.want(t, 200, "GET", "/v1/admin/keys?service=billing", "").body
	list := decoded[keyList](t, body)
	if len(list.Keys) != 2 || list.Keys[0].RevokedAt.IsZero() || !list.Keys[1].RevokedAt.IsZero() || list.Keys[0].LastUsedAt.IsZero() {
		t.Errorf("keys %s", body)
	}
	if strings.Contains(body, string(made.Key)) {
		t.Error("the list shows a key")
	}
	if all := decoded[keyList](t, h.want(t, 200, "GET", "/v1/admin/keys", "").body); len(all.Keys) != 3 {
		t.Errorf("%d keys in all, want 3", len(all.Keys))
	}
	for _, body := range []string{`{"name":"a"}`, `{"service":" "}`, `{"service":"a\nb"}`, `{"service":"a","name":"` + strings.Repeat("n", 201) + `"}`} {
		h.want(t, 400, "POST", "/v1/admin/keys", body)
	}
}

func TestAdminTokens(t *testing.T) {
	h := start(t)
	made := decoded[managerapi.CreatedToken](t, h.want(t, 201, "POST", "/v1/admin/tokens", `{"name":"ops"}`).body)
	h.want(t, 200, "GET", "/v1/admin/tokens", "", with("Authorization", "bearer "+string(made.Token)))
	list := decoded[tokenList](t, h.want(t, 200, "GET", "/v1/admin/tokens", "").body)
	if len(list.Tokens) != 2 || list.Tokens[1].Name != "ops" || list.Tokens[1].ID != made.ID {
		t.Errorf("tokens %+v", list)
	}
	h.want(t, 404, "DELETE", "/v1/admin/keys/"+made.ID, "")
	h.want(t, 204, "DELETE", "/v1/admin/tokens/"+made.ID, "")
	h.want(t, 401, "GET", "/v1/admin/tokens", "", with("Authorization", "Bearer "+string(made.Token)))
}

func TestAdminOutboxAndEvents(t *testing.T) {
	h := start(t)
	has(t, h.want(t, 200, "GET", "/v1/admin/events", "").body, `"events":[],"next":0`)
	h.tenant(t, "Acme")
	epoch := versionOf(t, h).Epoch
	body := h.want(t, 200, "GET", "/v1/admin/outbox", "").body
	has(t, body, `{"epoch":"`+epoch+`","newest":2,"sent":0,"pending":2,"quarantined":0,"oldest":"`)
	stored, err := h.store.Pending(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"epoch":"` + epoch + `","events":[` + string(stored[1].Data) + `],"next":2}`
	if got := h.want(t, 200, "GET", "/v1/admin/events?after=1&limit=5", "").body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	has(t, h.want(t, 200, "GET", "/v1/admin/events?after=2", "").body, `"events":[],"next":2`)
	has(t, h.want(t, 410, "GET", "/v1/admin/events?after=3", "").body, `"code":"EVENTS_GONE"`)
	h.want(t, 400, "GET", "/v1/admin/events?after=x", "")
	if err := h.store.MarkSent(t.Context(), stored[0].Ref(), stored[1].Ref()); err != nil {
		t.Fatal(err)
	}
	if body := h.want(t, 200, "GET", "/v1/admin/outbox", "").body; !strings.HasSuffix(body, `"newest":2,"sent":2,"pending":0,"quarantined":0}`) {
		t.Errorf("the outbox, all sent: %s", body)
	}
}
