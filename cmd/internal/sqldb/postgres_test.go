package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestALockOfAnotherSessionIsNoLock: behind a pooler the connection may have become another session.
func TestALockOfAnotherSessionIsNoLock(t *testing.T) {
	s := onServer(t).open(t)
	lease, err := s.Lead(t.Context(), seven)
	do(t, err)
	defer lease.Release()
	conn, err := s.writer.Conn(t.Context())
	do(t, err)
	defer func() { do(t, conn.Close()) }()
	if err := holds(t.Context(), conn, lockLead, seven.Number); err == nil {
		t.Error("a session that has no lock holds it")
	}
	for setting, want := range map[string]string{
		"idle_in_transaction_session_timeout": "10s", "tcp_keepalives_idle": "10", "application_name": "tenantwatch", "synchronous_commit": "on",
	} {
		var got string
		do(t, conn.QueryRowContext(t.Context(), `SHOW `+setting).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}

func TestS07TLSIsVerifiedUnlessItIsToldOtherwise(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for dsn, want := range map[string]bool{
		"postgres://db.example/x":                      true,
		"postgres://db.example:5432/x?a=b":             true,
		"postgres:///x?host=db.example":                true,
		"postgres://127.0.0.1,db.example/x":            true,
		"postgres://db.example/x?sslmode=disable":      false,
		"postgres://db.example/x?sslmode=verify-ca":    false,
		"postgres://localhost/x":                       false,
		"postgres://127.0.0.1:5432,localhost:5432/x":   false,
		"postgres://[::1]:5432/x":                      false,
		"postgres:///x?host=/var/run/postgresql":       false,
		"postgres:///x":                                false,
		"postgres:///x?service=y":                      true,
		"postgres:///x?service=y&sslmode=disable":      false,
		"postgres://localhost/x?service=y":             false,
		"postgres://u:p@localhost.evil.example:5432/x": true,
	} {
		got, err := verified(dsn)
		if err != nil || strings.Contains(got, "sslmode=verify-full") != want {
			t.Errorf("%s became %s, %v", dsn, got, err)
		}
	}
	t.Setenv("PGSERVICE", "y")
	if got, err := verified("postgres:///x"); err != nil || !strings.Contains(got, "sslmode=verify-full") {
		t.Errorf("with PGSERVICE it became %s, %v", got, err)
	}
}

// TestX08OneLookAnswersAll who ask at that time, whether it succeeds or not, and none of those who ask ends it for others.
func TestX08OneLookAnswersAll(t *testing.T) {
	server := testserver.SharedPostgres(t)
	proxy := testserver.NewProxy(t, server.Addr())
	s := database{dsn: server.Behind(t, proxy)}.open(t)
	var all sync.WaitGroup
	before := proxy.Accepted()
	p, _ := s.dialect.(*postgres)
	for range 50 {
		p.far.mu.Lock()
		p.far.began = p.far.began.Add(-knownFor)
		p.far.mu.Unlock()
		all.Go(func() {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			_ = p.leadsHere(gone, p.far.current(), toCommit)
			if err := p.leadsHere(t.Context(), p.far.current(), toCommit); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := proxy.Accepted() - before; got > 25 {
		t.Errorf("%d looks for 50 who asked at once", got)
	}
	proxy.Set(testserver.Refuse)
	waitFor(t, "a look failed", func() bool { return p.leadsHere(t.Context(), p.far.current(), toCommit) != nil })
	before = proxy.Accepted()
	for range 1000 {
		if err := p.leadsHere(t.Context(), p.far.current(), toCommit); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if got := proxy.Accepted() - before; got > 10 {
		t.Errorf("%d looks for 1000 who asked in no time", got)
	}
}

// TestX08ALockOnAStandbyIsNone: its advisory locks are its own.
func TestX08ALockOnAStandbyIsNone(t *testing.T) {
	primary := testserver.StartPostgres(t)
	parsed, err := url.Parse(primary.Database(t))
	do(t, err)
	parsed.Host = primary.Standby(t).Addr()
	conn, err := pgx.Connect(t.Context(), parsed.String())
	do(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), `SELECT pg_advisory_lock($1, $2)`, lockLead, seven.Number)
	do(t, err)
	pool, err := sql.Open("pgx", parsed.String())
	do(t, err)
	defer func() { do(t, pool.Close()) }()
	held, err := pool.Conn(t.Context())
	do(t, err)
	defer func() { _ = held.Close() }()
	if err := holds(t.Context(), held, lockLead, seven.Number); !errors.Is(err, errRecovery) {
		t.Errorf("a lock on a standby: %v", err)
	}
}
