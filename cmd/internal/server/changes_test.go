package server

import (
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const ledgerChanges = "/v1/tenants/active/changes?service=ledger&since="

// changesSince reads an answer of 200.
func (h *served) changesSince(t testing.TB, path string, since tenant.Version, change ...func(http.Header)) managerapi.Changes {
	t.Helper()
	var out managerapi.Changes
	body := h.want(t, 200, "GET", path+since.String(), "", change...).body
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return out
}

func TestChanges(t *testing.T) {
	h := start(t)
	begin := versionOf(t, h)
	if got := h.changesSince(t, ledgerChanges, begin); len(got.Events) != 0 || got.Events == nil || got.Count != 0 || got.Digest != strings.Repeat("0", 16) {
		t.Errorf("of nothing: %+v", got)
	}
	first := h.tenant(t, "One")
	second := h.tenant(t, "Two")
	other := idOf(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"Other"}`).body)
	h.want(t, 201, "POST", "/v1/tenants/"+other+"/associations/payments", `{}`)
	h.want(t, 204, "PUT", "/v1/tenants/"+second+"/suspend", "")
	got := h.changesSince(t, ledgerChanges, begin, without("Authorization"))
	if v := versionOf(t, h); got.Epoch != v.Epoch || got.Revision != v.Revision || got.Count != 1 || got.Digest != fmt.Sprintf("%016x", tenant.IDDigest(first)) {
		t.Errorf("%+v, want version %s and one tenant", got, v)
	}
	stream := h.follow(t, ledgerEvents, begin.Epoch+":0")
	for _, want := range []string{"tenant.service.associated", "tenant.service.associated", "tenant.suspended"} {
		if sent := stream.nextOf(t, ""); len(got.Events) == 0 || string(got.Events[0]) != sent.data || !strings.Contains(sent.data, want) {
			t.Fatalf("the events are %s, the stream sent %s, want %s", got.Events, sent.data, want)
		}
		got.Events = got.Events[1:]
	}
	if len(got.Events) != 0 {
		t.Errorf("more events: %s", got.Events)
	}
}

func TestTheHeadOfChanges(t *testing.T) {
	h := start(t)
	h.tenant(t, "One")
	path := ledgerChanges + versionOf(t, h).Epoch + ":0"
	plain := h.want(t, 200, "GET", path, "")
	zipped := h.want(t, 200, "GET", path, "", with("Accept-Encoding", "gzip"))
	reader, err := gzip.NewReader(strings.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(reader); err != nil || string(data) != plain.body || zipped.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("compressed: %s, %v, want %s", data, err, plain.body)
	}
	head := h.want(t, 200, "HEAD", path, "")
	if head.body != "" {
		t.Errorf("HEAD has the body %s", head.body)
	}
	for _, got := range []answer{plain, zipped, head} {
		if got.header.Get("Tenant-Set-Environment") != "staging" || got.header.Get("Vary") != "Accept-Encoding" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", got.header)
		}
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	h := start(t)
	h.tenant(t, "One")
	v := versionOf(t, h)
	for _, tt := range []struct {
		name, query, code string
		status            int
		change            func(http.Header)
	}{
		{"no key", "?service=ledger&since=" + v.String(), "UNAUTHORIZED", 401, func(header http.Header) { clear(header) }},
		{"another service", "?service=payments&since=" + v.String(), "SERVICE_NOT_FOUND", 404, without("Authorization")},
		{"no service", "?since=" + v.String(), "SERVICE_REQUIRED", 400, nil},
		{"no version", "?service=ledger", "SINCE_REQUIRED", 400, nil},
		{"no revision", "?service=ledger&since=" + v.Epoch, "INVALID_SINCE", 400, nil},
		{"no epoch", "?service=ledger&since=:1", "INVALID_SINCE", 400, nil},
		{"another epoch", "?service=ledger&since=another:1", "EVENTS_GONE", 410, nil},
		{"ahead", "?service=ledger&since=" + v.Epoch + ":1000", "EVENTS_GONE", 410, nil},
		{"far ahead", "?service=ledger&since=" + v.Epoch + ":18446744073709551615", "EVENTS_GONE", 410, nil},
	} {
		change := []func(http.Header){}
		if tt.change != nil {
			change = append(change, tt.change)
		}
		got := h.call(t, "GET", changesPath+tt.query, "", change...)
		if got.status != tt.status || !strings.Contains(got.body, `"code":"`+tt.code+`"`) || got.header.Get("Tenant-Set-Environment") != "" {
			t.Errorf("%s: %d %s %v", tt.name, got.status, got.body, got.header)
		}
	}
}

// TestM13AListIsCountedWhenChangesAreAskedFor, and an event of which nobody knows who may see it is not told to a key.
func TestM13AListIsCountedWhenChangesAreAskedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "manager.db")
	h := serve(t, openDSN(t, "sqlite:"+file), func(*Server) {})
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)") // the store writes to it too
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	spoil := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	begin := versionOf(t, h)
	id := h.tenant(t, "One")
	spoil(`UPDATE active_sets SET counted_at = -1`)
	if got := h.changesSince(t, ledgerChanges, begin); got.Count != 1 || got.Digest != fmt.Sprintf("%016x", tenant.IDDigest(id)) {
		t.Errorf("%+v", got)
	}
	spoil(`UPDATE outbox SET services = NULL`)
	if got := h.changesSince(t, ledgerChanges, begin, without("X-API-Key")); len(got.Events) != 2 {
		t.Errorf("to a token: %s", got.Events)
	}
	h.want(t, 410, "GET", ledgerChanges+begin.String(), "", without("Authorization"))
}
