package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

func TestABackupIsRestoredWithANewEpoch(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	id := create(t, s, acme()).ID
	associate(t, s, id, "ledger")
	do(t, s.MarkSent(t.Context(), refs(t, s, 1)...))
	saved := version(t, s)
	path := filepath.Join(t.TempDir(), "backup.db")
	do(t, s.Backup(t.Context(), path))
	do(t, s.SuspendTenant(t.Context(), id)) // not in the backup
	if err := s.Backup(t.Context(), path); err == nil {
		t.Error("a backup was written over another")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != filePerm {
		t.Errorf("the backup: %v, %v", info, err)
	}

	target := sqliteFile(t)
	do(t, Restore(t.Context(), target.dsn, path, Options{Environment: testEnvironment, Key: testKey}))
	restored := target.open(t)
	v := version(t, restored)
	if v.Epoch == saved.Epoch || v.Revision != 1 {
		t.Errorf("restored at %+v, saved at %+v", v, saved)
	}
	if got := pending(t, restored); len(got) != 1 || got[0].EventType != "tenant.service.associated" || got[0].Epoch != v.Epoch {
		t.Errorf("what was not sent is %+v", got)
	}
	if _, names := list(t, restored, "ledger"); len(names) != 1 {
		t.Errorf("the list is %v", names)
	}
	_, _, err := restored.Connections(t.Context(), id, "ledger")
	do(t, err)
	wantFiles(t, target, "tenants.db", "tenants.db-shm", "tenants.db-wal", "tenants.db.lock")
}

// wantFiles looks for what a backup or a restoring has left behind.
func wantFiles(t *testing.T, db database, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(strings.TrimPrefix(db.dsn, "sqlite:")))
	do(t, err)
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the files are %v, want %v", got, want)
	}
}

// TestABackupOfWhatAnotherProcessHasOpen is whole, and a manager goes on meanwhile.
func TestABackupOfWhatAnotherProcessHasOpen(t *testing.T) {
	db := sqliteFile(t)
	first := db.open(t)
	makeEvents(t, first, 3)
	do(t, first.Close())
	startChild(t, "open", db.dsn)
	path := filepath.Join(t.TempDir(), "backup.db")
	do(t, Backup(t.Context(), db.dsn, path))
	makeWant := database{dsn: "sqlite:" + path}.open(t)
	wantEvents(t, makeWant, "1 tenant.created", "2 tenant.created", "3 tenant.created")
	if err := Backup(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "nothing"), path+"2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a backup of nothing: %v", err)
	}
}

func TestWhatCannotBeRestored(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	makeEvents(t, s, 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "backup.db")
	do(t, s.Backup(t.Context(), path))
	garbage, cut := filepath.Join(dir, "garbage"), filepath.Join(dir, "cut")
	do(t, os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), filePerm))
	content, err := os.ReadFile(path)
	do(t, err)
	do(t, os.WriteFile(cut, content[:len(content)/2], filePerm))
	o := Options{Environment: testEnvironment, Key: testKey}
	for name, tt := range map[string]struct {
		dsn, path string
		o         Options
		want      error
	}{
		"over what is in use":   {db.dsn, path, o, ErrInUse},
		"another key":           {sqliteFile(t).dsn, path, Options{Environment: testEnvironment, Key: []byte(strings.Repeat("x", keyBytes))}, ErrWrongKey},
		"another environment":   {sqliteFile(t).dsn, path, Options{Environment: "production", Key: testKey}, ErrNotFound},
		"no file":               {sqliteFile(t).dsn, path + "?", o, os.ErrNotExist},
		"garbage":               {sqliteFile(t).dsn, garbage, o, nil},
		"half of it":            {sqliteFile(t).dsn, cut, o, nil},
		"a file to PostgreSQL":  {"postgres://localhost/x", path, o, nil},
		"to nothing that we do": {"x", path, o, nil},
	} {
		err := Restore(t.Context(), tt.dsn, tt.path, tt.o)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || name == "garbage" && !strings.Contains(err.Error(), "this is not a backup") {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasPrefix(tt.dsn, "postgres:") && !strings.Contains(err.Error(), "use pg_restore") {
			t.Errorf("%s: %v", name, err)
		}
		if file := strings.TrimPrefix(tt.dsn, "sqlite:"); tt.want != ErrInUse && file != tt.dsn { //nolint:errorlint // it is the table's
			wantFiles(t, database{dsn: tt.dsn}, "tenants.db.lock")
		}
	}
	do(t, s.Close())
	if err := Restore(t.Context(), db.dsn, path, o); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("over what is there: %v", err)
	}
	journal := sqliteFile(t)
	do(t, os.WriteFile(strings.TrimPrefix(journal.dsn, "sqlite:")+"-wal", nil, filePerm))
	if err := Restore(t.Context(), journal.dsn, path, o); err == nil || !strings.Contains(err.Error(), "-wal") {
		t.Errorf("beside the journal of another: %v", err)
	}
	do(t, os.WriteFile(path+"-wal", []byte("x"), filePerm))
	if err := Restore(t.Context(), sqliteFile(t).dsn, path, o); err == nil || !strings.Contains(err.Error(), "-wal has a part") {
		t.Errorf("what is not a backup but was moved away: %v", err)
	}
	wantEvents(t, db.open(t), "1 tenant.created")
}

// TestX18RestoringWithoutAFileBeginsNothing: where the environment is not, or nothing at all, it was mistyped.
func TestX18RestoringWithoutAFileBeginsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		o := Options{Environment: testEnvironment, Key: testKey}
		if err := Restore(t.Context(), db.dsn, "", o); err == nil {
			t.Error("nothing was restored")
		}
		s := db.open(t)
		makeEvents(t, s, 1)
		before := version(t, s)
		beginAs(t, s, "default")
		do(t, s.Close())
		for _, wrong := range []Options{{Environment: "production"}, {Environment: testEnvironment}, {Environment: testEnvironment, Formerly: `"prod"`}} {
			wrong.Key = testKey
			if err := Restore(t.Context(), db.dsn, "", wrong); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"default"`) {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
		o.Formerly = "default"
		do(t, Restore(t.Context(), db.dsn, "", o))
		restored := db.open(t)
		if v := version(t, restored); v.Epoch == before.Epoch || v.Revision != 1 {
			t.Errorf("it is at %+v, was at %+v", v, before)
		}
		do(t, restored.db.Query(t.Context(), "count", func(ctx context.Context, q sqldb.Tx) error {
			var n int
			err := q.Row(ctx, `SELECT COUNT(*) FROM environments`).Scan(&n)
			if n != 1 {
				t.Errorf("there are %d environments", n)
			}
			return err
		}))
	})
}

// TestX43ABackupOfWhatHasNoneOfOurDataIsNone: an empty file, and that of another program, leave nothing behind.
func TestX43ABackupOfWhatHasNoneOfOurDataIsNone(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "of another program": "CREATE TABLE other (x INTEGER)", "begun": "CREATE TABLE environments (id INTEGER)"} {
		db := sqliteFile(t)
		file := strings.TrimPrefix(db.dsn, "sqlite:")
		do(t, os.WriteFile(file, nil, filePerm))
		if content != "" {
			raw, err := sql.Open("sqlite", file)
			do(t, err)
			_, err = raw.ExecContext(t.Context(), content)
			do(t, errors.Join(err, raw.Close()))
		}
		path := filepath.Join(t.TempDir(), "backup.db")
		err := Backup(t.Context(), db.dsn, path)
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("%s: it left %v, %v", name, left, err)
		}
	}
}

// TestRestoringUnderARunningManagerIsRefused, because its relay would mark as sent what got the number of what it has sent.
func TestRestoringUnderARunningManagerIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		do(t, db.open(t).Close())
		s := db.openAs(t, "production")
		makeEvents(t, s, 1)
		release, err := s.Lead(t.Context())
		do(t, err)
		before := version(t, s)
		o := Options{Environment: testEnvironment, Key: testKey}
		if err := Restore(t.Context(), db.dsn, "", o); !errors.Is(err, ErrInUse) {
			t.Errorf("got %v", err)
		}
		if v := version(t, s); v != before {
			t.Errorf("it is at %+v, was at %+v", v, before)
		}
		release()
		do(t, s.Close())
		do(t, Restore(t.Context(), db.dsn, "", o))
	})
}

// TestBackupsToOneFileAtOnce: each writes a file of its own, so that what is there in the end is whole.
func TestBackupsToOneFileAtOnce(t *testing.T) {
	s := sqliteFile(t).open(t)
	makeEvents(t, s, 3)
	path := filepath.Join(t.TempDir(), "backup.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Backup(t.Context(), path); err != nil && !strings.Contains(err.Error(), "is there already") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantFiles(t, database{dsn: "sqlite:" + path}, "backup.db")
	wantEvents(t, database{dsn: "sqlite:" + path}.open(t), "1 tenant.created", "2 tenant.created", "3 tenant.created")
}

// TestRestoringWithoutAFile gives what is there a new epoch, of every environment.
func TestRestoringWithoutAFile(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		epochs := map[string]string{}
		for _, environment := range []string{"staging", "production"} {
			s := db.openAs(t, environment)
			makeEvents(t, s, 1)
			epochs[environment] = version(t, s).Epoch
			do(t, s.Close())
		}
		do(t, Restore(t.Context(), db.dsn, "", Options{Environment: testEnvironment, Key: testKey}))
		for environment, old := range epochs {
			s := db.openAs(t, environment)
			if v := version(t, s); v.Epoch == old || v.Revision != 1 {
				t.Errorf("%s is at %+v, was of %s", environment, v, old)
			}
			do(t, s.Close())
		}
	})
}

func TestPostgresIsBackedUpByItsOwnTools(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	s := database{dsn: dsn}.open(t)
	for _, err := range []error{s.Backup(t.Context(), "x"), Backup(context.Background(), dsn, "x")} {
		if err == nil || !strings.Contains(err.Error(), "use pg_dump") {
			t.Error(err)
		}
	}
}
