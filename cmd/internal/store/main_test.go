package store

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestMain is also the process that some tests start, to end it in the middle of what it does.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		children[role](os.Getenv(childDSN))
		return
	}
	goleak.VerifyTestMain(testserver.Main(m))
}

const (
	childRole = "STORE_TEST_CHILD"
	childDSN  = "STORE_TEST_DSN"
)

// children is what such a process does.
var children = map[string]func(dsn string){
	"open": childOpens,
}

// startChild returns once the process has said that it is where the test wants it.
func startChild(t *testing.T, role, dsn string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // it is this test
	cmd.Env = append(os.Environ(), childRole+"="+role, childDSN+"="+dsn)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	do(t, err)
	do(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != childReady+"\n" {
		t.Fatalf("the process said %q, %v", line, err)
	}
	return cmd
}

const childReady = "ready"

// kill waits until the process is gone. Once more does nothing.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// childWaits tells the test and waits for its end.
func childWaits() {
	_, _ = os.Stdout.WriteString(childReady + "\n")
	select {}
}

func childOpens(dsn string) {
	s, err := Open(context.Background(), dsn, Options{Environment: testEnvironment, Key: testKey})
	if err != nil {
		panic(err)
	}
	defer func() { _ = s.Close() }()
	childWaits()
}

const testEnvironment = "staging"

const filePerm = 0o600 // of all files that are made

// patience is for a busy machine.
const patience = time.Minute

var testKey = []byte("0123456789abcdef0123456789abcdef")

// database is a fresh one of some kind.
type database struct {
	dsn string
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, fn func(t *testing.T, db database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		fn(t, sqliteFile(t))
	})
	t.Run("postgres", func(t *testing.T) {
		fn(t, database{dsn: testserver.SharedPostgres(t).Database(t)})
	})
}

// onPostgres is for tests of onEach.
func onPostgres(t testing.TB) bool {
	t.Helper()
	return strings.Contains(t.Name(), "/postgres")
}

func sqliteFile(t testing.TB) database {
	t.Helper()
	return database{dsn: "sqlite:" + filepath.Join(t.TempDir(), "tenants.db")}
}

// onEachStore opens it too.
func onEachStore(t *testing.T, fn func(t *testing.T, s *Store)) {
	t.Helper()
	onEach(t, func(t *testing.T, db database) { fn(t, db.open(t)) })
}

func (db database) open(t testing.TB) *Store {
	t.Helper()
	return db.openAs(t, testEnvironment)
}

func (db database) openAs(t testing.TB, environment string) *Store {
	t.Helper()
	s, err := Open(context.Background(), db.dsn, Options{Environment: environment, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
