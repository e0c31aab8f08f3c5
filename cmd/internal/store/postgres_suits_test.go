package store

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestAnOldPostgresIsRefused: this one says that it is one, by a function that is found before its own.
func TestAnOldPostgresIsRefused(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	execOn(t, dsn, `CREATE SCHEMA old`, `CREATE FUNCTION old.current_setting(text) RETURNS text LANGUAGE sql AS
		$$ SELECT CASE $1 WHEN 'server_version_num' THEN '130014' ELSE pg_catalog.current_setting($1) END $$`)
	parsed, err := url.Parse(dsn)
	do(t, err)
	query := parsed.Query()
	query.Set("search_path", "old,pg_catalog,public")
	parsed.RawQuery = query.Encode()
	s, err := Open(t.Context(), parsed.String(), Options{Environment: testEnvironment, Key: testKey})
	if err == nil {
		do(t, s.Close())
	}
	if err == nil || !strings.Contains(err.Error(), "version 13") || !strings.Contains(err.Error(), "14 or later") {
		t.Errorf("got %v", err)
	}
}

func TestAPostgresThatMayForgetIsWarnedOf(t *testing.T) {
	dsn := testserver.SharedPostgres(t).Database(t)
	for setting, want := range map[string]int{"on": 0, "off": 1} {
		execOn(t, dsn, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = `+setting+`', current_database()); END $$`)
		var out strings.Builder
		s, err := Open(t.Context(), dsn, Options{Environment: testEnvironment, Key: testKey, Logger: textLogger(&out)})
		do(t, err)
		do(t, s.Close())
		if got := strings.Count(out.String(), "synchronous_commit"); got != want {
			t.Errorf("%s: the log says %s", setting, &out)
		}
	}
}

func execOn(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	do(t, err)
	defer func() { do(t, db.Close()) }()
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		do(t, err)
	}
}
