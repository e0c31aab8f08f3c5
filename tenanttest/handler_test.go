package tenanttest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// served is a manager behind a real server, with plain net/http in front of it.
type served struct {
	*tenanttest.Manager

	url    string
	client *http.Client
}

func serve(tb testing.TB, opts ...tenanttest.Option) *served {
	tb.Helper()
	m := tenanttest.NewManager(opts...)
	server := httptest.NewServer(m)
	tb.Cleanup(server.Close)
	return &served{Manager: m, url: server.URL, client: server.Client()}
}

// request has the key and the token; change takes them off or adds to them.
func (s *served) request(tb testing.TB, method, path, body string, change ...func(http.Header)) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("X-API-Key", s.APIKey())
	req.Header.Set("Authorization", "Bearer "+s.Token())
	for _, fn := range change {
		fn(req.Header)
	}
	return req
}

// reply is an answer without its body.
type reply struct {
	StatusCode   int
	Header       http.Header
	Uncompressed bool
}

// call returns the answer and its body.
func (s *served) call(tb testing.TB, method, path, body string, change ...func(http.Header)) (reply, string) {
	tb.Helper()
	resp, err := s.client.Do(s.request(tb, method, path, body, change...))
	if err != nil {
		tb.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{resp.StatusCode, resp.Header, resp.Uncompressed}, string(data)
}

const acme = `{"name":"Acme Inc.","slug":"acme","environment":"staging","isolation":"isolated",` +
	`"metadata":{"plan":"gold"},"owner":{"email":"o@acme.example","emailVerified":true}}`

// TestHandlerSpeaksTheProtocol is one story; ID stands for the id of the tenant that its first line makes.
func TestHandlerSpeaksTheProtocol(t *testing.T) {
	const (
		all         = "/v1/tenants"
		one         = "/v1/tenants/ID"
		ledger      = one + "/associations/ledger"
		connections = ledger + "/connections"
		list        = "/v1/tenants/active?service=ledger"
		row         = `[{"id":"ID","name":"Acme Inc.","status":"active"}]`
		mode        = `{"isolationMode":"isolated","maxOpenConns":25,"maxIdleConns":5}`
	)
	s := serve(t)
	id := ""
	for i, step := range []struct {
		method, path, body string
		status             int
		want               string // the whole body if it starts with a bracket or a brace, else parts, split at |
	}{
		{"GET", list, "", 200, `[]`},
		{"POST", all, acme, 201, `"slug":"acme"|"status":"active"|"id":"`},
		{"POST", all, acme, 200, `{"id":"ID","slug":"acme","status":"active"}`},
		{"POST", all, strings.Replace(acme, "Acme Inc.", "Other", 1), 409, `"code":"SLUG_TAKEN"|"error":"`},
		{"POST", all, `{"name":" "}`, 400, `"code":"INVALID_NAME"`},
		{"POST", all, `{"name":`, 400, `"code":"INVALID_BODY"|"error":"`},
		{"POST", all, acme + `{}`, 400, `"code":"INVALID_BODY"|"error":"`},
		{"POST", all, `"` + strings.Repeat("a", 1<<20) + `"`, 413, `"code":"BODY_TOO_LARGE"`},
		{"GET", one, "", 200, `"id":"ID"|"name":"Acme Inc."|"metadata":{"plan":"gold"}|"environment":"staging"`},
		{"GET", all + "/nobody", "", 404, `"code":"TENANT_NOT_FOUND"|"error":"tenant not found"`},
		{"GET", connections, "", 404, `"code":"TENANT_NOT_FOUND"`}, // a key is not told whether there is one
		{"POST", ledger, mode, 201, `{"serviceName":"ledger","status":"active"}`},
		{"POST", ledger, mode, 409, `"code":"ALREADY_ASSOCIATED"`},
		{"POST", all + "/nobody/associations/ledger", mode, 404, `"code":"TENANT_NOT_FOUND"`},
		{"GET", list, "", 200, row},
		{"GET", "/v1/tenants/active?service=other", "", 200, `[]`},
		{"GET", "/v1/tenants/active", "", 400, `"code":"SERVICE_REQUIRED"`},
		{"PATCH", one, `{"name":"Acme 2","metadata":{"plan":"tin"}}`, 200, `"name":"Acme 2"|"metadata":{"plan":"tin"}`},
		{"PATCH", one, `{"name":"Acme Inc."}`, 200, `"name":"Acme Inc."|"metadata":{"plan":"tin"}`},
		{"PATCH", one, `{"name":""}`, 400, `"code":"INVALID_NAME"`},
		{"PATCH", all + "/nobody", `{}`, 404, `"code":"TENANT_NOT_FOUND"`},
		{
			"GET", connections, "", 200,
			`"id":"ID"|"tenantSlug":"acme"|"tenantName":"Acme Inc."|"service":"ledger"|"status":"active"|"isolationMode":"isolated"|` +
				`"connectionSettings":{"maxOpenConns":25,"maxIdleConns":5}|"createdAt":"20|"updatedAt":"20`,
		},
		{
			"PUT", connections, `{"databases":{"m":{"postgresql":{"host":"h"}}},"messaging":{"rabbitmq":{"vhost":"v"}},"else":7}`, 200,
			`"databases":{"m":{"postgresql":{"host":"h"}|"rabbitmq":{"m":{"vhost":"v"}}|"messaging":{"rabbitmq":{"vhost":"v"}}|"else":7`,
		},
		{"PUT", connections, `{"rabbitmq":{"vhost":"v"}}`, 400, `"code":"INVALID_BODY"|messaging`},
		{"PUT", connections, `{"statementTimeout":30}`, 400, `"code":"INVALID_BODY"`},
		{"POST", ledger + "/cache/invalidate", `{"reason":"imported"}`, 202, `{"serviceName":"ledger","status":"invalidating"}`},
		{"POST", ledger + "/cache/invalidate", "", 202, `"status":"invalidating"`},
		{"POST", ledger + "/credentials/rotate", "", 202, `"serviceName":"ledger"`},
		{"PUT", ledger + "/reactivate", "", 409, `"code":"NOT_SUSPENDED"`},
		{"PUT", ledger + "/suspend", "", 204, ""},
		{"PUT", ledger + "/suspend", "", 409, `"code":"ALREADY_SUSPENDED"`},
		{"GET", list, "", 200, `[]`},
		{"GET", connections, "", 403, `"code":"TENANT_ACCESS_DENIED"|"error":"|"status":"suspended"`},
		{"PUT", ledger + "/reactivate", "", 204, ""},
		{"GET", list, "", 200, row},
		{"PUT", one + "/reactivate", "", 409, `"code":"NOT_SUSPENDED"`},
		{"PUT", one + "/suspend", "", 204, ""},
		{"PUT", one + "/suspend", "", 409, `"code":"ALREADY_SUSPENDED"`},
		{"GET", list, "", 200, `[]`},
		{"GET", connections, "", 403, `"status":"suspended"`},
		{"POST", one + "/associations/other", mode, 403, `"status":"suspended"`},
		{"PUT", one + "/reactivate", "", 204, ""},
		{"GET", list, "", 200, row},
		{"DELETE", ledger + "?purge=true", "", 204, ""},
		{"GET", connections, "", 403, `"status":"purged"`},
		{"DELETE", ledger, "", 404, `"code":"ASSOCIATION_NOT_FOUND"`},
		{"PUT", ledger + "/suspend", "", 404, `"code":"ASSOCIATION_NOT_FOUND"`},
		{"POST", ledger, mode, 201, `"status":"active"`},
		{"DELETE", ledger, "", 204, ""},
		{"GET", connections, "", 404, `"code":"TENANT_NOT_FOUND"`},
		{"POST", ledger + "/credentials/rotate", "", 404, `"code":"ASSOCIATION_NOT_FOUND"`},
		{"PUT", connections, "{}", 404, `"code":"ASSOCIATION_NOT_FOUND"`},
		{"DELETE", one, "", 204, ""},
		{"DELETE", one, "", 404, `"code":"TENANT_NOT_FOUND"`},
		{"PUT", one + "/suspend", "", 404, `"code":"TENANT_NOT_FOUND"`},
		{"PUT", one + "/reactivate", "", 404, `"code":"TENANT_NOT_FOUND"`},
		{"POST", all, strings.Replace(acme, "Acme Inc.", "Other", 1), 201, `"slug":"acme"`},
		{"GET", "/v1/nothing", "", 404, `"code":"NOT_FOUND"|"error":"`},
		{"PUT", all, "", 405, `"code":"METHOD_NOT_ALLOWED"|"error":"`},
	} {
		resp, body := s.call(t, step.method, strings.Replace(step.path, "ID", id, 1), step.body)
		if i == 1 {
			id = idOf(t, body)
		}
		if resp.StatusCode != step.status {
			t.Errorf("step %d, %s %s: status %d %s, want %d", i, step.method, step.path, resp.StatusCode, body, step.status)
		}
		checkBody(t, step.method+" "+step.path, resp, body, strings.ReplaceAll(step.want, "ID\"", id+`"`))
	}
}

func checkBody(tb testing.TB, call string, resp reply, body, want string) {
	tb.Helper()
	if got := resp.Header.Get("Content-Type"); body != "" && got != "application/json" {
		tb.Errorf("%s: Content-Type %q", call, got)
	}
	if strings.HasPrefix(want, "[") || strings.HasPrefix(want, "{") || want == "" {
		if body != want {
			tb.Errorf("%s: %s, want %s", call, body, want)
		}
		return
	}
	for part := range strings.SplitSeq(want, "|") {
		if !strings.Contains(body, part) {
			tb.Errorf("%s: %s, want %s in it", call, body, part)
		}
	}
}

func idOf(tb testing.TB, body string) string {
	tb.Helper()
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(body), &created); err != nil || created.ID == "" {
		tb.Fatalf("no id in %s (%v)", body, err)
	}
	return created.ID
}

func TestHandlerTakesAnySpellingOfAnID(t *testing.T) {
	s := serve(t)
	const dashed, plain = "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012", "6F1C2A9E4B7D4E0F8A3B5C6D7E8F9012"
	if err := s.Add(t.Context(), "ledger", dashed); err != nil {
		t.Fatal(err)
	}
	resp, body := s.call(t, "GET", "/v1/tenants/"+plain, "")
	if resp.StatusCode != http.StatusOK || idOf(t, body) != dashed {
		t.Errorf("%d %s, want the tenant as first spelled", resp.StatusCode, body)
	}
}

// TestHandlerWantsAKeyOrAToken, the token where something is written; all that is shown has to be right.
func TestHandlerWantsAKeyOrAToken(t *testing.T) {
	s := serve(t)
	noKey := func(h http.Header) { h.Del("X-API-Key") }
	wrongKey := func(h http.Header) { h.Set("X-API-Key", s.APIKey()+"x") }
	noToken := func(h http.Header) { h.Del("Authorization") }
	nothing := func(h http.Header) { noKey(h); noToken(h) }
	wrongToken := func(h http.Header) { h.Set("Authorization", "Bearer "+s.APIKey()) }
	basic := func(h http.Header) { h.Set("Authorization", "Basic "+s.Token()) }
	writes := [][2]string{
		{"POST", "/v1/tenants"},
		{"PATCH", "/v1/tenants/a"},
		{"PUT", "/v1/tenants/a/suspend"},
		{"PUT", "/v1/tenants/a/reactivate"},
		{"DELETE", "/v1/tenants/a"},
		{"POST", "/v1/tenants/a/associations/s"},
		{"PUT", "/v1/tenants/a/associations/s/suspend"},
		{"PUT", "/v1/tenants/a/associations/s/reactivate"},
		{"DELETE", "/v1/tenants/a/associations/s"},
		{"PUT", "/v1/tenants/a/associations/s/connections"},
		{"POST", "/v1/tenants/a/associations/s/credentials/rotate"},
		{"POST", "/v1/tenants/a/associations/s/cache/invalidate"},
	}
	reads := [][2]string{
		{"GET", "/v1/tenants/active?service=s"},
		{"GET", "/v1/tenants/a"},
		{"GET", "/v1/tenants/a/associations/s/connections"},
		{"GET", "/v1/nothing"},
	}
	want := func(call [2]string, change func(http.Header), denied bool) {
		t.Helper()
		resp, body := s.call(t, call[0], call[1], "{}", change)
		if got := resp.StatusCode == http.StatusUnauthorized; got != denied {
			t.Errorf("%s %s: %d %s, want denied %v", call[0], call[1], resp.StatusCode, body, denied)
		}
		scheme := resp.Header.Get("WWW-Authenticate")
		if denied && (!strings.Contains(body, `"code":"UNAUTHORIZED"`) || scheme != "ApiKey" && scheme != "Bearer") {
			t.Errorf("%s %s: %s, asking for %q", call[0], call[1], body, scheme)
		}
	}
	for _, call := range writes {
		for _, change := range []func(http.Header){nothing, wrongKey, noToken, wrongToken, basic} {
			want(call, change, true)
		}
		want(call, func(http.Header) {}, false)
		want(call, noKey, false)
	}
	for _, call := range reads {
		for _, change := range []func(http.Header){nothing, wrongKey, wrongToken} {
			want(call, change, true)
		}
		want(call, noKey, false)
		want(call, noToken, false)
	}
}

func TestHandlerKeyCanBeReplaced(t *testing.T) {
	s := serve(t, tenanttest.WithAPIKey("old"), tenanttest.WithToken("token"))
	if s.APIKey() != "old" || s.Token() != "token" {
		t.Errorf("key %q, token %q", s.APIKey(), s.Token())
	}
	s.SetAPIKey("new")
	resp, _ := s.call(t, "GET", "/v1/tenants/active?service=s", "", func(h http.Header) { h.Set("X-API-Key", "old") })
	if resp.StatusCode != http.StatusUnauthorized || s.Requests() != 1 {
		t.Errorf("old key: %d, %d requests counted, want 401 and 1", resp.StatusCode, s.Requests())
	}
	resp, _ = s.call(t, "GET", "/v1/tenants/active?service=s", "", func(h http.Header) { h.Set("X-Test", "here") })
	if resp.StatusCode != http.StatusOK || s.Requests() != 2 || s.LastRequest().Get("X-Test") != "here" {
		t.Errorf("new key: %d, %d requests counted, last %v", resp.StatusCode, s.Requests(), s.LastRequest())
	}
}

func TestHandlerVersions(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	ids, err := s.Seed(ctx, "ledger", 2)
	if err != nil {
		t.Fatal(err)
	}
	list := func(etag string) (reply, string) {
		t.Helper()
		return s.call(t, "GET", "/v1/tenants/active?service=ledger", "", func(h http.Header) {
			if etag != "" {
				h.Set("If-None-Match", etag)
			}
		})
	}
	first, _ := list("")
	etag := first.Header.Get("ETag")
	if first.Header.Get("Tenant-Set-Revision") != "4" || first.Header.Get("Tenant-Set-Epoch") != s.Version().Epoch || etag == "" {
		t.Errorf("headers %v, want revision 4 of %s and an ETag", first.Header, s.Version().Epoch)
	}
	must(t, s.Add(ctx, "other", "elsewhere"))
	for _, condition := range []string{etag, `"x", W/` + etag, "*"} {
		resp, body := list(condition)
		if resp.StatusCode != http.StatusNotModified || body != "" || resp.Header.Get("ETag") != etag ||
			resp.Header.Get("Tenant-Set-Revision") != "6" || resp.Header.Get("Tenant-Set-Epoch") == "" {
			t.Errorf("If-None-Match %s: %d %q %v, want 304 at revision 6", condition, resp.StatusCode, body, resp.Header)
		}
	}
	must(t, s.Suspend(ctx, ids[0]))
	resp, body := list(etag)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == etag || strings.Contains(body, ids[0]) {
		t.Errorf("after a change: %d %s %v, want a new list", resp.StatusCode, body, resp.Header)
	}
	must(t, s.Reactivate(ctx, ids[0]))
	s.NewEpoch()
	resp, _ = list(etag)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Tenant-Set-Epoch") == first.Header.Get("Tenant-Set-Epoch") ||
		resp.Header.Get("Tenant-Set-Revision") != "0" {
		t.Errorf("after a new epoch: %d %v, want the list at revision 0 of another epoch", resp.StatusCode, resp.Header)
	}
}

func TestHandlerGzip(t *testing.T) {
	for accept, want := range map[string]string{
		"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "", "identity": "", "gzip; q=1.0": "gzip",
	} {
		s := serve(t)
		resp, body := s.call(t, "GET", "/v1/tenants/active?service=s", "", func(h http.Header) { h.Set("Accept-Encoding", accept) })
		if got := resp.Header.Get("Content-Encoding"); got != want || (want == "") != (body == "[]") {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, body %q, want %q", accept, got, body, want)
		}
	}
	s := serve(t)
	resp, body := s.call(t, "GET", "/v1/tenants/active?service=s", "") // net/http asks for gzip and unpacks it
	if !resp.Uncompressed || body != "[]" {
		t.Errorf("unpacked %v, body %q", resp.Uncompressed, body)
	}
}

func TestHandlerWithoutVersions(t *testing.T) {
	s := serve(t, tenanttest.WithoutVersions())
	if _, err := s.Seed(t.Context(), "ledger", 1); err != nil {
		t.Fatal(err)
	}
	resp, body := s.call(t, "GET", "/v1/tenants/active?service=ledger", "", func(h http.Header) { h.Set("If-None-Match", "*") })
	if resp.StatusCode != http.StatusOK || resp.Uncompressed || !strings.HasPrefix(body, "[{") {
		t.Errorf("%d, compressed %v, %s", resp.StatusCode, resp.Uncompressed, body)
	}
	for _, name := range []string{"ETag", "Tenant-Set-Epoch", "Tenant-Set-Revision"} {
		if got := resp.Header.Get(name); got != "" {
			t.Errorf("%s is %q, want none", name, got)
		}
	}
	for _, evt := range s.Events() {
		if !evt.Version().IsZero() {
			t.Errorf("event with version %s", evt.Version())
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
