package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

func TestX12APoolerThatKeepsSessions(t *testing.T) {
	server := testserver.SharedPostgres(t)
	pooler := testserver.StartPgBouncer(t, server, "session", "default_pool_size = 60")
	db := database{dsn: pooler.DSN(t, server.Database(t))}
	first, second := db.open(t), db.open(t)
	makeEvents(t, first, 2)
	release, err := first.Lead(t.Context())
	do(t, err)
	do(t, first.Leading(t.Context()))
	if _, err := second.Lead(soon(t)); err == nil {
		t.Error("two lead")
	}
	release()
	_, err = second.Lead(t.Context())
	do(t, err)
	do(t, second.Leading(t.Context()))
	wantRecovered(t, second, 2)
	for setting, want := range map[string]string{
		"idle_in_transaction_session_timeout": "10s", "default_transaction_isolation": "read committed", "application_name": "tenantwatch",
	} {
		if got := show(t, first.db.Write, `SHOW `+setting); got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}

// TestX12APoolerThatKeepsNoSessions is refused before anything is written, however many sessions it has.
func TestX12APoolerThatKeepsNoSessions(t *testing.T) {
	server := testserver.SharedPostgres(t)
	for name, settings := range map[string][]string{
		"as it comes": nil, "one session": {"default_pool_size = 1"}, "in turn": {"server_round_robin = 1"},
		"many at once": {"min_pool_size = 5"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := server.Database(t)
			pooler := testserver.StartPgBouncer(t, server, "transaction", settings...)
			s, err := Open(t.Context(), pooler.DSN(t, dsn), Options{Environment: testEnvironment, Key: testKey})
			if err == nil {
				do(t, s.Close())
			}
			if !errors.Is(err, ErrNoSessions) || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "pool_mode = session") {
				t.Errorf("it says %v", err)
			}
			if got := server.Run(t, "psql", "-Atc", `SELECT count(*) FROM pg_class WHERE relname = 'tenants'`, dsn); strings.TrimSpace(got) != "0" {
				t.Error("tables were made")
			}
		})
	}
}
