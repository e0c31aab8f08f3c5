package testserver_test

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

func TestPostgresKeepsItsDataWhenItIsKilled(t *testing.T) {
	p := testserver.StartPostgres(t)
	addr := p.Addr()
	dsn := p.Database(t)
	p.Run(t, "psql", "-c", "CREATE TABLE kept (n INT); INSERT INTO kept VALUES (42)", dsn)
	p.Kill()
	p.Kill() // once more does nothing
	p.Start(t)
	if p.Addr() != addr {
		t.Errorf("the server moved from %s to %s", addr, p.Addr())
	}
	if got := p.Run(t, "psql", "-Atc", "SELECT n FROM kept", dsn); strings.TrimSpace(got) != "42" {
		t.Errorf("the new server has %q", got)
	}
	if got := p.Run(t, "psql", "-Atc", "SHOW fsync", dsn); strings.TrimSpace(got) != "on" {
		t.Errorf("fsync is %q", got)
	}
}

func TestPostgresIsSharedWithADatabaseForEachTest(t *testing.T) {
	first, second := testserver.SharedPostgres(t), testserver.SharedPostgres(t)
	if first != second {
		t.Error("two servers")
	}
	if a, b := first.Database(t), second.Database(t); a == b {
		t.Errorf("both tests have %s", a)
	}
}

func TestAStandbyFollowsItsPrimaryAndIsPromoted(t *testing.T) {
	primary := testserver.StartPostgres(t)
	dsn := primary.Database(t)
	primary.Run(t, "psql", "-c", "CREATE TABLE kept (n INT); INSERT INTO kept VALUES (42)", dsn)
	standby := primary.Standby(t)
	name := dsn[strings.LastIndex(dsn, "/")+1:]
	if got := standby.Run(t, "psql", "-Atc", "SELECT pg_is_in_recovery(), (SELECT n FROM kept)", name); strings.TrimSpace(got) != "t|42" {
		t.Errorf("the standby has %q", got)
	}
	primary.Kill()
	standby.Promote(t)
	if got := standby.Run(t, "psql", "-qAtc", "UPDATE kept SET n = 43 RETURNING n", name); strings.TrimSpace(got) != "43" {
		t.Errorf("the promoted one has %q", got)
	}
}

func TestAPoolerPassesOn(t *testing.T) {
	p := testserver.StartPostgres(t)
	b := testserver.StartPgBouncer(t, p, "session")
	if got := p.Run(t, "psql", "-Atc", "SELECT 42", b.DSN(t, p.Database(t))); strings.TrimSpace(got) != "42" {
		t.Errorf("it answers %q", got)
	}
}
