package store

import (
	"context"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testserver.Main(m)) }

const testEnvironment = "staging"

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
