package server

import (
	"net/http"
	"strings"
	"testing"
)

// TestX23TheAddressBehindAProxy: a proxy that is trusted says it, and nobody else.
func TestX23TheAddressBehindAProxy(t *testing.T) {
	trusted, err := parseProxies([]string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::ffff:172.16.0.0/108", "::ffff:192.0.2.77", "fe80::/10"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.9:1", nil, "203.0.113.9"},
		{"203.0.113.9:1", []string{"198.51.100.7"}, "203.0.113.9"}, // anybody can write that
		{"10.1.1.1:1", nil, "10.1.1.1"},
		{"10.1.1.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"10.1.1.1:1", []string{"1.2.3.4, 198.51.100.7"}, "198.51.100.7"}, // the first is the client's own word
		{"10.1.1.1:1", []string{"198.51.100.7, 192.0.2.1", "10.9.9.9"}, "198.51.100.7"},
		{"10.1.1.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"10.1.1.1:1", []string{"[2001:db9::1]:4711"}, "2001:db9::1"},
		{"[2001:db8::5]:1", []string{"2001:db9::1"}, "2001:db9::1"},
		{"[::ffff:10.1.1.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"10.1.1.1:1", []string{"unknown"}, "10.1.1.1"},
		{"172.16.9.9:1", []string{"198.51.100.7"}, "198.51.100.7"}, // the network is written as one of IPv6
		{"172.32.0.1:1", []string{"198.51.100.7"}, "172.32.0.1"},
		{"192.0.2.77:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"[fe80::1%eth0]:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"10.1.1.1:1", []string{"198.51.100.7, unknown, 10.2.2.2"}, "10.2.2.2"},
		{"10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"}, // all of them are ours
		{"10.1.1.1:1", []string{""}, "10.1.1.1"},
		{"10.1.1.1:1", []string{strings.Repeat("a,", 1000)}, "10.1.1.1"},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := trusted.address(r); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
	}
	for _, odd := range []string{"", "proxy.example", "10.0.0.0/33", "10.0.0.0/8/8", "::ffff:0.0.0.0/90", "fe80::1%eth0", "fe80::%eth0/10"} {
		if _, err := New(Config{Store: openStore(t), TrustedProxies: []string{odd}}); err == nil {
			t.Errorf("%q was taken for a proxy", odd)
		}
	}
}

// TestX23TheLogAndTheAuditHaveTheAddress of the client, and not the proxy's.
func TestX23TheLogAndTheAuditHaveTheAddress(t *testing.T) {
	h := start(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.0/8"} })
	h.want(t, 201, "POST", "/v1/tenants", `{"name":"Acme"}`, with("X-Forwarded-For", "6.6.6.6, 198.51.100.7"))
	eventually(t, "a line", func() bool { return strings.Contains(h.log.String(), "remote=198.51.100.7") })
	rows, err := h.store.Audit(t.Context(), 0, 100)
	if err != nil || len(rows) == 0 || rows[len(rows)-1].Address != "198.51.100.7" {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestX41ARequestHasAnID: the client's where it can be one, else one that is made, in the answer, the log and the audit.
func TestX41ARequestHasAnID(t *testing.T) {
	h := start(t)
	for _, tt := range []struct {
		given string
		kept  bool
	}{
		{"", false},
		{"0197f3c2-8a70-7c11", true},
		{strings.Repeat("x", maxRequestID), true},
		{strings.Repeat("x", maxRequestID+1), false},
		{"a b", false},
		{"a\"b", false},
		{"é", false},
		{"req:1/2+3=", true},
	} {
		got := h.want(t, 404, "GET", "/v1/tenants/nobody", "", with("X-Request-Id", tt.given)).header.Get("X-Request-Id")
		if kept := got == tt.given; kept != tt.kept || !isRequestID(got) {
			t.Errorf("%q: the answer says %q", tt.given, got)
		}
	}
	h.want(t, 201, "POST", "/v1/tenants", `{"name":"Acme"}`, with("X-Request-Id", "mine"))
	eventually(t, "a line", func() bool { return strings.Contains(h.log.String(), "request_id=mine") })
	has(t, h.log.String(), "msg=done", "call=create-tenant", "target=tenants/", `result="revision 1"`, `actor="token `)
	rows, err := h.store.Audit(t.Context(), 0, 100)
	last := rows[len(rows)-1]
	if err != nil || last.Request != "mine" || last.Call != "create-tenant" || last.Address != "127.0.0.1" || !strings.HasPrefix(last.Actor, "token ") {
		t.Errorf("%+v, %v", last, err)
	}
}

// TestX41ReadingsOfConnectionsAreInTheAudit, with the key that has read them, and other readings are not.
func TestX41ReadingsOfConnectionsAreInTheAudit(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	h.want(t, 200, "GET", "/v1/tenants/"+id, "", without("Authorization"))
	h.want(t, 200, "GET", "/v1/tenants/"+id+"/associations/ledger/connections", "", without("Authorization"))
	rows, err := h.store.Audit(t.Context(), 0, 100)
	last := rows[len(rows)-1]
	if err != nil || last.Call != "get-connections" || !strings.HasPrefix(last.Actor, "key ") || last.Target != "tenants/"+id+"/associations/ledger" || last.Result != "read" {
		t.Errorf("%+v, %v", last, err)
	}
	eventually(t, "a line", func() bool { return strings.Contains(h.log.String(), "call=get-connections") })
	if n := strings.Count(h.log.String(), "call="); n != 3 {
		t.Errorf("%d lines, want one for each of two changes and a reading:\n%s", n, h.log)
	}
}

// TestX41WhatIsRefusedIsNotDone: it has a line as before, and no row.
func TestX41WhatIsRefusedIsNotDone(t *testing.T) {
	h := start(t)
	before, err := h.store.Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	h.want(t, 404, "PUT", "/v1/tenants/nobody/suspend", "")
	h.want(t, 400, "POST", "/v1/tenants", `{"name":""}`)
	after, err := h.store.Audit(t.Context(), 0, 100)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d rows, and %d before, %v", len(after), len(before), err)
	}
}

// TestX40TheLastTokenStays by the API.
func TestX40TheLastTokenStays(t *testing.T) {
	h := start(t)
	tokens := decoded[tokenList](t, h.want(t, 200, "GET", "/v1/admin/tokens", "").body).Tokens
	last := "/v1/admin/tokens/" + tokens[0].ID
	has(t, h.want(t, 409, "DELETE", last, "").body, `"code":"LAST_TOKEN"`, "make another first")
	h.want(t, 409, "DELETE", last+"?force=false", "")
	h.want(t, 400, "DELETE", last+"?force=yes", "")
	h.want(t, 200, "GET", "/v1/admin/tokens", "")
	h.want(t, 204, "DELETE", last+"?force=true", "")
	h.want(t, 401, "GET", "/v1/admin/tokens", "", without("X-API-Key"))
}
