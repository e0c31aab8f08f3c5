package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

// soon is a deadline that a call has to keep.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// wantUnavailable tries to change and to ping, and then wants the change not to be there.
func wantUnavailable(t testing.TB, s *Store, what string) {
	t.Helper()
	n := named(what)
	if _, created, err := s.CreateTenant(soon(t), n); !errors.Is(err, ErrUnavailable) || created {
		t.Errorf("%s: create: created %t, %v", what, created, err)
	}
	if err := s.Ping(soon(t)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%s: ping: %v", what, err)
	}
}

// wantRecovered wants all that was acknowledged and nothing else, and changes to pass.
func wantRecovered(t testing.TB, s *Store, acknowledged int) {
	t.Helper()
	do(t, s.Ping(t.Context()))
	got := revisions(pending(t, s))
	if len(got) != acknowledged || !isDense(got) {
		t.Errorf("%d changes were acknowledged, and the revisions are %v", acknowledged, got)
	}
	create(t, s, named("afterwards"))
}

func TestM07SQLiteIsLocked(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	makeEvents(t, s, 2)
	other, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(db.dsn, "sqlite:")+"?_txlock=immediate")
	do(t, err)
	defer func() { do(t, other.Close()) }()
	held, err := other.BeginTx(t.Context(), nil)
	do(t, err)
	wantUnavailable(t, s, "locked")
	if _, err := s.Tenants(t.Context(), TenantFilter{}); err != nil {
		t.Errorf("reading does not wait for writers: %v", err)
	}
	do(t, held.Rollback())
	wantRecovered(t, s, 2)
}

func TestM07SQLiteIsFull(t *testing.T) {
	s := sqliteFile(t).open(t)
	limit := func(pages int) {
		t.Helper()
		run(t, s, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
	}
	limit(1) // which is taken as: no more than there are
	acknowledged := 0
	var err error
	for err == nil {
		n := named(fmt.Sprint(strings.Repeat("long", 200), acknowledged))
		if _, _, err = s.CreateTenant(t.Context(), n); err == nil {
			acknowledged++
		}
	}
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "full") {
		t.Errorf("after %d tenants: %v", acknowledged, err)
	}
	limit(1 << 30)
	wantRecovered(t, s, acknowledged)
}

// TestM07SQLiteIsGone moves the file away, and puts another in its place.
func TestM07SQLiteIsGone(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	makeEvents(t, s, 2)
	path := strings.TrimPrefix(db.dsn, "sqlite:")
	do(t, os.Rename(path, path+".away"))
	wantUnavailable(t, s, "gone")
	do(t, os.WriteFile(path, nil, filePerm))
	wantUnavailable(t, s, "another file")
	do(t, os.Rename(path+".away", path))
	wantRecovered(t, s, 2)
}

func TestM07SQLiteCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	do(t, os.WriteFile(garbage, []byte(strings.Repeat("this is not a database", 1000)), filePerm))
	for name, path := range map[string]string{
		"no directory": filepath.Join(dir, "nowhere", "file"), "a directory": dir, "no database": garbage, "no name": "", "memory": ":memory:",
	} {
		if _, err := Open(t.Context(), "sqlite:"+path, Options{Environment: testEnvironment, Key: testKey}); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

// TestM08ASecondManagerOnOneFileIsRefused, whatever it calls the file, and not after the first has ended or was killed.
func TestM08ASecondManagerOnOneFileIsRefused(t *testing.T) {
	db := sqliteFile(t)
	path := strings.TrimPrefix(db.dsn, "sqlite:")
	link := path + "-link"
	child := startChild(t, "open", db.dsn)
	do(t, os.Symlink(path, link))
	for name, dsn := range map[string]string{"the same": db.dsn, "a link": "sqlite:" + link} {
		if _, err := Open(t.Context(), dsn, Options{Environment: testEnvironment, Key: testKey}); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v", name, err)
		}
	}
	kill(child)
	first := db.open(t)
	if _, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: testKey}); !errors.Is(err, ErrInUse) {
		t.Errorf("in the same process: %v", err)
	}
	makeEvents(t, first, 1)
	do(t, first.Close())
	wantEvents(t, db.open(t), "1 tenant.created")
}

// TestM08ALinkToNothingIsRefused: by the next start it would be another name of the file that it has made, with another lock.
func TestM08ALinkToNothingIsRefused(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link.db")
	do(t, os.Symlink(link+".target", link))
	s, err := Open(t.Context(), "sqlite:"+link, Options{Environment: testEnvironment, Key: testKey})
	if err == nil || !strings.Contains(err.Error(), "link to nothing") {
		t.Errorf("got %v", err)
	}
	if err == nil {
		do(t, s.Close())
	}
}

func TestFilesMayHaveStrangeNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c=d&e#f%20g_é.db")
	s := database{dsn: "sqlite:" + path}.open(t)
	makeEvents(t, s, 1)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	do(t, s.Close())
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 2 { // it, and its lock
		t.Errorf("the files are %q, %v", files, err)
	}
}

func TestSQLiteIsDurable(t *testing.T) {
	s := sqliteFile(t).open(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		if got := show(t, s.db.Write, `PRAGMA `+pragma); got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	if err := s.db.Query(t.Context(), "delete", func(ctx context.Context, t sqldb.Tx) error {
		_, err := t.Exec(ctx, `DELETE FROM tenants`)
		return err
	}); err == nil {
		t.Error("a reader may write")
	}
}
