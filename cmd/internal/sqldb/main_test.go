package sqldb

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestMain is also the process that a test starts, to end it in the middle of a migration.
func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		childMigrates(dsn)
		return
	}
	logLimit = 2 << 20
	goleak.VerifyTestMain(testserver.Main(m))
}

const (
	childDSN   = "SQLDB_TEST_DSN"
	childReady = "ready"
)

// killChild starts such a process, and ends it when it has said that it is where the test wants it.
func killChild(t *testing.T, dsn string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // it is this test
	cmd.Env, cmd.Stderr = append(os.Environ(), childDSN+"="+dsn), os.Stderr
	out, err := cmd.StdoutPipe()
	do(t, err)
	do(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || line != childReady+"\n" {
		t.Fatalf("the process said %q, %v", line, err)
	}
}

// migrations make a table of numbers, and those that the tests of a whole store have too.
var migrations = inBoth("00001_init.sql", `CREATE TABLE schema_floor (oldest INTEGER NOT NULL);
	INSERT INTO schema_floor (oldest) VALUES (1);
	CREATE TABLE kept (n INTEGER NOT NULL, data TEXT);
	CREATE TABLE leads (number INTEGER NOT NULL, server TEXT NOT NULL, pinged BIGINT);
	INSERT INTO leads (number, server) VALUES (7, '');
	CREATE TABLE probes (filler {bytes} NOT NULL);`)

// withMigration adds one to those that there are.
func withMigration(name, up string) fstest.MapFS {
	all := inBoth(name, up)
	maps.Copy(all, migrations)
	return all
}

func inBoth(name, up string) fstest.MapFS {
	all := fstest.MapFS{}
	for dir, bytes := range map[string]string{"sqlite/": "BLOB", "postgres/": "BYTEA"} {
		all[dir+name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + strings.ReplaceAll(up, "{bytes}", bytes))}
	}
	return all
}

var seven = Leadership{
	Number: 7, LastServer: `SELECT server FROM leads WHERE number = ?1`, SetServer: `UPDATE leads SET server = ?2 WHERE number = ?1`,
}

// database is a fresh one of some kind.
type database struct {
	dsn string
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, fn func(t *testing.T, db database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, sqliteFile(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, onServer(t)) })
}

func sqliteFile(t testing.TB) database {
	t.Helper()
	return database{dsn: "sqlite:" + filepath.Join(t.TempDir(), "tenants.db")}
}

func onServer(t testing.TB) database {
	t.Helper()
	return database{dsn: testserver.SharedPostgres(t).Database(t)}
}

// openWith opens and migrates, as a store does.
func openWith(ctx context.Context, dsn string, files fs.FS, log io.Writer, more ...goose.ProviderOption) (*DB, error) {
	db, err := Open(ctx, dsn, Options{Logger: textLogger(log)})
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, files, func() {}, func(context.Context) error { return nil }, more...); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (d database) open(t testing.TB) *DB {
	t.Helper()
	db, err := openWith(context.Background(), d.dsn, migrations, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, db.Close()) })
	return db
}

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// soon is a deadline that a call has to keep.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// keep is a change.
func keep(ctx context.Context, db *DB, data ...string) error {
	return db.Write(ctx, "keep", func(ctx context.Context, t Tx) error {
		if len(data) == 0 {
			data = []string{""}
		}
		for n, one := range data {
			if _, err := t.Exec(ctx, `INSERT INTO kept (n, data) VALUES (?1, ?2)`, n, one); err != nil {
				return err
			}
		}
		return nil
	})
}

func kept(ctx context.Context, db *DB) (n int, err error) {
	err = db.Query(ctx, "count", func(ctx context.Context, t Tx) error { return t.Row(ctx, `SELECT COUNT(*) FROM kept`).Scan(&n) })
	return n, err
}

// probe writes a filler where there is one.
func probe(ctx context.Context, db *DB) error {
	return db.Probe(ctx, "probe", func(ctx context.Context, t Tx, filler []byte) error {
		if filler == nil {
			_, err := t.Exec(ctx, `UPDATE leads SET pinged = ?1`, time.Now().UnixMicro())
			return err
		}
		_, err := t.Exec(ctx, `INSERT INTO probes (filler) VALUES (?1)`, filler)
		return err
	})
}

// patience is for a busy machine.
const patience = time.Minute

// waitFor looks again and again until ok.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}
