package store

import (
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// pair is a primary and its standby behind one address, which leads to the primary.
type pair struct {
	primary, standby *testserver.Postgres
	proxy            *testserver.Proxy
	db               database
}

func startPair(t *testing.T) pair {
	t.Helper()
	primary := testserver.StartPostgres(t)
	dsn := primary.Database(t)
	standby := primary.Standby(t)
	proxy := testserver.NewProxy(t, primary.Addr())
	return pair{primary: primary, standby: standby, proxy: proxy, db: database{dsn: through(t, proxy.Addr(), dsn)}}
}

func through(t *testing.T, addr, dsn string) string {
	t.Helper()
	parsed, err := url.Parse(dsn)
	do(t, err)
	parsed.Host = addr
	return parsed.String()
}

// lead has new connections go to a server, and ends those that there are if they are to be broken.
func (p pair) lead(to *testserver.Postgres, broken bool) {
	p.proxy.SetTarget(to.Addr())
	if broken {
		p.proxy.Set(testserver.Reset)
		p.proxy.Set(testserver.Pass)
	}
}

// caughtUp waits until the standby has everything.
func (p pair) caughtUp(t *testing.T) {
	t.Helper()
	eventually(t, "the standby has caught up", func() bool {
		return strings.TrimSpace(p.primary.Run(t, "psql", "-Atc",
			"SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()", "postgres")) == "1"
	})
}

func TestX08AFailoverBehindOneAddress(t *testing.T) {
	p := startPair(t)
	s := p.db.open(t)
	makeEvents(t, s, 2)
	p.caughtUp(t)
	p.primary.Kill()
	p.lead(p.standby, false)
	wantUnavailable(t, s, "not promoted yet")
	if _, err := s.Tenants(t.Context(), TenantFilter{}); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "standby") {
		t.Errorf("a read of a standby: %v", err)
	}
	p.standby.Promote(t)
	eventually(t, "the store recovered", func() bool { return s.Ping(t.Context()) == nil })
	wantRecovered(t, s, 2)
}

// TestX08AStandbyThatStaysOneIsLeft: connections to it work, and would never take a change.
func TestX08AStandbyThatStaysOneIsLeft(t *testing.T) {
	p := startPair(t)
	s := p.db.open(t)
	makeEvents(t, s, 2)
	p.caughtUp(t)
	p.lead(p.standby, true)
	wantUnavailable(t, s, "a standby")
	_, _ = s.Version(soon(t))
	p.lead(p.primary, false)
	eventually(t, "the store recovered", func() bool { return s.Ping(t.Context()) == nil })
	wantRecovered(t, s, 2)
}

// TestX08ASessionThatTakesNoChangesIsDropped though it is open and works.
func TestX08ASessionThatTakesNoChangesIsDropped(t *testing.T) {
	s := database{dsn: testserver.SharedPostgres(t).Database(t)}.open(t)
	run(t, s, `SET default_transaction_read_only = on`)
	if err := s.Ping(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the change that meets it: %v", err)
	}
	for range 20 {
		do(t, s.Ping(t.Context()))
	}
}

// TestX08ThePrimaryOfBeforeIsLeftThoughItTakesChanges: nobody has stopped it, and the address leads to the new one.
func TestX08ThePrimaryOfBeforeIsLeftThoughItTakesChanges(t *testing.T) {
	p := startPair(t)
	s := p.db.open(t)
	makeEvents(t, s, 1)
	p.caughtUp(t)
	p.standby.Promote(t)
	p.lead(p.standby, false)
	fresh := database{dsn: through(t, p.standby.Addr(), p.db.dsn)}.open(t)
	eventually(t, "a change reaches the new primary", func() bool {
		_, err := s.UpdateTenant(t.Context(), firstTenant(t, fresh), TenantPatch{Metadata: map[string]string{"seen": "yes"}})
		got, readErr := fresh.Tenant(t.Context(), firstTenant(t, fresh))
		return err == nil && readErr == nil && got.Metadata["seen"] == "yes"
	})
	page, err := s.Tenants(t.Context(), TenantFilter{})
	do(t, err)
	if page.Tenants[0].Metadata["seen"] != "yes" {
		t.Error("what was written is not read")
	}
}

func firstTenant(t *testing.T, s *Store) string {
	t.Helper()
	page, err := s.Tenants(t.Context(), TenantFilter{})
	do(t, err)
	return page.Tenants[0].ID
}

// TestX08NobodyLeadsOnAStandby, whose advisory locks are its own.
func TestX08NobodyLeadsOnAStandby(t *testing.T) {
	p := startPair(t)
	s := p.db.open(t)
	makeEvents(t, s, 1)
	p.caughtUp(t)
	p.lead(p.standby, true)
	if _, err := s.Lead(soon(t)); err == nil {
		t.Error("it leads on a standby")
	}
}

// TestX08OneLeadsThoughTheAddressLeadsElsewhere: the first goes on with a server that nobody has stopped, on which it has the
// lock; the second finds no lock on the new one.
func TestX08OneLeadsThoughTheAddressLeadsElsewhere(t *testing.T) {
	p := startPair(t)
	first := p.db.open(t)
	makeEvents(t, first, 1)
	release, err := first.Lead(t.Context())
	do(t, err)
	defer release()
	do(t, first.Leading(t.Context()))
	p.caughtUp(t)
	p.standby.Promote(t)
	p.lead(p.standby, false)
	second := p.db.open(t)
	var led atomic.Bool
	done := make(chan error)
	go func() {
		leave, err := second.Lead(t.Context())
		led.Store(true)
		done <- err
		<-t.Context().Done()
		if err == nil {
			leave()
		}
	}()
	for {
		leads := led.Load() // before it is asked: the first may lead until then
		err := first.Leading(t.Context())
		if leads && err == nil {
			t.Fatal("two lead")
		}
		if leads {
			break
		}
	}
	do(t, <-done)
	do(t, second.Leading(t.Context()))
}
