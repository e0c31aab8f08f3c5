package managerapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const oneRow = `[{"id":"acme","name":"Acme","status":"active"}]`

// manager is a server that answers what it is told and remembers what it was asked.
type manager struct {
	*httptest.Server

	mu   sync.Mutex
	seen []seenRequest
}

type seenRequest struct {
	method, uri, body string
	header            http.Header
}

func startManager(t testing.TB, answer http.HandlerFunc) *manager {
	t.Helper()
	m := &manager{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		m.mu.Lock()
		m.seen = append(m.seen, seenRequest{r.Method, r.RequestURI, string(data), r.Header.Clone()})
		m.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *manager) requests() []seenRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// always answers every request in the same way.
func always(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// roundTrip is a transport without a network, for tests of time.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body)))}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fetch collects the rows of a snapshot.
func fetch(ctx context.Context, c *Client, have tenant.Snapshot) ([]tenant.Summary, tenant.Snapshot, error) {
	var rows []tenant.Summary
	got, err := c.FetchSnapshot(ctx, tenant.SnapshotRequest{Service: "ledger", Have: have, Each: func(row tenant.Row) { rows = append(rows, row.Summary()) }})
	return rows, got, err
}

// plainly asks for a list, and takes no notice of its rows.
func plainly(service string) tenant.SnapshotRequest {
	return tenant.SnapshotRequest{Service: service, Each: func(tenant.Row) {}}
}

// both runs check over the two ways to read the list.
func both(t *testing.T, c *Client, check func(t *testing.T, err error)) {
	t.Helper()
	t.Run("GetActiveTenantsByService", func(t *testing.T) {
		rows, err := c.GetActiveTenantsByService(t.Context(), "ledger")
		if err != nil && rows != nil {
			t.Errorf("rows beside an error: %v", rows)
		}
		check(t, err)
	})
	t.Run("FetchSnapshot", func(t *testing.T) {
		_, got, err := fetch(t.Context(), c, tenant.Snapshot{})
		if err != nil && got != (tenant.Snapshot{}) {
			t.Errorf("%+v beside an error", got)
		}
		check(t, err)
	})
}
