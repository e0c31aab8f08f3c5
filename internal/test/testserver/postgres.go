package testserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	postgresUser = "postgres"
	// PostgresPassword is the password of the databases' owner, for tests to look for where it must not be.
	PostgresPassword = "canary-of-the-postgres-password"
)

// Postgres is a PostgreSQL server that belongs to one test, or with [SharedPostgres] to all tests of a process. Its methods
// are for one goroutine at a time, except Addr.
type Postgres struct {
	bin, dir  string // of its programs; of its data
	as        account
	args      []string
	port      string
	starts    int
	databases int
	server    *process // nil while it is down
}

// StartPostgres starts a server on a free port of 127.0.0.1, with fsync as it comes, and returns once it answers. The server
// ends with the test. extraArgs are added to its command line.
//
// Without a PostgreSQL on the machine the test fails if the environment variable CI is set, and is skipped otherwise.
func StartPostgres(t testing.TB, extraArgs ...string) *Postgres {
	t.Helper()
	p, err := newPostgres(findPostgres(t), extraArgs)
	if p != nil {
		t.Cleanup(func() {
			if err := p.remove(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shared is the server of [SharedPostgres].
var shared struct {
	sync.Mutex

	server *Postgres
}

// SharedPostgres is one server for all the tests of a process, which each take a database of their own. The first call
// starts it, and [Main] ends it. Tests that kill it want [StartPostgres].
func SharedPostgres(t testing.TB) *Postgres {
	t.Helper()
	bin := findPostgres(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		return shared.server
	}
	p, err := newPostgres(bin, nil)
	if err != nil {
		if p != nil {
			err = errors.Join(err, p.remove())
		}
		t.Fatal(err)
	}
	shared.server = p
	return p
}

// Main is what goleak.VerifyTestMain gets in the place of m, where tests use [SharedPostgres].
func Main(m interface{ Run() int }) interface{ Run() int } { return sharing{m} }

type sharing struct{ tests interface{ Run() int } }

// Run runs the tests and then ends the shared server.
func (s sharing) Run() int {
	code := s.tests.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return code
	}
	err := shared.server.remove()
	shared.server = nil
	if err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		return max(code, 1)
	}
	return code
}

// Addr returns "host:port".
func (p *Postgres) Addr() string { return net.JoinHostPort("127.0.0.1", p.port) }

// Database makes an empty database and returns its address.
func (p *Postgres) Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	p.databases++
	name := fmt.Sprintf("test_%d", p.databases)
	shared.Unlock()
	p.Run(t, "createdb", name)
	return p.DSN(name)
}

// Behind creates a database, and returns what opens it by way of the proxy.
func (p *Postgres) Behind(t testing.TB, proxy *Proxy) string {
	t.Helper()
	dsn, err := url.Parse(p.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn.Host = proxy.Addr()
	return dsn.String()
}

// DSN returns the address of a database, with the password.
func (p *Postgres) DSN(database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresUser, PostgresPassword), Host: p.Addr(), Path: "/" + database,
	}
	return dsn.String()
}

// Run runs one of PostgreSQL's own programs on the server, such as psql or pg_dump, and returns what it printed.
func (p *Postgres) Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.bin, program), args...)
	cmd.Env = p.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// environment has PostgreSQL's own programs find the server.
func (p *Postgres) environment() []string {
	return append(os.Environ(), "PGHOST=127.0.0.1", "PGPORT="+p.port, "PGUSER="+postgresUser, "PGPASSWORD="+PostgresPassword)
}

// Kill ends the server with all its processes by SIGKILL, as a crash of the machine does, and waits until it is gone. It
// does nothing when the server is down.
func (p *Postgres) Kill() {
	if p.server == nil {
		return
	}
	killFamily(p.server.cmd.Process)
	<-p.server.done
	p.server = nil
}

// Start starts the server again, with its data, on the same port, and returns once it answers. It fails the test if the
// server is up.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	if p.server != nil {
		t.Fatal("the PostgreSQL server is running already")
	}
	// The processes of one that was killed end by themselves, and until then the data is taken.
	var err error
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); <-time.After(10 * pollInterval) {
		if err = p.start(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// newPostgres returns a server with an error too, once there is something to be removed.
func newPostgres(bin string, args []string) (*Postgres, error) {
	as, err := serviceAccount(postgresUser)
	if err != nil {
		return nil, fmt.Errorf("run PostgreSQL: %w", err)
	}
	// Not the test's directory: the server's account may not get through to that.
	dir, err := os.MkdirTemp("", "tenantwatch-postgres-")
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, dir: dir, as: as, args: args}
	if err := p.initialize(); err != nil {
		return p, err
	}
	err = p.startOnFreePort()
	return p, err
}

func (p *Postgres) startOnFreePort() (err error) {
	for range startAttempts {
		if p.port, err = anyFreePort(); err != nil {
			return err
		}
		if err = p.start(); err == nil {
			return nil
		}
	}
	return err
}

func (p *Postgres) initialize() error {
	password := filepath.Join(p.dir, "password")
	if err := os.WriteFile(password, []byte(PostgresPassword+"\n"), 0o600); err != nil {
		return err
	}
	for _, path := range []string{p.dir, password} {
		if err := p.as.own(path); err != nil {
			return err
		}
	}
	cmd := p.as.run(exec.Command(filepath.Join(p.bin, "initdb"), "-D", p.data(), "-U", postgresUser, "-A", "scram-sha-256",
		"--pwfile", password, "-E", "UTF8", "--no-locale", "--no-sync"))
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) start() error {
	p.starts++
	args := append([]string{
		"-D", p.data(), "-p", p.port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
	}, p.args...)
	cmd := p.as.run(exec.Command(filepath.Join(p.bin, "postgres"), args...))
	cmd.Dir = p.dir
	server, err := launch(cmd, filepath.Join(p.dir, fmt.Sprintf("postgres-%d.log", p.starts)))
	if err != nil {
		return err
	}
	p.server = server
	if err := p.waitUntilReady(); err != nil {
		p.Kill()
		return err
	}
	return nil
}

func (p *Postgres) waitUntilReady() error {
	deadline := time.After(startTimeout)
	for {
		select {
		case <-p.server.done:
			return fmt.Errorf("postgres ended: %w\n%s", p.server.err, p.server.log())
		case <-deadline:
			return fmt.Errorf("postgres is not ready after %s\n%s", startTimeout, p.server.log())
		case <-time.After(pollInterval):
		}
		if log := p.server.log(); strings.Contains(log, "ready to accept connections") || strings.Contains(log, "ready to accept read-only connections") {
			return nil
		}
	}
}

// remove ends the server, its processes included, and deletes its data.
func (p *Postgres) remove() error {
	if p.server != nil {
		_ = quit(p.server.cmd.Process) // fails only if it has ended by itself
		select {
		case <-p.server.done:
			p.server = nil
		case <-time.After(startTimeout):
			p.Kill()
		}
	}
	// Processes of a server that was killed may be writing yet.
	var err error
	for range startAttempts {
		if err = os.RemoveAll(p.dir); err == nil {
			return nil
		}
		<-time.After(10 * pollInterval)
	}
	return err
}

// findPostgres returns the directory of the programs: Debian does not put those of the server into the path.
func findPostgres(t testing.TB) string {
	t.Helper()
	if binary, err := exec.LookPath("postgres"); err == nil {
		if target, err := filepath.EvalSymlinks(binary); err == nil {
			return filepath.Dir(target) // its other programs need not have a link
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err == nil && len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	const missing = "POSTGRESQL IS MISSING, and this test needs it. Install it with: apt-get install postgresql"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
