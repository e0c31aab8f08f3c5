package testserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// PgBouncer is a pooler in front of a PostgreSQL server. It belongs to one test.
type PgBouncer struct {
	server *process
	addr   string
}

// StartPgBouncer starts one in front of p and returns once it answers. mode is session, transaction or statement; settings
// are lines of its configuration, as in "default_pool_size = 1". It ends with the test.
//
// Without a pgbouncer on the machine the test fails if the environment variable CI is set, and is skipped otherwise.
func StartPgBouncer(t testing.TB, p *Postgres, mode string, settings ...string) *PgBouncer {
	t.Helper()
	binary := findPgBouncer(t)
	dir, err := os.MkdirTemp("", "tenantwatch-pgbouncer-") //nolint:usetesting // the server's account may not get through to the test's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &PgBouncer{}
	t.Cleanup(b.kill)
	for range startAttempts {
		if err = b.start(binary, dir, p, append([]string{"pool_mode = " + mode}, settings...)); err == nil {
			return b
		}
	}
	t.Fatal(err)
	return nil
}

// Addr returns "host:port".
func (b *PgBouncer) Addr() string { return b.addr }

// DSN is the address of what dsn, an address of the server's own, names, through the pooler.
func (b *PgBouncer) DSN(t testing.TB, dsn string) string {
	t.Helper()
	parsed, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Host = b.addr
	return parsed.String()
}

func (b *PgBouncer) start(binary, dir string, p *Postgres, settings []string) error {
	port, err := anyFreePort()
	if err != nil {
		return err
	}
	b.addr = net.JoinHostPort("127.0.0.1", port)
	if err := b.configure(dir, port, p, settings); err != nil {
		return err
	}
	cmd := p.as.run(exec.Command(binary, filepath.Join(dir, "pgbouncer.ini"))) // as root it does not run
	cmd.Dir = dir
	if b.server, err = launch(cmd, filepath.Join(dir, "pgbouncer.log")); err != nil {
		return err
	}
	if err := b.waitUntilReady(); err != nil {
		b.kill()
		return err
	}
	return nil
}

func (b *PgBouncer) configure(dir, port string, p *Postgres, settings []string) error {
	lines := append([]string{
		"[databases]", "* = host=127.0.0.1 port=" + p.port,
		"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = " + filepath.Join(dir, "users"), "max_client_conn = 500",
	}, settings...)
	for name, text := range map[string]string{
		"pgbouncer.ini": strings.Join(lines, "\n") + "\n",
		"users":         fmt.Sprintf("%q %q\n", postgresUser, PostgresPassword),
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), p.as.own(path)); err != nil {
			return err
		}
	}
	return p.as.own(dir)
}

func (b *PgBouncer) waitUntilReady() error {
	deadline := time.After(startTimeout)
	for !strings.Contains(b.server.log(), "process up") {
		select {
		case <-b.server.done:
			return fmt.Errorf("pgbouncer ended: %w\n%s", b.server.err, b.server.log())
		case <-deadline:
			return fmt.Errorf("pgbouncer is not ready after %s\n%s", startTimeout, b.server.log())
		case <-time.After(pollInterval):
		}
	}
	return nil
}

func (b *PgBouncer) kill() {
	if b.server == nil {
		return
	}
	_ = b.server.cmd.Process.Kill() // fails only if it has ended by itself
	<-b.server.done
	b.server = nil
}

// findPgBouncer looks where Debian has it too, which is not in everybody's path.
func findPgBouncer(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if binary, err := exec.LookPath(name); err == nil {
			return binary
		}
	}
	const missing = "PGBOUNCER IS MISSING, and this test needs it. Install it with: apt-get install pgbouncer"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
