package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// lockOfMigrations is the advisory lock that a manager has while it migrates: docs/operations.md says that others wait for it.
const lockOfMigrations = 0x7477_0001

// TestX45WhileTheDatabaseIsMigrated the process says that it lives and is not ready, ends when it is told to, and serves when it
// is done.
func TestX45WhileTheDatabaseIsMigrated(t *testing.T) {
	t.Parallel()
	dsn := testserver.SharedPostgres(t).Database(t)
	s := startServe(t, dsn)
	s.interrupt()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `SELECT pg_advisory_lock($1, 0)`, lockOfMigrations); err != nil {
		t.Fatal(err)
	}
	for _, ends := range []bool{true, false} {
		operator := freeAddress(t)
		p := startProcess(t, s.serve, "serve", "--json", "--admin-listen", operator)
		p.await(&p.err, "another process brings")
		wantAnswer(t, operator, "/healthz", "200")
		wantAnswer(t, operator, "/readyz", "503 MIGRATING")
		if p.out.String() != "" {
			t.Errorf("it says that it is ready: %s", &p.out)
		}
		if ends {
			p.interrupt()
			continue
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.await(&p.out, "\n")
		wantAnswer(t, operator, "/readyz", "200")
		p.interrupt()
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// wantAnswer asks until the answer has the words, because the server that follows the waiting room is there a moment later.
func wantAnswer(t *testing.T, address, path, want string) {
	t.Helper()
	var got string
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := client.Do(request); err == nil {
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			got = response.Status[:3] + " " + string(body)
		}
		cancel()
		if status, word, _ := strings.Cut(want, " "); strings.HasPrefix(got, status) && strings.Contains(got, word) {
			return
		}
	}
	t.Errorf("%s: %q, want %s", path, got, want)
}
