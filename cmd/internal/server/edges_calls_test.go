package server

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// The columns of the edge matrix are the rows of the table of calls, so that a new one is a new column, and the waiting room.

// edgeKind is what the outcomes go by.
type edgeKind int

const (
	kindRead edgeKind = iota
	kindList
	kindStream
	kindChange
	kindOpen // asks for no credentials
	kindRoom // before there is a server
)

// edgeCall is a column.
type edgeCall struct {
	id, method, path string
	kind             edgeKind
	access           access
	hasBody          bool
	query            []string // its parameters there
	status           int      // the answer when nothing is wrong
	body             string   // a good one
}

func (c edgeCall) needsToken() bool { return c.access == byToken }

// guarded reports whether it asks who it is.
func (c edgeCall) guarded() bool { return c.kind != kindOpen && c.kind != kindRoom }

// edgeBodies are good bodies, by the id of the call. A call with a body and none of these fails the test.
var edgeBodies = map[string]string{
	"create-tenant": `{"name":"%d"}`, "update-tenant": `{"metadata":{"a":"b"}}`, "associate": `{"isolationMode":"isolated"}`,
	"update-connections": `{"zone":"eu"}`, "invalidate-cache": `{"module":"m"}`, "create-key": `{"service":"s%d","name":"k"}`,
	"create-token": `{"name":"t%d"}`,
}

// edgeStatus has the calls whose answer in the state that the cells make is not a success: what is reactivated was not suspended,
// and nothing was given up.
var edgeStatus = map[string]int{"reactivate-tenant": 409, "reactivate-association": 409, "retry-event": 404}

// edge is what the cells share.
type edge struct {
	*served

	calls       map[string]edgeCall
	ids         []string // of the calls, in their order
	limited     *served  // whose key has asked too often already
	billing     string   // another service's key
	revokedKey  string
	revokedTok  string
	tenantID    string // of ledger, which no cell changes
	short, tls  string // addresses of the same server with short bounds, and with TLS
	room        string
	made        atomic.Int64
	slowResults map[string]map[string]wireAnswer // by row and call
}

// The short bounds. They only have to be much shorter than what the test waits for.
const (
	shortHead = 500 * time.Millisecond
	shortBody = time.Second
	edgeBeat  = 300 * time.Millisecond
)

func newEdge(t *testing.T) *edge {
	t.Helper()
	over := openStore(t)
	e := &edge{calls: map[string]edgeCall{}, slowResults: map[string]map[string]wireAnswer{}}
	e.served = serve(t, over, func(s *Server) { s.beat = edgeBeat }, func(c *Config) { c.MaxStreams = 8 })
	e.tenantID = e.tenant(t, "Acme")
	e.billing = makeKey(t, over, "billing")
	e.revokedKey, e.revokedTok = e.revoked(t)
	e.limited = serve(t, over, func(*Server) {}, func(c *Config) { c.RateLimit = 1e-6 })
	e.limited.want(t, 200, "GET", ledgerList, "")
	e.short = "http://" + e.listenWith(t, listen(t), func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = shortHead, shortBody })
	e.tls = e.listenWith(t, tlsListener(t), func(*http.Server) {})
	e.room = waitingRoom(t)
	e.readCalls(t)
	return e
}

// listenWith serves what e serves in another way too.
func (e *edge) listenWith(t *testing.T, on net.Listener, change func(*http.Server)) (address string) {
	t.Helper()
	server, ended := e.httpServer(e.public), make(chan struct{})
	change(server)
	go func() {
		defer close(ended)
		_ = server.Serve(on) // it ends by being closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return on.Addr().String()
}

func waitingRoom(t *testing.T) string {
	t.Helper()
	listener, ok := listen(t).(*net.TCPListener)
	if !ok {
		t.Fatal("a listener of another kind")
	}
	end := WaitingRoom(slog.New(slog.DiscardHandler), nil, func() bool { return true }, listener)
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
		_ = listener.Close()
	})
	return "http://" + listener.Addr().String()
}

// revoked returns a key and a token that were right.
func (e *edge) revoked(t *testing.T) (key, token string) {
	t.Helper()
	k, key, err := e.store.CreateKey(t.Context(), "ledger", "gone")
	if err == nil {
		err = e.store.RevokeKey(t.Context(), k.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	k, token, err = e.store.CreateToken(t.Context(), "gone")
	if err == nil {
		err = e.store.RevokeToken(t.Context(), k.ID, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

// readCalls makes the columns. What a call has for a body and for parameters is in the document alone.
func (e *edge) readCalls(t *testing.T) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody *struct{}
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(e.want(t, 200, "GET", "/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	for _, row := range calls {
		c := edgeCall{id: cmp.Or(row.id, row.path), method: row.method, path: row.path, access: row.access, status: row.status}
		op, there := doc.Paths[row.path][strings.ToLower(row.method)]
		switch {
		case there != (row.id != ""):
			t.Errorf("%s is in the document: %t", row.pattern(), there)
		case row.access == anybody:
			c.kind = kindOpen
		case row.method != http.MethodGet:
			c.kind = kindChange
		case op.Responses["200"].Content["text/event-stream"] != nil:
			c.kind = kindStream
		}
		c.hasBody = op.RequestBody != nil
		for _, p := range op.Parameters {
			if p.In == "query" {
				c.query = append(c.query, p.Name)
			}
		}
		e.add(t, c)
	}
	e.add(t, edgeCall{id: "WaitingRoom", method: "GET", path: "/v1/tenants/active", access: anybody, kind: kindRoom, status: 503})
	slices.Sort(e.ids)
}

func (e *edge) add(t *testing.T, c edgeCall) {
	t.Helper()
	if c.path == "/v1/tenants/active" && c.kind == kindRead {
		c.kind = kindList
	}
	if other := edgeStatus[c.id]; other != 0 {
		c.status = other
	}
	if c.body = edgeBodies[c.id]; c.hasBody && c.body == "" {
		t.Fatalf("%s has a body: give it a good one in edgeBodies", c.id)
	}
	e.calls[c.id] = c
	e.ids = append(e.ids, c.id)
}

// edgeRequest is what a cell sends, before a row has spoilt it.
type edgeRequest struct {
	url, method, target, body string
	header                    http.Header
}

// good is the call as it should be, on things that are there and, for a change, its own.
func (e *edge) good(t *testing.T, c edgeCall) edgeRequest {
	t.Helper()
	r := edgeRequest{url: e.url, method: c.method, header: http.Header{}}
	if c.kind == kindRoom {
		r.url = e.room
	}
	if c.guarded() {
		r.header.Set("X-API-Key", e.key)
		r.header.Set("Authorization", "Bearer "+e.token)
	}
	if c.hasBody {
		r.body = strings.ReplaceAll(c.body, "%d", strconv.FormatInt(e.made.Add(1), 10))
		r.header.Set("Content-Type", jsonType)
	}
	r.target = strings.NewReplacer("{service}", "ledger", "{revision}", "999999", "{id}", e.target(t, c)).Replace(c.path)
	if c.kind == kindList || c.kind == kindStream {
		r.target += "?service=ledger"
	}
	if c.path == changesPath {
		r.target += "?service=ledger&since=" + versionOf(t, e.served).String()
	}
	if strings.Contains(r.target, "{") {
		t.Fatalf("%s: a part of %s is not known here", c.id, c.path)
	}
	return r
}

// target is the id of what the call is about.
func (e *edge) target(t *testing.T, c edgeCall) string {
	t.Helper()
	name := "f" + strconv.FormatInt(e.made.Add(1), 10)
	var k store.Key
	var err error
	switch {
	case c.kind != kindChange || !strings.Contains(c.path, "{id}"):
		return e.tenantID
	case strings.Contains(c.path, "/keys/"):
		k, _, err = e.store.CreateKey(t.Context(), name, name)
	case strings.Contains(c.path, "/tokens/"):
		k, _, err = e.store.CreateToken(t.Context(), name)
	default:
		var made store.Tenant
		if made, _, err = e.store.CreateTenant(t.Context(), store.NewTenant{Name: name}); err == nil && c.id != "associate" {
			_, err = e.store.Associate(t.Context(), made.ID, "ledger", store.NewAssociation{IsolationMode: "isolated"})
		}
		k.ID = made.ID
	}
	if err != nil {
		t.Fatal(err)
	}
	return k.ID
}
