package managerapi

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/edges"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func does[T any](call func(ctx context.Context, c *Client) (T, error)) func(context.Context, *Client) error {
	return func(ctx context.Context, c *Client) error {
		_, err := call(ctx, c)
		return err
	}
}

// operations are the columns.
var operations = map[string]func(ctx context.Context, c *Client) error{
	"Client.GetActiveTenantsByService": does(func(ctx context.Context, c *Client) ([]*tenant.Summary, error) {
		return c.GetActiveTenantsByService(ctx, "ledger")
	}),
	"Client.FetchSnapshot": func(ctx context.Context, c *Client) error {
		_, err := c.FetchSnapshot(ctx, plainly("ledger"))
		return err
	},
	"Client.FetchChanges": func(ctx context.Context, c *Client) error {
		_, err := c.FetchChanges(ctx, tenant.ChangesRequest{Service: "ledger", Since: tenant.Version{Epoch: "e"}, Each: func([]byte) {}})
		return err
	},
	"Admin.Tenants": does(func(ctx context.Context, c *Client) (*TenantPage, error) {
		return c.Admin().Tenants(ctx, TenantQuery{})
	}),
	"Client.Tenant": does(func(ctx context.Context, c *Client) (*Tenant, error) { return c.Tenant(ctx, "acme") }),
	"Client.CreateTenant": does(func(ctx context.Context, c *Client) (*CreatedTenant, error) {
		return c.CreateTenant(ctx, CreateTenantRequest{Name: "Acme"})
	}),
	"Client.UpdateTenant":     func(ctx context.Context, c *Client) error { return c.UpdateTenant(ctx, "acme", UpdateTenantRequest{}) },
	"Client.SuspendTenant":    func(ctx context.Context, c *Client) error { return c.SuspendTenant(ctx, "acme") },
	"Client.ReactivateTenant": func(ctx context.Context, c *Client) error { return c.ReactivateTenant(ctx, "acme") },
	"Client.DeleteTenant":     func(ctx context.Context, c *Client) error { return c.DeleteTenant(ctx, "acme") },
	"Admin.Associations": does(func(ctx context.Context, c *Client) ([]AssociationInfo, error) {
		return c.Admin().Associations(ctx, "acme")
	}),
	"Client.CreateAssociation": does(func(ctx context.Context, c *Client) (*Association, error) {
		return c.CreateAssociation(ctx, "acme", "ledger", CreateAssociationRequest{})
	}),
	"Client.SuspendAssociation":    func(ctx context.Context, c *Client) error { return c.SuspendAssociation(ctx, "acme", "ledger") },
	"Client.ReactivateAssociation": func(ctx context.Context, c *Client) error { return c.ReactivateAssociation(ctx, "acme", "ledger") },
	"Client.DeleteAssociation":     func(ctx context.Context, c *Client) error { return c.DeleteAssociation(ctx, "acme", "ledger") },
	"Client.PurgeAssociation":      func(ctx context.Context, c *Client) error { return c.PurgeAssociation(ctx, "acme", "ledger") },
	"Client.Connections": does(func(ctx context.Context, c *Client) (*Connections, error) {
		return c.Connections(ctx, "acme", "ledger")
	}),
	"Client.UpdateConnections": func(ctx context.Context, c *Client) error {
		return c.UpdateConnections(ctx, "acme", "ledger", UpdateConnectionsRequest{})
	},
	"Client.PatchConnections": func(ctx context.Context, c *Client) error {
		return c.PatchConnections(ctx, "acme", "ledger", SecretJSON(`{"databases":null}`))
	},
	"Client.RotateCredentials": func(ctx context.Context, c *Client) error { return c.RotateCredentials(ctx, "acme", "ledger") },
	"Client.InvalidateCache":   func(ctx context.Context, c *Client) error { return c.InvalidateCache(ctx, "acme", "ledger", "") },
	"Admin.Keys":               does(func(ctx context.Context, c *Client) ([]KeyInfo, error) { return c.Admin().Keys(ctx, "ledger") }),
	"Admin.CreateKey": does(func(ctx context.Context, c *Client) (*CreatedKey, error) {
		return c.Admin().CreateKey(ctx, CreateKeyRequest{Service: "ledger"})
	}),
	"Admin.RevokeKey": func(ctx context.Context, c *Client) error { return c.Admin().RevokeKey(ctx, "k") },
	"Admin.Tokens":    does(func(ctx context.Context, c *Client) ([]TokenInfo, error) { return c.Admin().Tokens(ctx) }),
	"Admin.CreateToken": does(func(ctx context.Context, c *Client) (*CreatedToken, error) {
		return c.Admin().CreateToken(ctx, CreateTokenRequest{})
	}),
	"Admin.RevokeToken": func(ctx context.Context, c *Client) error { return c.Admin().RevokeToken(ctx, "t", false) },
	"Admin.Outbox":      does(func(ctx context.Context, c *Client) (*OutboxStatus, error) { return c.Admin().Outbox(ctx) }),
	"Admin.Events":      does(func(ctx context.Context, c *Client) (*EventPage, error) { return c.Admin().Events(ctx, 0, 10) }),
	"Admin.Quarantined": does(func(ctx context.Context, c *Client) (*QuarantinePage, error) {
		return c.Admin().Quarantined(ctx, 0, 10)
	}),
	"Admin.RetryEvent": func(ctx context.Context, c *Client) error { return c.Admin().RetryEvent(ctx, 7, false) },
}

// farEnd is a row: what the manager's side does on each connection, and what has to come out.
type farEnd struct {
	answer string // in answer to the first bytes; empty closes the connection
	silent bool   // nothing more comes, and the connection stays open
	reads  bool   // only an operation that reads an answer notices
	want   func(err error) bool
}

func unavailable(err error) bool { return errors.Is(err, ErrUnavailable) }

func status(code int) func(error) bool {
	return func(err error) bool {
		answer, ok := errors.AsType[*Error](err)
		return ok && answer.StatusCode == code
	}
}

func undecodable(err error) bool {
	_, decode := errors.AsType[*DecodeError](err)
	return decode
}

func tooLarge(err error) bool {
	_, large := errors.AsType[*BodyTooLargeError](err)
	return large
}

var farEnds = map[string]farEnd{
	"closes":                     {want: unavailable},
	"never answers":              {silent: true, want: unavailable},
	"is not HTTP":                {answer: "-ERR unknown command 'GET'\r\n", want: unavailable},
	"stops in the head":          {answer: "HTTP/1.1 200 OK\r\nContent-", silent: true, want: unavailable},
	"has an endless head":        {answer: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponseHeader+4096), want: unavailable},
	"stops in the body":          {answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", silent: true, reads: true, want: unavailable},
	"closes in the body":         {answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", reads: true, want: unavailable},
	"answers HTML":               {answer: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", reads: true, want: undecodable},
	"answers a number":           {answer: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7", reads: true, want: undecodable},
	"answers nothing":            {answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", reads: true, want: undecodable},
	"is not gzip":                {answer: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", reads: true, want: undecodable},
	"answers too much":           {answer: "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + "[{\"x\":\"" + strings.Repeat("x", 4089), reads: true, want: tooLarge},
	"redirects":                  {answer: "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", want: status(302)},
	"says 304 unasked":           {answer: "HTTP/1.1 304 Not Modified\r\n\r\n", want: status(304)},
	"knows no key":               {answer: "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", want: status(401)},
	"is over its limit":          {answer: "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", want: unavailable},
	"fails":                      {answer: "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops", want: status(500)},
	"is down for a while":        {answer: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 600000000000\r\nContent-Length: 0\r\n\r\n", want: unavailable},
	"fails with an endless body": {answer: "HTTP/1.1 500 Internal Server Error\r\n\r\n" + strings.Repeat("x", 128<<10), want: status(500)},
}

// serve is the far end.
func (f farEnd) serve(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(t.Context(), func() { _ = conn.Close() })
			work.Go(func() { f.talk(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return "http://" + listener.Addr().String()
}

func (f farEnd) talk(conn *net.TCPConn) {
	_, _ = conn.Read(make([]byte, 64<<10)) // the request, or its beginning
	_, _ = io.WriteString(conn, f.answer)
	if !f.silent {
		_ = conn.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, conn) // until the client closes, so that nothing is reset
	_ = conn.Close()
}

func TestEdgesOfTheHTTPClient(t *testing.T) {
	var faults, columns []string
	for name := range farEnds {
		faults = append(faults, name)
	}
	for name := range operations {
		columns = append(columns, name)
	}
	const noNetwork = "it reads or writes JSON in memory, or has an error by its signature alone"
	edges.Table{
		Face: "http client", Packages: []string{"."}, Faults: faults, Operations: columns,
		Inside: map[string]string{
			"NewClient": "it touches no network", "DecodeError.Unwrap": noNetwork, "EventPage.UnmarshalJSON": noNetwork,
			"Connections.UnmarshalJSON": noNetwork, "Connections.MarshalJSON": noNetwork, "DatabaseConnections.UnmarshalJSON": noNetwork,
			"DatabaseConnections.MarshalJSON": noNetwork, "UpdateConnectionsRequest.UnmarshalJSON": noNetwork,
			"UpdateConnectionsRequest.MarshalJSON": noNetwork, "SecretJSON.MarshalJSON": noNetwork, "SecretJSON.UnmarshalJSON": noNetwork,
			"Timestamp.UnmarshalJSON": noNetwork, "NotFoundError.Unwrap": noNetwork,
		},
		Cell: func(fault, operation string) edges.Cell {
			far := farEnds[fault]
			if operation == "Client.FetchChanges" && strings.Contains(far.answer, "\r\n\r\n[") { // an array cannot be an answer to it, whatever becomes of the rest
				far.want = func(err error) bool { return errors.Is(err, tenant.ErrNoChanges) }
			}
			return cellOf(far, slices.Contains(contented, operation), operations[operation])
		},
	}.Run(t)
}

// contented are the operations to which a success is enough, whatever its body is.
var contented = []string{
	"Client.UpdateTenant", "Client.SuspendTenant", "Client.ReactivateTenant", "Client.DeleteTenant", "Client.SuspendAssociation",
	"Client.ReactivateAssociation", "Client.DeleteAssociation", "Client.PurgeAssociation", "Client.UpdateConnections", "Client.PatchConnections",
	"Client.RotateCredentials", "Client.InvalidateCache", "Admin.RevokeKey", "Admin.RevokeToken", "Admin.RetryEvent",
}

func cellOf(far farEnd, isDeaf bool, operation func(context.Context, *Client) error) edges.Cell {
	return edges.Cell{Run: func(t *testing.T) {
		timeout, retries := 30*time.Second, 1
		if far.silent && !(far.reads && isDeaf) {
			timeout, retries = 100*time.Millisecond, 0 // which is what ends it
		}
		c := newClient(t, Config{BaseURL: far.serve(t), APIKey: StaticKey("canary-key"), BearerToken: StaticKey("canary-token"), Retries: retries, BackoffBase: 1, BackoffMax: 1, ListLimit: 1024, BodyLimit: 1024, Timeout: timeout})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := operation(ctx, c)
		switch {
		case far.reads && isDeaf && err != nil:
			t.Errorf("got %v, and it was a success", err)
		case !(far.reads && isDeaf) && !far.want(err):
			t.Errorf("got %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("a secret is in the error: %v", err)
		}
		if ctx.Err() != nil {
			t.Error("it took a minute")
		}
	}}
}
