package server

import (
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	runtimemetrics "runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const ledgerList = "/v1/tenants/active?service=ledger"

func TestListVersions(t *testing.T) {
	h := start(t)
	h.tenant(t, "One")
	second := h.tenant(t, "Two")
	list := func(conditions ...string) answer {
		t.Helper()
		return h.call(t, "GET", ledgerList, "", func(h http.Header) { h["If-None-Match"] = conditions })
	}
	epoch := versionOf(t, h).Epoch
	first := list()
	etag := first.header.Get("ETag")
	if first.header.Get("Tenant-Set-Revision") != "4" || first.header.Get("Tenant-Set-Epoch") != epoch || !strings.HasPrefix(etag, `"`) {
		t.Errorf("headers %v, want revision 4 of %s and an ETag", first.header, epoch)
	}
	other := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"Other"}`).body)
	h.want(t, 201, "POST", "/v1/tenants/"+other+"/associations/payments", `{}`)
	for _, conditions := range [][]string{{etag}, {`"x", W/` + etag}, {`"x"`, etag}, {"*"}} {
		got := list(conditions...)
		if got.status != http.StatusNotModified || got.body != "" || got.header.Get("ETag") != etag ||
			got.header.Get("Tenant-Set-Revision") != "6" || got.header.Get("Tenant-Set-Epoch") != epoch {
			t.Errorf("If-None-Match %q: %d %q %v, want 304 at revision 6", conditions, got.status, got.body, got.header)
		}
	}
	h.want(t, 204, "PUT", "/v1/tenants/"+second+"/suspend", "")
	got := list(etag)
	if got.status != http.StatusOK || got.header.Get("ETag") == etag || strings.Contains(got.body, second) {
		t.Errorf("after a change: %d %s %v, want a new list", got.status, got.body, got.header)
	}
	head := h.call(t, "HEAD", ledgerList, "")
	if head.status != http.StatusOK || head.header.Get("ETag") != got.header.Get("ETag") || head.body != "" {
		t.Errorf("HEAD: %d %v %q", head.status, head.header, head.body)
	}
}

// TestX01TheListNamesItsEnvironment, on a 304 and to HEAD too, and not where there is no list.
func TestX01TheListNamesItsEnvironment(t *testing.T) {
	h := start(t)
	h.tenant(t, "One")
	first := h.call(t, "GET", ledgerList, "")
	same := h.call(t, "GET", ledgerList, "", func(header http.Header) { header.Set("If-None-Match", first.header.Get("ETag")) })
	head := h.call(t, "HEAD", ledgerList, "")
	for name, got := range map[string]answer{"200": first, "304": same, "HEAD": head} {
		if environment := got.header.Get("Tenant-Set-Environment"); environment != h.store.Environment() || environment == "" {
			t.Errorf("%s: it names %q, the store is of %q", name, environment, h.store.Environment())
		}
	}
	if same.status != http.StatusNotModified {
		t.Errorf("status %d, want 304", same.status)
	}
	if refused := h.call(t, "GET", "/v1/tenants/active", ""); refused.header.Get("Tenant-Set-Environment") != "" {
		t.Error("a refusal names an environment")
	}
}

func versionOf(t *testing.T, h *served) tenant.Version {
	t.Helper()
	v, err := h.store.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestListGzip(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "One")
	for accept, want := range map[string]string{
		"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "", "identity": "", "gzip; q=1.0": "gzip", "": "",
	} {
		got := h.call(t, "GET", ledgerList, "", with("Accept-Encoding", accept))
		body := got.body
		if coding := got.header.Get("Content-Encoding"); coding != want || got.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, Vary %q", accept, coding, got.header.Get("Vary"))
		}
		if want == "gzip" {
			reader, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(reader)
			if err != nil {
				t.Fatal(err)
			}
			body = string(data)
		}
		if body != `[{"id":"`+id+`","name":"One","status":"active"}]` {
			t.Errorf("Accept-Encoding %q: %s", accept, body)
		}
	}
}

func TestListOfManyComesInChunks(t *testing.T) {
	h := start(t)
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = h.tenant(t, strings.Repeat("n", 200)+string(rune('a'+i%26))+strings.Repeat("x", i))
	}
	got := h.want(t, 200, "GET", ledgerList, "")
	if got.header.Get("Content-Length") != "" {
		t.Errorf("Content-Length %s: the list was put together first", got.header.Get("Content-Length"))
	}
	has(t, got.body, ids...)
}

// manyTenants puts n tenants into the file of a store, all active for ledger, faster than one by one.
func manyTenants(t *testing.T, file string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)") // the store writes to it too
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO tenants SELECT 1, value, printf('%032x', value), printf('%032x', value), 'Tenant ' || value,
			't' || value, 'active', '', '{}', x'', '', 0, 0 FROM (WITH RECURSIVE c(value) AS
			(SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < ?) SELECT value FROM c)`,
		`INSERT INTO associations (env, service, tenant, status, isolation_mode, settings, rotations, created_at, updated_at)
			SELECT env, 'ledger', seq, 'active', '', x'', 0, 0, 0 FROM tenants WHERE seq <= ?`,
	} {
		if _, err := db.ExecContext(t.Context(), statement, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestListNeedsNoMemoryForItsRows: the rows pass through. There would be some 5 MiB of them.
func TestListNeedsNoMemoryForItsRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {})
	const n, bound = 25_000, 3 << 20
	manyTenants(t, file, n)
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}} // what a row leaves behind until it is collected does not count
	heap := func() uint64 {
		runtime.GC()
		runtimemetrics.Read(live)
		return live[0].Value.Uint64()
	}
	for _, coding := range []string{"identity", "gzip"} {
		before, most := heap(), uint64(0)
		resp, err := h.client.Do(h.request(t, "GET", h.url+ledgerList, "", with("Accept-Encoding", coding)))
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = resp.Body
		if coding == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		rows := 0
		chunk := make([]byte, 64<<10)
		for i := 0; err == nil; i++ {
			var got int
			got, err = body.Read(chunk)
			rows += strings.Count(string(chunk[:got]), "{")
			if i%100 == 0 {
				most = max(most, heap())
			}
		}
		_ = resp.Body.Close() // it has been read
		if !errors.Is(err, io.EOF) || rows != n {
			t.Errorf("%s: %d rows, %v; want %d", coding, rows, err, n)
		}
		if most > before+bound {
			t.Errorf("%s: %d KiB of heap more than before, want at most %d", coding, (most-before)>>10, bound>>10)
		}
	}
}

// TestASlowClientGetsItsWholeList: RequestTimeout is for the database alone.
func TestASlowClientGetsItsWholeList(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	const limit = 250 * time.Millisecond // long enough for the database of a busy machine
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {}, func(c *Config) { c.RequestTimeout = limit })
	manyTenants(t, file, 2000)
	slow := &slowWriter{discard: discard{header: http.Header{}}, wait: 2 * limit}
	request := h.request(t, "GET", "/v1/tenants/active?service=ledger", "")
	request.RequestURI = ledgerList
	h.public.ServeHTTP(slow, request)
	if slow.most > chunkBytes {
		t.Errorf("a chunk has %d bytes", slow.most)
	}
	if body := slow.body.String(); slow.waited < 2 || strings.Count(body, "{") != 2000 || !strings.HasSuffix(body, "]") {
		t.Errorf("%d rows in %d chunks, which end in %.40q", strings.Count(body, "{"), slow.waited, body[max(0, len(body)-40):])
	}
}

// slowWriter is an answer that takes long for every chunk, and keeps it.
type slowWriter struct {
	discard

	wait   time.Duration
	waited int
	most   int // bytes of a chunk
	body   strings.Builder
}

func (s *slowWriter) Write(p []byte) (int, error) {
	<-time.After(s.wait)
	s.waited++
	s.most = max(s.most, len(p))
	return s.body.Write(p)
}

// TestNotModifiedReadsNoRows: it is answered even when there is no table to read them from.
func TestNotModifiedReadsNoRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {})
	h.tenant(t, "Acme")
	etag := h.want(t, 200, "GET", ledgerList, "").header.Get("ETag")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE associations RENAME TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	h.want(t, 304, "GET", ledgerList, "", with("If-None-Match", etag))
	h.want(t, 200, "HEAD", ledgerList, "")
	h.want(t, 500, "GET", ledgerList, "")
}

// TestABrokenListIsNoList: a client must not take a list for whole that ended because the database did.
func TestABrokenListIsNoList(t *testing.T) {
	recorded := &recorder{ResponseWriter: &discard{header: http.Header{}}}
	l := &listWriter{w: recorded, compressed: true}
	if err := l.begin(store.ActiveVersion{Version: tenant.Version{Epoch: "e"}, ETag: `"x"`}); err != nil {
		t.Fatal(err)
	}
	if err := l.finish(store.ErrUnavailable); err == nil || recorded.status != 0 {
		t.Errorf("%v, status %d; want the error, and nothing written yet", err, recorded.status)
	}
	if recorded.Header().Get("ETag") != "" || recorded.Header().Get("Content-Encoding") != "" {
		t.Errorf("headers of the list are left for the error: %v", recorded.Header())
	}
}

func TestABrokenListBreaksTheConnection(t *testing.T) {
	h := serve(t, openStore(t), func(s *Server) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET "+"/v1/broken", func(w http.ResponseWriter, _ *http.Request) {
			l := &listWriter{w: w}
			_ = l.begin(store.ActiveVersion{})
			for range 1000 {
				_ = l.row(tenant.Summary{ID: "a", Name: strings.Repeat("x", 100)})
			}
			if err := l.finish(store.ErrUnavailable); err != nil {
				panic(http.ErrAbortHandler)
			}
		})
		s.public = s.observed(mux, mux)
	})
	resp, err := h.client.Do(h.request(t, "GET", h.url+"/v1/broken", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // broken anyway
	data, err := io.ReadAll(resp.Body)
	if err == nil || len(data) == 0 {
		t.Errorf("%d bytes and %v, want a part and an error", len(data), err)
	}
}

func TestListWantsAService(t *testing.T) {
	h := start(t)
	for query, code := range map[string]string{
		"": "SERVICE_REQUIRED", "?service=": "SERVICE_REQUIRED", "?service=%20": "SERVICE_REQUIRED",
		"?service=a%00b": "INVALID_SERVICE", "?service=%ff": "INVALID_SERVICE", "?service=" + strings.Repeat("a", 300): "INVALID_SERVICE",
	} {
		has(t, h.want(t, 400, "GET", "/v1/tenants/active"+query, "", without("X-API-Key")).body, `"code":"`+code+`"`)
		has(t, h.want(t, 400, "GET", "/v1/tenants/events"+query, "", without("X-API-Key")).body, `"code":"`+code+`"`)
	}
}

// TestM07ALockedDatabaseIs503: a change that the database does not take is 503 and not made, readers go on, and all is well
// again when the lock is gone.
func TestM07ALockedDatabaseIs503(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {}, func(c *Config) { c.RequestTimeout = 300 * time.Millisecond })
	id := h.tenant(t, "Acme")
	unlock := lockFile(t, file)
	for _, call := range [][3]string{
		{"POST", "/v1/tenants", `{"name":"a"}`}, {"PUT", "/v1/tenants/" + id + "/suspend", ""}, {"POST", "/v1/admin/tokens", `{}`},
	} {
		got := h.want(t, 503, call[0], call[1], call[2])
		has(t, got.body, `"code":"UNAVAILABLE"`)
		if got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", call[1], got.header.Get("Retry-After"))
		}
	}
	has(t, h.want(t, 200, "GET", ledgerList, "").body, id)
	h.want(t, 200, "GET", "/healthz", "")
	h.want(t, 503, "GET", "/readyz", "")
	unlock()
	eventually(t, "ready again", func() bool { return h.call(t, "GET", "/readyz", "").status == 200 })
	h.want(t, 201, "POST", "/v1/tenants", `{"name":"a"}`)
	if n := strings.Count(h.log.String(), "status=503"); n < 3 {
		t.Errorf("%d log lines of a 503, want one for each:\n%s", n, h.log)
	}
}

// TestM07ADatabaseThatIsGoneIs503, and is back by itself when the database is.
func TestM07ADatabaseThatIsGoneIs503(t *testing.T) {
	postgres := testserver.StartPostgres(t)
	h := serve(t, openDSN(t, postgres.Database(t)), func(*Server) {}, func(c *Config) { c.RequestTimeout = 2 * time.Second })
	id := h.tenant(t, "Acme")
	postgres.Kill()
	for _, call := range [][3]string{
		{"GET", ledgerList, ""},
		{"POST", "/v1/tenants", `{"name":"a"}`},
		{"PUT", "/v1/tenants/" + id + "/suspend", ""},
		{"GET", "/v1/admin/outbox", ""},
		{"GET", ledgerEvents, ""},
		{"GET", "/readyz", ""},
	} {
		has(t, h.want(t, 503, call[0], call[1], call[2]).body, `"code":"UNAVAILABLE"`)
	}
	has(t, h.fetch(t, h.adminURL+"/metrics"), "200 OK", "tenantwatch_manager_requests_total")
	postgres.Start(t)
	eventually(t, "ready again", func() bool { return h.call(t, "GET", "/readyz", "").status == 200 })
	has(t, h.want(t, 200, "GET", ledgerList, "").body, id)
	h.want(t, 201, "POST", "/v1/tenants", `{"name":"a"}`)
}

// TestM07ADatabaseThatHangsIs503, in the time that a request has and not in the time that a list may take.
func TestM07ADatabaseThatHangsIs503(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	h := serve(t, openDSN(t, dsn), func(*Server) {}, func(c *Config) { c.RequestTimeout = time.Second })
	h.tenant(t, "Acme")
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // what it locks is of no matter by then
	lock, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "LOCK TABLE environments IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	for _, call := range [][3]string{
		{"GET", ledgerList, ""}, {"POST", "/v1/tenants", `{"name":"a"}`}, {"GET", ledgerEvents, ""}, {"GET", "/v1/admin/outbox", ""},
	} {
		has(t, h.want(t, 503, call[0], call[1], call[2]).body, `"code":"UNAVAILABLE"`)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	h.want(t, 200, "GET", ledgerList, "")
}

// lockFile keeps others from writing until unlock is called.
func lockFile(t *testing.T, file string) (unlock func()) {
	t.Helper()
	other, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	other.SetMaxOpenConns(1)
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := other.Close(); err != nil { // which rolls back
			t.Error(err)
		}
	}
}

// discard is an answer that goes nowhere.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// TestARowIsWhatJSONMakesOfIt, whether it is written quickly or not.
func TestARowIsWhatJSONMakesOfIt(t *testing.T) {
	texts := []string{"", "Acme", "a b", "~", "\x7f", "é", "\u2028", "\xff", `"`, `\`, "<", ">", "&", "\t", "\x00", "'", "/"}
	for _, id := range texts {
		for _, name := range texts {
			row := tenant.Summary{ID: id, Name: name, Status: tenant.StatusActive}
			want, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := appendRow([]byte("x"), row); err != nil || string(got) != "x"+string(want) {
				t.Errorf("%q, %q: %s, want %s, %v", id, name, got[1:], want, err)
			}
		}
	}
}
