package managerapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestListRequest(t *testing.T) {
	m := startManager(t, always(http.StatusOK, oneRow))
	c := newClient(t, Config{BaseURL: m.URL + "/prefix/", APIKey: StaticKey("the-key"), UserAgent: "ledger/1"})
	rows, err := c.GetActiveTenantsByService(t.Context(), "a&b=c d/é")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || *rows[0] != (tenant.Summary{ID: "acme", Name: "Acme", Status: "active"}) {
		t.Errorf("rows %v", rows)
	}
	seen := m.requests()[0]
	if want := "/prefix/v1/tenants/active?service=a%26b%3Dc+d%2F%C3%A9"; seen.uri != want {
		t.Errorf("asked for %q, want %q", seen.uri, want)
	}
	if seen.header.Get("X-API-Key") != "the-key" || seen.header.Get("User-Agent") != "ledger/1" {
		t.Errorf("headers %v", seen.header)
	}
	if seen.header.Get("Accept-Encoding") != "gzip" || seen.header.Get("If-None-Match") != "" {
		t.Errorf("headers %v", seen.header)
	}
}

func TestListOfNothing(t *testing.T) {
	m := startManager(t, always(http.StatusOK, " [ ] \n"))
	rows, err := newClient(t, Config{BaseURL: m.URL}).GetActiveTenantsByService(t.Context(), "ledger")
	if err != nil || rows == nil || len(rows) != 0 {
		t.Errorf("got %v, %v; want an empty slice that is not nil", rows, err)
	}
}

func TestListCompressed(t *testing.T) {
	m := startManager(t, always(http.StatusOK, string(zipped(t, []byte(oneRow))), "Content-Encoding", "gzip"))
	rows, _, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL}), tenant.Snapshot{})
	if err != nil || len(rows) != 1 || rows[0].ID != "acme" {
		t.Errorf("got %v, %v", rows, err)
	}
}

func TestSnapshotVersions(t *testing.T) {
	have := tenant.Snapshot{Version: tenant.Version{Epoch: "old", Revision: 3}, ETag: `"e1"`}
	of := func(epoch string, revision uint64, etag string) tenant.Snapshot {
		return tenant.Snapshot{Version: tenant.Version{Epoch: epoch, Revision: revision}, ETag: etag}
	}
	headers := func(etag, epoch, revision string) []string {
		return []string{"ETag", etag, HeaderEpoch, epoch, HeaderRevision, revision}
	}
	tests := []struct {
		name        string
		status      int
		headers     []string
		have        tenant.Snapshot
		want        tenant.Snapshot
		notModified bool
	}{
		{"all", 200, headers(`"e2"`, "w", "42"), have, of("w", 42, `"e2"`), false},
		{"none", 200, nil, have, tenant.Snapshot{}, false},
		{"revision zero", 200, headers(`W/"e"`, "w", "0"), tenant.Snapshot{}, of("w", 0, `W/"e"`), false},
		{"revision that is not a number", 200, headers(`"e"`, "w", "4x"), tenant.Snapshot{}, of("", 0, `"e"`), false},
		{"no revision", 200, []string{HeaderEpoch, "w"}, tenant.Snapshot{}, tenant.Snapshot{}, false},
		{"no epoch", 200, []string{HeaderRevision, "7"}, tenant.Snapshot{}, tenant.Snapshot{}, false},
		{"not modified", 304, headers(`"e1"`, "w", "9"), have, of("w", 9, `"e1"`), true},
		{"not modified, nothing told", 304, nil, have, have, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := oneRow
			if tt.status == http.StatusNotModified {
				body = ""
			}
			m := startManager(t, always(tt.status, body, tt.headers...))
			tt.want.NotModified = tt.notModified
			rows, got, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL}), tt.have)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if (len(rows) == 0) != tt.notModified {
				t.Errorf("%d rows", len(rows))
			}
			if got := m.requests()[0].header.Get("If-None-Match"); got != tt.have.ETag {
				t.Errorf("If-None-Match is %q, want %q", got, tt.have.ETag)
			}
		})
	}
}

// TestX01TheEnvironmentOfTheListIsRead in its normal form; a 304 that leaves it out has that of before.
func TestX01TheEnvironmentOfTheListIsRead(t *testing.T) {
	for header, want := range map[string]string{
		"dev": "dev", "Dev": "dev", "": "", `"dev"`: `"dev"`, "default": "default", strings.Repeat("x", 400): strings.Repeat("x", 300) + "…",
	} {
		for _, status := range []int{http.StatusOK, http.StatusNotModified} {
			body := oneRow
			if status == http.StatusNotModified {
				body = ""
			}
			m := startManager(t, always(status, body, HeaderEnvironment, header))
			_, v, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL}), tenant.Snapshot{ETag: `"e"`, Environment: "before"})
			expected := want
			if want == "" && status == http.StatusNotModified {
				expected = "before"
			}
			if err != nil || v.Environment != expected {
				t.Errorf("%d with %.20q: %.20q, %v; want %.20q", status, header, v.Environment, err, expected)
			}
		}
	}
}

// TestX07AConditionThatIsRefused is left out, once: by a proxy that takes it for a precondition, for too long, or for nonsense.
func TestX07AConditionThatIsRefused(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestHeaderFieldsTooLarge} {
		m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(status)
				return
			}
			_, _ = w.Write([]byte(oneRow))
		})
		rows, got, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL}), tenant.Snapshot{ETag: `"e"`})
		if err != nil || got.NotModified || len(rows) != 1 || len(m.requests()) != 2 {
			t.Errorf("%d: %d rows, %v, %v after %d requests", status, len(rows), got.NotModified, err, len(m.requests()))
		}
		m = startManager(t, always(status, ""))
		for _, etag := range []string{"", `"e"`} {
			before := len(m.requests())
			_, _, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL}), tenant.Snapshot{ETag: etag})
			if answer, ok := errors.AsType[*Error](err); !ok || answer.StatusCode != status || len(m.requests())-before > 2 {
				t.Errorf("%d always: %v after %d requests", status, err, len(m.requests())-before)
			}
		}
	}
}

func TestSnapshotNotModifiedUnasked(t *testing.T) {
	m := startManager(t, always(http.StatusNotModified, "", "ETag", `"e"`))
	c := newClient(t, Config{BaseURL: m.URL})
	for _, have := range []tenant.Snapshot{{}, {Version: tenant.Version{Epoch: "w", Revision: 3}}, {ETag: "bad\netag"}} {
		_, got, err := fetch(t.Context(), c, have)
		if answer, ok := errors.AsType[*Error](err); !ok || answer.StatusCode != http.StatusNotModified || got.NotModified {
			t.Errorf("have %+v: got %v, %v; want an *Error", have, got.NotModified, err)
		}
	}
}

// The rows of a list arrive while the manager is still writing it.
func TestSnapshotStreams(t *testing.T) {
	first := make(chan struct{})
	m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		_, _ = w.Write([]byte(`[{"id":"a"},`))
		_ = flush.Flush()
		select {
		case <-first:
		case <-r.Context().Done():
			t.Error("the first row was not given before the last was written")
		}
		_, _ = w.Write([]byte(`{"id":"b"}]`))
	})
	var ids []string
	_, err := newClient(t, Config{BaseURL: m.URL}).FetchSnapshot(t.Context(), tenant.SnapshotRequest{Service: "ledger", Each: func(row tenant.Row) {
		if string(row.ID) == "a" {
			close(first)
		}
		ids = append(ids, string(row.ID))
	}})
	if err != nil || !reflect.DeepEqual(ids, []string{"a", "b"}) {
		t.Errorf("got %v, %v", ids, err)
	}
}

// A body that breaks after its first row is read again by the call that can take rows back, and only by that one.
func TestListRetriesAfterCutBody(t *testing.T) {
	cutOnce := func() http.HandlerFunc {
		cut := false
		return func(w http.ResponseWriter, _ *http.Request) {
			if !cut {
				cut = true
				w.Header().Set("Content-Length", strconv.Itoa(len(oneRow)+100))
			}
			_, _ = w.Write([]byte(oneRow))
		}
	}
	t.Run("GetActiveTenantsByService", func(t *testing.T) {
		m := startManager(t, cutOnce())
		rows, err := newClient(t, Config{BaseURL: m.URL, BackoffBase: 1, BackoffMax: 1}).GetActiveTenantsByService(t.Context(), "ledger")
		if err != nil || len(rows) != 1 || len(m.requests()) != 2 {
			t.Errorf("got %v, %v after %d requests; want one row after 2", rows, err, len(m.requests()))
		}
	})
	t.Run("FetchSnapshot", func(t *testing.T) {
		m := startManager(t, cutOnce())
		rows, v, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL, BackoffBase: 1, BackoffMax: 1}), tenant.Snapshot{})
		if _, ok := errors.AsType[*DecodeError](err); !ok || !errors.Is(err, ErrUnavailable) || v != (tenant.Snapshot{}) {
			t.Errorf("got %v, want a *DecodeError that is ErrUnavailable", err)
		}
		if len(rows) != 1 || len(m.requests()) != 1 {
			t.Errorf("%d rows after %d requests, want 1 after 1", len(rows), len(m.requests()))
		}
	})
	t.Run("FetchSnapshot before any row", func(t *testing.T) {
		cut := false
		m := startManager(t, func(w http.ResponseWriter, _ *http.Request) {
			if !cut {
				cut = true
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte(oneRow[:10]))
				return
			}
			_, _ = w.Write([]byte(oneRow))
		})
		rows, _, err := fetch(t.Context(), newClient(t, Config{BaseURL: m.URL, BackoffBase: 1, BackoffMax: 1}), tenant.Snapshot{})
		if err != nil || len(rows) != 1 || len(m.requests()) != 2 {
			t.Errorf("got %v, %v after %d requests; want one row after 2", rows, err, len(m.requests()))
		}
	})
}

func TestListEndsWithCtx(t *testing.T) {
	m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`[{"id":"a"},`))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := newClient(t, Config{BaseURL: m.URL}).FetchSnapshot(ctx, tenant.SnapshotRequest{Service: "ledger", Each: func(tenant.Row) { cancel() }})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want only the ctx's end", err)
	}
}

// TestX02EachFieldIsReadForItself: what a row needs is its id and its status, by their exact names.
func TestX02EachFieldIsReadForItself(t *testing.T) {
	for _, tt := range []struct {
		name, row string
		want      tenant.Summary
	}{
		{"all", `{"id":"a","name":"A","status":"active"}`, tenant.Summary{ID: "a", Name: "A", Status: "active"}},
		{"a name that is a number", `{"id":"a","name":7,"status":"active"}`, tenant.Summary{ID: "a", Status: "active"}},
		{"a name that is an object", `{"name":{"id":"no","x":"}"},"id":"a"}`, tenant.Summary{ID: "a"}},
		{"status in capitals", `{"id":"a","status":"ACTIVE"}`, tenant.Summary{ID: "a", Status: "ACTIVE"}},
		{"no status", `{"id":"a"}`, tenant.Summary{ID: "a"}},
		{"status null", `{"id":"a","status":null}`, tenant.Summary{}},
		{"white space everywhere", "{ \"id\" :\t\"a\" ,\n \"status\" : \"active\" }", tenant.Summary{ID: "a", Status: "active"}},
		{"escapes", `{"\u0069d":"\u0061\/","x":"\\","name":"\u00e9\""}`, tenant.Summary{ID: "a/", Name: "é\""}},
		{"names in another case are unknown fields", `{"id":"a","ID":"other","Status":7,"NAME":1}`, tenant.Summary{ID: "a"}},
		{"the last of two", `{"id":"a","id":"b"}`, tenant.Summary{ID: "b"}},
		{"unknown fields", `{"x":[{"id":1},"]",{}],"id":"a","y":-1.5e3,"z":true}`, tenant.Summary{ID: "a"}},
		{"id a number", `{"id":7,"name":"A","status":"active"}`, tenant.Summary{}},
		{"id under another name", `{"tenantId":"a","name":"A","status":"active"}`, tenant.Summary{Name: "A", Status: "active"}},
		{"id null", `{"id":null,"status":"active"}`, tenant.Summary{}},
		{"status a number", `{"id":"a","status":1}`, tenant.Summary{}},
		{"status an object", `{"status":{"name":"active"},"id":"a"}`, tenant.Summary{}},
		{"status true", `{"id":"a","status":true}`, tenant.Summary{}},
		{"nothing", `{}`, tenant.Summary{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(http.StatusOK, "["+tt.row+`,{"id":"last"}]`))
			rows, err := newClient(t, Config{BaseURL: m.URL}).GetActiveTenantsByService(t.Context(), "ledger")
			if err != nil || len(rows) != 2 || *rows[0] != tt.want || rows[1].ID != "last" {
				t.Errorf("got %+v, %v; want %+v first", rows, err, tt.want)
			}
		})
	}
}

func FuzzDecodeRows(f *testing.F) {
	for _, seed := range []string{
		oneRow, "[]", "null", "[null]", "[,]", "[{},]", "[{}}", "[{} {}]", "[] x", `[{"id":1}]`, "[[", "\xef\xbb\xbf[]",
		`[{"":"","id":"\ud800","x":[{"\"":"}"}],"status":null}]`, "[ { \"id\" : \"\xff\" , \"name\" : 1e3 } ]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		var rows []tenant.Summary
		err := decodeRows(strings.NewReader(data), func(row *tenant.Row) {
			if row == nil {
				row = &tenant.Row{}
			}
			rows = append(rows, row.Summary())
		})
		want, ok := slowRows(data)
		if (err == nil) != ok || ok && !slices.Equal(rows, want) {
			t.Errorf("%q: %+v, %v; want %+v, %v", data, rows, err, want, ok)
		}
	})
}

// slowRows is what decodeRows has to agree with, if data is one array of objects and nulls.
func slowRows(data string) ([]tenant.Summary, bool) {
	var raw []json.RawMessage
	if json.Unmarshal([]byte(data), &raw) != nil || raw == nil {
		return nil, false
	}
	rows := make([]tenant.Summary, len(raw))
	for i, row := range raw {
		var fields map[string]any
		if row[0] != '{' && row[0] != 'n' || json.Unmarshal(row, &fields) != nil {
			return nil, false
		}
		rows[i] = slowRow(fields)
	}
	return rows, true
}

func slowRow(fields map[string]any) tenant.Summary {
	text := func(name string) (string, bool) {
		value, there := fields[name]
		s, ok := value.(string)
		return s, ok || !there
	}
	id, okID := text("id")
	status, okStatus := text("status")
	name, _ := text("name")
	if !okID || !okStatus {
		return tenant.Summary{}
	}
	return tenant.Summary{ID: id, Name: name, Status: status}
}
