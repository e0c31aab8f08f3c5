//go:build unix

package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/edges"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// The rows: what may be where a file is expected.
const (
	notThere   = "is not there"
	aDirectory = "is a directory"
	aPipe      = "is a pipe into which nobody writes"
	aSocket    = "is a socket"
	deadLink   = "is a link to nothing"
	goodLink   = "is a link to a good one"
	empty      = "is empty"
	garbage    = "is something else"
	tooLarge   = "is larger than it may be"
	forAll     = "can be written by everybody"
)

// opened is a column: something that opens a file. Where it is not said that it takes what a row has, it has to refuse it.
type opened struct {
	good  func(t *testing.T, path string) // makes a file as it should be; nil: there should be none
	open  func(t *testing.T, path string) error
	takes []string
	never map[string]string
}

var (
	fileKey   = []byte("0123456789abcdef0123456789abcdef")
	fileStore = store.Options{Environment: "staging", Key: fileKey}
)

func openedFiles() map[string]opened {
	large := map[string]string{tooLarge: "a database may be as large as the disk"}
	readWhole := map[string]string{tooLarge: "the driver bounds none of its files"}
	return map[string]opened{
		"encryption key": {goodText("30313233343536373839616263646566303132333435363738396162636465660a"[:64]), func(t *testing.T, path string) error {
			_, err := database{keyFile: path}.options(t.Context(), slog.New(slog.DiscardHandler))
			return err
		}, []string{goodLink}, nil},
		"token": {goodText("twt_x\n"), func(t *testing.T, path string) error {
			_, err := readFile(path)(t.Context())
			return err
		}, []string{goodLink, forAll}, nil},
		"certificate": {goodPair, func(t *testing.T, path string) error {
			_, err := newCertificate(t.Context(), path, path+".key", slog.New(slog.DiscardHandler))
			return err
		}, []string{goodLink, forAll}, nil},
		"authority": {goodPair, func(_ *testing.T, path string) error {
			l := &lookup{}
			l.roots(managerCA, path)
			if len(l.problems) > 0 {
				return errors.New(strings.Join(l.problems, "; "))
			}
			return nil
		}, []string{goodLink, forAll}, nil},
		"certificate towards Redis": {goodPair, func(_ *testing.T, path string) error {
			_, err := redisevents.NewPubSub(redisevents.Config{Host: "localhost", TLS: true, ClientCert: path, ClientKey: path + ".key"}, "")
			return err
		}, []string{goodLink, forAll}, nil},
		"database": {goodDatabase, reopen, []string{notThere, empty, goodLink, forAll}, large},
		"backup of": {goodDatabase, func(t *testing.T, path string) error {
			return store.Backup(t.Context(), schemeSQLite+path, filepath.Join(t.TempDir(), "copy"))
		}, []string{goodLink, forAll}, large},
		"backup to": {nil, func(t *testing.T, path string) error {
			from := filepath.Join(t.TempDir(), "t.db")
			goodDatabase(t, from)
			return store.Backup(t.Context(), schemeSQLite+from, path)
		}, []string{notThere}, nil},
		"restore from": {goodDatabase, func(t *testing.T, path string) error {
			return store.Restore(t.Context(), schemeSQLite+filepath.Join(t.TempDir(), "t.db"), path, fileStore)
		}, []string{goodLink, forAll}, large},
		"restore to": {nil, func(t *testing.T, path string) error {
			from := filepath.Join(t.TempDir(), "backup")
			goodDatabase(t, from)
			return store.Restore(t.Context(), schemeSQLite+path, from, fileStore)
		}, []string{notThere}, nil},
		"authority of PostgreSQL": {goodPair, postgresWith("sslmode=verify-full&sslrootcert="), []string{goodLink, forAll}, readWhole},
		"certificate towards PostgreSQL": {goodPair, func(t *testing.T, path string) error {
			return postgresWith("sslmode=require&sslkey="+path+".key&sslcert=")(t, path)
		}, []string{goodLink, forAll}, readWhole},
		"authority of a service of PostgreSQL": {goodPair, func(t *testing.T, path string) error {
			services := filepath.Join(t.TempDir(), "services")
			goodText("[x]\nsslmode=verify-full\nsslrootcert="+path+"\n")(t, services)
			return postgresWith("service=x&servicefile="+services+"&application_name=")(t, path)
		}, []string{goodLink, forAll}, readWhole},
		"services of PostgreSQL":  {goodText("[x]\nhost=127.0.0.1\n"), postgresWith("service=x&servicefile="), []string{goodLink, forAll}, readWhole},
		"passwords of PostgreSQL": {goodText("*:*:*:*:x\n"), postgresWith("passfile="), []string{notThere, deadLink, goodLink, empty, garbage, tooLarge, forAll}, nil},
		"snapshot file": {goodSnapshot, startFrom, []string{notThere, deadLink, goodLink, forAll}, map[string]string{
			tooLarge: "what is larger is read up to half a gigabyte, which a test has no room for",
		}},
	}
}

// postgresWith reads the address of a server, without going there.
func postgresWith(parameters string) func(*testing.T, string) error {
	return func(t *testing.T, path string) error {
		t.Helper()
		err := store.Backup(t.Context(), "postgres://127.0.0.1:1/x?"+parameters+path, path+".copy")
		if err == nil || strings.Contains(err.Error(), "use pg_dump") {
			return nil
		}
		return err
	}
}

func goodText(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func goodPair(t *testing.T, path string) {
	t.Helper()
	selfSigned(t, path, path+".key", 1)
}

func goodDatabase(t *testing.T, path string) {
	t.Helper()
	must(t, reopen(t, path))
}

func reopen(t *testing.T, path string) error {
	t.Helper()
	s, err := store.Open(t.Context(), schemeSQLite+path, fileStore)
	if err != nil {
		return err
	}
	return s.Close()
}

func goodSnapshot(t *testing.T, path string) {
	t.Helper()
	must(t, startFrom(t, path))
}

// nobody is a list without tenants.
type nobody struct{}

func (nobody) GetActiveTenantsByService(context.Context, string) ([]*tenant.Summary, error) {
	return []*tenant.Summary{{ID: "acme", Status: "active"}}, nil
}

// startFrom returns what a discovery says of its snapshot file. It starts all the same.
func startFrom(t *testing.T, path string) error {
	t.Helper()
	var log lockedBuffer
	d, err := discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: "ledger", TMClient: nobody{}, RedisConfig: redisevents.Config{Host: "127.0.0.1", Port: "1"},
		SnapshotFile: path, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	must(t, err)
	must(t, d.Start(t.Context()))
	must(t, d.Close())
	if strings.Contains(log.String(), "the snapshot file") {
		return errors.New(log.String())
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put makes what the row says at path.
func put(t *testing.T, row, path string, good func(*testing.T, string)) {
	t.Helper()
	if good == nil {
		good = goodText("x")
	}
	switch row {
	case notThere:
	case aDirectory:
		must(t, os.Mkdir(path, 0o700))
	case aPipe:
		must(t, syscall.Mkfifo(path, 0o600))
	case aSocket:
		listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
		must(t, err)
		t.Cleanup(func() { _ = listener.Close() })
	case deadLink:
		must(t, os.Symlink(filepath.Join(t.TempDir(), "nothing"), path))
	case goodLink:
		target := filepath.Join(t.TempDir(), "good")
		good(t, target)
		must(t, os.Symlink(target, path))
		_ = os.Symlink(target+".key", path+".key") // where there is one
	case empty:
		goodText("")(t, path)
	case garbage:
		goodText("\x00\x01 something else \xff")(t, path)
	case tooLarge:
		good(t, path)
		must(t, os.Truncate(path, 2<<20))
	case forAll:
		good(t, path)
		must(t, os.Chmod(path, 0o666)) //nolint:gosec // that is the point
	}
}

// TestEdgesFiles is the matrix of what may be where a file is expected, and of everything that opens one.
func TestEdgesFiles(t *testing.T) {
	columns := openedFiles()
	edges.Table{
		Face: "files", Packages: []string{"."},
		Faults:     []string{notThere, aDirectory, aPipe, aSocket, deadLink, goodLink, empty, garbage, tooLarge, forAll},
		Operations: slices.Sorted(maps.Keys(columns)),
		Cell: func(row, name string) edges.Cell {
			column := columns[name]
			if why := column.never[row]; why != "" {
				return edges.Never(why)
			}
			return edges.Cell{Run: func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "f")
				put(t, row, path, column.good)
				err := atOnce(t, func() error { return column.open(t, path) })
				if takes := slices.Contains(column.takes, row); takes != (err == nil) {
					t.Errorf("it says %v, want that it is taken: %v", err, takes)
				}
			}}
		},
	}.Run(t)
}

// atOnce fails the test when something waits for a file that nothing ever comes out of.
func atOnce(t *testing.T, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("it waits")
		return nil
	}
}
