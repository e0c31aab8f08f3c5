package server

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"
)

// TestX38AKeyCannotTellWhetherATenantIsThere: by no call that it may make.
func TestX38AKeyCannotTellWhetherATenantIsThere(t *testing.T) {
	h := start(t)
	theirs := h.tenant(t, "Acme")
	key := with("X-API-Key", makeKey(t, h.store, "payments"))
	for _, path := range []string{"", "/associations/payments/connections", "/associations/ledger/connections", "/associations/nobody/connections"} {
		there, missing := h.call(t, "GET", "/v1/tenants/"+theirs+path, "", key, without("Authorization")), h.call(t, "GET", "/v1/tenants/nobody"+path, "", key, without("Authorization"))
		odd := h.call(t, "GET", "/v1/tenants/-"+path, "", key, without("Authorization"))
		if there.status != http.StatusNotFound || there.body != missing.body || odd.body != missing.body {
			t.Errorf("%s: %d %s\nnot there: %d %s\nno id: %s", path, there.status, there.body, missing.status, missing.body, odd.body)
		}
	}
}

// TestX38ATenantThatNoServiceHas is for tokens, whether it never had one, has left its last, or that one was purged.
func TestX38ATenantThatNoServiceHas(t *testing.T) {
	h := start(t)
	left := h.tenant(t, "Acme")
	h.want(t, 204, "DELETE", "/v1/tenants/"+left+"/associations/ledger", "")
	fresh := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"Fresh"}`).body)
	stranger := with("X-API-Key", makeKey(t, h.store, "payments"))
	purged := h.tenant(t, "Purged")
	h.want(t, 200, "GET", "/v1/tenants/"+purged, "", without("Authorization"))
	h.want(t, 204, "DELETE", "/v1/tenants/"+purged+"/associations/ledger?purge=true", "")
	for _, id := range []string{left, fresh, purged} {
		h.want(t, 404, "GET", "/v1/tenants/"+id, "", stranger, without("Authorization"))
		h.want(t, 404, "GET", "/v1/tenants/"+id, "", without("Authorization"))
		h.want(t, 200, "GET", "/v1/tenants/"+id, "", without("X-API-Key"))
		h.want(t, 200, "GET", "/v1/tenants/"+id, "", stranger)
	}
}

// TestX38EventsAreOfTenantsOfTheService: what happens to another service's tenants is not in the stream, whatever happens.
func TestX38EventsAreOfTenantsOfTheService(t *testing.T) {
	h := start(t)
	payments := makeKey(t, h.store, "payments")
	f := h.follow(t, "/v1/tenants/events?service=payments", "", with("X-API-Key", payments))
	f.nextOf(t, "heartbeat")
	theirs := h.tenant(t, "Acme")
	h.want(t, 200, "PATCH", "/v1/tenants/"+theirs, `{"name":"Acme 2"}`)
	h.want(t, 204, "PUT", "/v1/tenants/"+theirs+"/suspend", "")
	h.want(t, 204, "PUT", "/v1/tenants/"+theirs+"/reactivate", "")
	h.want(t, 204, "DELETE", "/v1/tenants/"+theirs, "")
	ours := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"Globex"}`).body)
	h.want(t, 201, "POST", "/v1/tenants/"+ours+"/associations/payments", `{}`)
	h.want(t, 204, "PUT", "/v1/tenants/"+ours+"/associations/payments/suspend", "")
	h.want(t, 204, "PUT", "/v1/tenants/"+ours+"/suspend", "")
	h.want(t, 204, "PUT", "/v1/tenants/"+ours+"/reactivate", "")
	h.want(t, 204, "DELETE", "/v1/tenants/"+ours, "")
	for _, want := range []string{"service.associated", "service.suspended", "suspended", "activated", "deleted"} {
		has(t, f.nextOf(t, "").data, `"tenant.`+want+`"`, ours)
	}
	again := h.follow(t, "/v1/tenants/events?service=payments", versionOf(t, h).Epoch+":0", with("X-API-Key", payments))
	has(t, again.nextOf(t, "").data, `"tenant.service.associated"`, ours)
}

// TestX38EventsFromBeforeItWasNotedWhoseTheyAre are for tokens. A key that would have to be
// given some reads the list instead, and is not told that there were none.
func TestX38EventsFromBeforeItWasNotedWhoseTheyAre(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.db")
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {})
	h.tenant(t, "Acme") // created, and associated with ledger
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE outbox SET services = NULL`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	const events = "/v1/tenants/events?service="
	epoch, payments := versionOf(t, h).Epoch, with("X-API-Key", makeKey(t, h.store, "payments"))
	if f := h.follow(t, events+"payments", epoch+":0", payments); f.status != http.StatusGone {
		t.Errorf("a key gets %d", f.status)
	}
	has(t, h.follow(t, events+"ledger", epoch+":1").nextOf(t, "").data, `"tenant.service.associated"`) // it says whose it is
	if f := h.follow(t, events+"payments", epoch+":1", payments); f.nextOf(t, "heartbeat").id != epoch+":2" {
		t.Error("it does not come past what is known to be another's")
	}
}
