package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// document is what these tests read of the OpenAPI document.
type document struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Security    []map[string][]string
		RequestBody *struct{ Required bool }
		Parameters  []parameter
		Responses   map[string]struct{ Headers map[string]any }
	}

	text string
}

type parameter struct {
	Name     string
	Required bool
}

func containsAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

func readDocument(t *testing.T, h *served) document {
	t.Helper()
	var doc document
	got := h.want(t, 200, "GET", "/openapi.json", "", without("X-API-Key"), without("Authorization"))
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatal(err)
	}
	doc.text = got.body
	return doc
}

// TestTheDocumentSaysWhatClientsNeed beyond the calls and their bodies.
func TestTheDocumentSaysWhatClientsNeed(t *testing.T) {
	doc := readDocument(t, start(t))
	if strings.Contains(doc.text, `"null"`) {
		t.Error("something may be null; no list is")
	}
	for _, path := range []string{"/v1/tenants/active", "/v1/tenants/events"} {
		service := slices.IndexFunc(doc.Paths[path]["get"].Parameters, func(p parameter) bool { return p.Name == "service" && p.Required })
		if service < 0 {
			t.Errorf("%s: service is not required", path)
		}
	}
	wanted := map[string][]string{
		"200": {"ETag", "Tenant-Set-Epoch", "Tenant-Set-Revision"}, "304": {"ETag", "Tenant-Set-Epoch", "Tenant-Set-Revision"},
		"default": {"Retry-After", "WWW-Authenticate"},
	}
	for status, headers := range wanted {
		for _, header := range headers {
			if _, ok := doc.Paths["/v1/tenants/active"]["get"].Responses[status].Headers[header]; !ok {
				t.Errorf("the list's %s has no %s", status, header)
			}
		}
	}
}

// TestS04NothingChangesWithoutAToken walks through the document, and so through every call that there is.
func TestS04NothingChangesWithoutAToken(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	before := h.want(t, 200, "GET", "/v1/admin/outbox", "").body
	doc := readDocument(t, h)
	if doc.OpenAPI != "3.1.0" || len(doc.Paths) < 17 {
		t.Fatalf("OpenAPI %q with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	if huma := []string{"ErrorModel", "ErrorDetail", `"additionalProperties":false`}; containsAny(doc.text, huma) {
		t.Errorf("the document has one of %q, which no call means", huma)
	}
	changes, admins := 0, 0
	for path, methods := range doc.Paths {
		filled := strings.NewReplacer("{id}", id, "{service}", "ledger").Replace(path)
		for method, operation := range methods {
			method = strings.ToUpper(method)
			admin := strings.HasPrefix(path, "/v1/admin/")
			needsToken := method != http.MethodGet || admin
			denied := []func(http.Header){
				func(h http.Header) { h.Del("Authorization"); h.Del("X-API-Key") }, with("X-API-Key", h.key+"x"), with("X-API-Key", h.token),
			}
			if needsToken {
				denied = append(denied, without("Authorization"), with("Authorization", "Bearer "+h.key),
					with("Authorization", "Basic "+h.token), with("Authorization", h.token), with("Authorization", "Bearer "))
			}
			for i, change := range denied {
				got := h.call(t, method, filled, `{}`, change)
				if got.status != http.StatusUnauthorized || !strings.Contains(got.body, `"code":"UNAUTHORIZED"`) {
					t.Errorf("%s %s, denial %d: %d %s, want 401", method, path, i, got.status, got.body)
				}
			}
			if needsToken {
				changes++
			}
			if admin {
				admins++
			}
			for _, way := range operation.Security {
				if _, token := way["token"]; !token && needsToken {
					t.Errorf("%s: the document says that it needs no token", operation.OperationID)
				}
			}
		}
	}
	if changes < 20 || admins < 10 {
		t.Errorf("%d calls need a token, %d of them are the admin's; were they all there?", changes, admins)
	}
	if after := h.want(t, 200, "GET", "/v1/admin/outbox", "").body; after != before {
		t.Errorf("the outbox was %s and is %s: something changed", before, after)
	}
}

func TestS04WhatIsNoCallIsClosedToo(t *testing.T) {
	h := start(t)
	for _, call := range [][2]string{{"GET", "/v1/nothing"}, {"GET", "/"}, {"PUT", "/v1/tenants"}, {"POST", "/healthz"}, {"GET", "/metrics"}, {"GET", "/debug/pprof/"}} {
		if got := h.call(t, call[0], call[1], "", without("X-API-Key"), without("Authorization")); got.status != 401 {
			t.Errorf("%s %s: %d, want 401", call[0], call[1], got.status)
		}
	}
	got := h.want(t, 405, "PUT", "/v1/tenants", "")
	if allow := got.header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow %q, want POST", allow)
	}
	if got := h.call(t, "GET", "/v1/%61dmin/keys", "", without("Authorization")); got.status != 401 {
		t.Errorf("the path in another spelling: %d without a token: %s", got.status, got.body)
	}
}

// TestPathsInAnotherSpellingAreNotThere: a redirect would not be JSON, and a client that follows it elsewhere would lose its header.
func TestPathsInAnotherSpellingAreNotThere(t *testing.T) {
	h := start(t)
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{
		"//v1/tenants/active?service=ledger", "/v1//admin/keys", "/v1/./admin/keys", "/v1/tenants/../admin/keys", "//nothing",
		"//healthz", "/v1/tenants//", "/v1/tenants/active/",
	} {
		got := h.call(t, "GET", path, "")
		if got.status != 404 || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %v %s, want 404", path, got.status, got.header, got.body)
		}
		has(t, got.body, `"code":"NOT_FOUND"`, `"error":"`)
		if got := h.call(t, "GET", path, "", without("X-API-Key"), without("Authorization")); got.status != 401 {
			t.Errorf("%s without anything: %d, want 401", path, got.status)
		}
	}
	h.want(t, 404, "GET", "/v1/tenants/a%2F%2Fb", "")
}

func TestATokenAloneIsEnough(t *testing.T) {
	h := start(t)
	id := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"Acme"}`, without("X-API-Key")).body)
	h.want(t, 200, "GET", "/v1/tenants/"+id, "", without("X-API-Key"))
	h.want(t, 201, "POST", "/v1/tenants/"+id+"/associations/any", `{}`, without("X-API-Key"))
	has(t, h.want(t, 200, "GET", "/v1/tenants/active?service=any", "", without("X-API-Key")).body, id)
	h.want(t, 200, "GET", "/v1/tenants/"+id+"/associations/any/connections", "", without("X-API-Key"))
	h.want(t, 401, "GET", "/v1/tenants/"+id, "", without("X-API-Key"), with("Authorization", "Bearer x"))
}

// TestS03AKeySeesOnlyItsService: what belongs to another service is answered like what is not there, with and without a token.
func TestS03AKeySeesOnlyItsService(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	stranger := with("X-API-Key", makeKey(t, h.store, "payments"))
	connections := func(service string) string { return "/v1/tenants/" + id + "/associations/" + service + "/connections" }
	same := func(there, missing string) {
		t.Helper()
		for _, token := range []func(http.Header){without("Authorization"), func(http.Header) {}} {
			got, want := h.call(t, "GET", there, "", stranger, token), h.call(t, "GET", missing, "", stranger, token)
			if got.status != 404 || got.body != want.body {
				t.Errorf("%s: %d %s, want what is not there: %d %s", there, got.status, got.body, want.status, want.body)
			}
		}
	}
	same(connections("ledger"), connections("nobody"))
	same("/v1/tenants/"+id, "/v1/tenants/nobody")
	same("/v1/tenants/active?service=ledger", "/v1/tenants/active?service=nobody")
	same("/v1/tenants/events?service=ledger", "/v1/tenants/events?service=nobody")

	h.want(t, 200, "GET", connections("ledger"), "", without("Authorization"))
	h.want(t, 200, "GET", "/v1/tenants/"+id, "", without("Authorization"))
	h.want(t, 201, "POST", "/v1/tenants/"+id+"/associations/payments", `{}`)
	h.want(t, 200, "GET", "/v1/tenants/"+id, "", stranger)
}

func TestS02ARevokedKeyIsRefusedAtTheNextRequest(t *testing.T) {
	h := start(t)
	var made managerapi.CreatedKey
	if err := json.Unmarshal([]byte(h.want(t, 201, "POST", "/v1/admin/keys", `{"service":"billing","name":"first"}`).body), &made); err != nil {
		t.Fatal(err)
	}
	list := "/v1/tenants/active?service=billing"
	h.want(t, 200, "GET", list, "", with("X-API-Key", string(made.Key)))
	h.want(t, 404, "DELETE", "/v1/admin/tokens/"+made.ID, "")
	h.want(t, 204, "DELETE", "/v1/admin/keys/"+made.ID, "")
	h.want(t, 401, "GET", list, "", with("X-API-Key", string(made.Key)))
	h.want(t, 404, "DELETE", "/v1/admin/keys/nobody", "")
}

func TestS06RateLimit(t *testing.T) {
	h := start(t, func(c *Config) { c.RateLimit = 0.5 })
	first, second := h.call(t, "GET", "/v1/tenants/nobody", ""), h.call(t, "GET", "/v1/tenants/nobody", "")
	if first.status != 404 || second.status != 429 {
		t.Fatalf("%d, then %d %s, want 404 and 429", first.status, second.status, second.body)
	}
	eventually(t, "the log says whose key it is", func() bool {
		for line := range strings.Lines(h.log.String()) {
			if strings.Contains(line, "status=429") && strings.Contains(line, "caller=") {
				return true
			}
		}
		return false
	})
	if after := second.header.Get("Retry-After"); after != "1" && after != "2" {
		t.Errorf("Retry-After %q, want the 2 s in which a request is there again", after)
	}
	h.want(t, 404, "GET", "/v1/tenants/nobody", "", with("X-API-Key", makeKey(t, h.store, "payments")))
	h.want(t, 200, "GET", "/healthz", "")
}

// TestS06AFloodOfUnknownCallersDoesNotFillTheLog: whoever wants can make requests without a key.
func TestS06AFloodOfUnknownCallersDoesNotFillTheLog(t *testing.T) {
	h := start(t)
	const flood = 500
	for range flood {
		h.want(t, 401, "GET", "/v1/tenants/active?service=ledger", "", with("X-API-Key", "twk_wrong"))
	}
	if n := strings.Count(h.log.String(), "\n"); n < linesEach || n > flood/10 {
		t.Errorf("%d lines in the log", n)
	}
	h.lines.close()
	has(t, h.log.String(), "more_of_the_kind=")
	has(t, h.fetch(t, h.adminURL+"/metrics"), `status="401"} 500`)
}

func TestS06StreamsAreBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxStreams = 4 }) // so that a service has two
	h.follow(t, ledgerEvents, "")
	second := h.follow(t, ledgerEvents, "")
	has(t, h.want(t, 503, "GET", ledgerEvents, "").body, `"code":"TOO_MANY_STREAMS"`)
	second.stop()
	eventually(t, "room for one more", func() bool {
		h.limits.streams.mu.Lock()
		defer h.limits.streams.mu.Unlock()
		return h.limits.streams.free == 3
	})
	h.follow(t, ledgerEvents, "")
}

func TestAPurgeIsMeant(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	for _, odd := range []string{"yes", "1", "TRUE"} {
		has(t, h.want(t, 400, "DELETE", "/v1/tenants/"+id+"/associations/ledger?purge="+odd, "").body, `"code":"INVALID_PURGE"`)
	}
	h.want(t, 204, "DELETE", "/v1/tenants/"+id+"/associations/ledger?purge=true", "")
	h.want(t, 403, "GET", "/v1/tenants/"+id+"/associations/ledger/connections", "")
}

// TestWhoShowsNothingIsToldWhatIsMissing: the scheme is the one that would be enough.
func TestWhoShowsNothingIsToldWhatIsMissing(t *testing.T) {
	h := start(t)
	for call, scheme := range map[string]string{
		"GET /v1/tenants/x": "ApiKey", "PUT /v1/tenants/x/suspend": "Bearer", "GET /v1/admin/tokens": "Bearer",
	} {
		method, path, _ := strings.Cut(call, " ")
		got := h.want(t, 401, method, path, "", with("X-API-Key", ""), with("Authorization", ""))
		if got.header.Get("WWW-Authenticate") != scheme {
			t.Errorf("%s: %v, want %s", call, got.header, scheme)
		}
	}
}
