package store

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// refuser is a far end that answers each new connection with a FATAL of that code, or with nothing where there is none.
func refuser(t testing.TB, code string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	do(t, err)
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				refuse(conn, code)
			})
		}
	})
	return listener.Addr().String()
}

func refuse(conn net.Conn, code string) {
	backend := pgproto3.NewBackend(conn, conn)
	for {
		asked, err := backend.ReceiveStartupMessage()
		switch asked.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return
			}
			continue
		case *pgproto3.StartupMessage:
			if code == "" {
				_, _ = conn.Read(make([]byte, 1)) // until it hangs up
				return
			}
			backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "refused"})
			_ = backend.Flush()
		}
		if err != nil || asked != nil {
			return
		}
	}
}

// crowd is connections that others have.
type crowd struct {
	dsn string
	all []*pgx.Conn
}

// fill takes all connections that a server has left, until the test or free ends.
func fill(t testing.TB, dsn string) *crowd {
	t.Helper()
	c := &crowd{dsn: dsn}
	t.Cleanup(c.free)
	c.more(t)
	return c
}

// more takes what was given back meanwhile.
func (c *crowd) more(t testing.TB) {
	t.Helper()
	for len(c.all) < 200 {
		conn, err := pgx.Connect(context.Background(), c.dsn)
		if err != nil {
			if !strings.Contains(err.Error(), "53300") {
				t.Fatal(err)
			}
			return
		}
		c.all = append(c.all, conn)
	}
	t.Fatal("the server takes any number of connections")
}

func (c *crowd) free() {
	for _, conn := range c.all {
		_ = conn.Close(context.Background())
	}
	c.all = nil
}

// TestX08NothingIsDoneWhereNobodyCanLook: the first goes on with a server that nobody has stopped, and the address leads to
// one that takes no new connection, so that no look can tell. The one that was there before leads on it already.
func TestX08NothingIsDoneWhereNobodyCanLook(t *testing.T) {
	primary := testserver.StartPostgres(t, "-c", "max_connections=40")
	dsn := primary.Database(t)
	standby := primary.Standby(t)
	p := pair{primary: primary, standby: standby, proxy: testserver.NewProxy(t, primary.Addr())}
	p.db = database{dsn: through(t, p.proxy.Addr(), dsn)}
	first := p.db.open(t)
	makeEvents(t, first, 1)
	p.caughtUp(t)
	standby.Promote(t)
	there := through(t, standby.Addr(), dsn)
	for name, begins := range map[string]func(t *testing.T) (target string){
		"no connection is left": func(t *testing.T) string { fill(t, there); return standby.Addr() },
		"another password": func(t *testing.T) string {
			admin, err := pgx.Connect(t.Context(), there)
			do(t, err)
			_, err = admin.Exec(t.Context(), `ALTER ROLE CURRENT_USER PASSWORD 'another'`)
			do(t, err)
			t.Cleanup(func() {
				_, err := admin.Exec(context.Background(), `ALTER ROLE CURRENT_USER PASSWORD '`+testserver.PostgresPassword+`'`)
				do(t, errors.Join(err, admin.Close(context.Background())))
			})
			return standby.Addr()
		},
		"it starts":    func(t *testing.T) string { return refuser(t, "57P03") },
		"it is silent": func(t *testing.T) string { return refuser(t, "") },
	} {
		t.Run(name, func(t *testing.T) {
			release, err := first.Lead(t.Context())
			do(t, err)
			defer release()
			do(t, first.Leading(t.Context()))
			p.proxy.SetTarget(begins(t))
			eventually(t, "it leads no more", func() bool { return first.Leading(t.Context()) != nil })
			for looks := p.proxy.Accepted() + 2; p.proxy.Accepted() < looks; {
				if err := first.Ping(t.Context()); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("a change on the server of before: %v", err)
				}
				if err := first.Leading(t.Context()); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("it leads on the server of before: %v", err)
				}
			}
			p.proxy.SetTarget(primary.Addr())
			eventually(t, "it recovered", func() bool { return first.Ping(t.Context()) == nil && first.Leading(t.Context()) == nil })
		})
	}
}

// TestX08AServerWithoutAConnectionLeftGoesOn: it is the one of before, though it lets nobody in who looks.
func TestX08AServerWithoutAConnectionLeftGoesOn(t *testing.T) {
	server := testserver.StartPostgres(t, "-c", "max_connections=20")
	dsn := server.Database(t)
	proxy := testserver.NewProxy(t, server.Addr())
	s := database{dsn: through(t, proxy.Addr(), dsn)}.open(t)
	makeEvents(t, s, 1)
	release, err := s.Lead(t.Context())
	do(t, err)
	defer release()
	looks := proxy.Accepted() + 2 // so that there is a witness
	eventually(t, "it has looked", func() bool { return proxy.Accepted() >= looks && s.Ping(t.Context()) == nil })
	others := fill(t, dsn)
	for looks := proxy.Accepted() + 8; proxy.Accepted() < looks; {
		others.more(t)
		do(t, s.Ping(t.Context()))
		do(t, s.Leading(t.Context()))
	}
}
