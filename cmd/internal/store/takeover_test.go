package store

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// oldData is where the data of the first program lies that had any.
const oldData = "testdata/c26c301/"

func oldFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(oldData + name)
	do(t, err)
	return strings.TrimSpace(string(data))
}

// onEachOld runs a test on a copy of the old data, on every kind of database. kind is how the files of its secrets begin.
func onEachOld(t *testing.T, fn func(t *testing.T, dsn, kind string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tenants.db")
		packed, err := os.Open(oldData + "tenants.db.gz")
		do(t, err)
		defer func() { _ = packed.Close() }()
		plain, err := gzip.NewReader(packed)
		do(t, err)
		data, err := io.ReadAll(plain)
		do(t, err)
		do(t, os.WriteFile(path, data, filePerm))
		fn(t, "sqlite:"+path, "sqlite-")
	})
	t.Run("postgres", func(t *testing.T) {
		server := testserver.SharedPostgres(t)
		dsn := server.Database(t)
		server.Run(t, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", oldData+"postgres.sql", dsn)
		fn(t, dsn, "postgres-")
	})
}

func openOld(t *testing.T, dsn, environment string) (*Store, error) {
	t.Helper()
	key, err := hex.DecodeString(oldFile(t, "encryption-key"))
	do(t, err)
	s, err := Open(t.Context(), dsn, Options{Environment: environment, Key: key})
	if err == nil {
		t.Cleanup(func() { do(t, s.Close()) })
	}
	return s, err
}

func TestOldDataGoesOn(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, kind string) {
		s, err := openOld(t, dsn, "production")
		do(t, err)
		wantOldData(t, s, kind+"production")
	})
}

// wantOldData looks at what is sealed, what was handed out, and whether it goes on.
func wantOldData(t *testing.T, s *Store, secrets string) {
	t.Helper()
	page, err := s.Tenants(t.Context(), TenantFilter{Service: "ledger"})
	do(t, err)
	if len(page.Tenants) != 3 || page.Tenants[2].Status != "suspended" {
		t.Fatalf("the tenants are %+v", page.Tenants)
	}
	for _, one := range page.Tenants[:2] {
		_, a, err := s.Connections(t.Context(), one.ID, "ledger")
		do(t, err)
		if databases := string(a.Connections.Fields().Databases); !strings.Contains(databases, "canary-"+one.Name) {
			t.Errorf("the connections of %s are %s", one.Name, databases)
		}
	}
	_, err = s.CheckToken(t.Context(), oldFile(t, secrets+".token"))
	do(t, err)
	_, err = s.CheckKey(t.Context(), oldFile(t, secrets+".key"))
	do(t, err)
	before := version(t, s)
	do(t, s.ReactivateTenant(t.Context(), page.Tenants[2].ID))
	events, _, err := s.EventsAfter(t.Context(), tenant.Version{Epoch: before.Epoch}, 1000)
	do(t, err)
	if last := events[len(events)-1]; len(events) < 11 || last.Environment != s.Environment() || !isDense(revisions(events)) {
		t.Errorf("%d events, the last is %s", len(events), last.Data)
	}
}

// TestX18AnEnvironmentIsTakenOverUnderItsNameOfNow, and then by every spelling.
func TestX18AnEnvironmentIsTakenOverUnderItsNameOfNow(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, kind string) {
		for i, spelling := range []string{"staging", "Staging", " STAGING "} {
			s, err := openOld(t, dsn, spelling)
			do(t, err)
			if s.Environment() != "staging" {
				t.Errorf("%q is %q", spelling, s.Environment())
			}
			if spelling == "staging" {
				wantOldData(t, s, kind+"staging")
				wantFloor(t, s, lowerCased)
			}
			_, _, err = s.CreateTenant(t.Context(), NewTenant{Name: strconv.Itoa(i), Environment: spelling})
			do(t, err)
			do(t, s.Close())
		}
		s, err := openOld(t, dsn, "production") // which nobody touched
		do(t, err)
		wantOldData(t, s, kind+"production")
	})
}

func wantFloor(t *testing.T, s *Store, want int) {
	t.Helper()
	do(t, s.db.Read(t.Context(), "look", func(ctx context.Context, q sqldb.Tx) error {
		var got int
		err := q.Row(ctx, `SELECT MAX(oldest) FROM schema_floor`).Scan(&got)
		if got != want {
			t.Errorf("the oldest program that may work on it is %d, want %d", got, want)
		}
		return err
	}))
}

func TestX18EventsThatWaitAreSentUnderTheNameOfNow(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, _ string) {
		s, err := openOld(t, dsn, "production")
		do(t, err)
		do(t, s.db.Write(t.Context(), "as if not sent", func(ctx context.Context, q sqldb.Tx) error {
			_, err := q.Exec(ctx, `UPDATE outbox SET sent_at = NULL`)
			return err
		}))
		do(t, s.Close())
		s, err = openOld(t, dsn, "staging")
		do(t, err)
		for _, evt := range pending(t, s) {
			if evt.Environment != "staging" || !strings.Contains(string(evt.Data), `"environment":"staging"`) {
				t.Errorf("it waits as %s", evt.Data)
			}
		}
	})
}

// TestX18ConnectionsOfNowAreTakenOverToo: both columns of an association are sealed with the name.
func TestX18ConnectionsOfNowAreTakenOverToo(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.open(t)
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		_, before, err := s.Connections(t.Context(), id, "ledger")
		do(t, err)
		beginAs(t, s, "Staging")
		do(t, s.Close())
		s = db.open(t)
		_, after, err := s.Connections(t.Context(), id, "ledger")
		do(t, err)
		if !reflect.DeepEqual(before.Connections, after.Connections) {
			t.Errorf("they were %+v and are %+v", before.Connections, after.Connections)
		}
	})
}

// TestX18ANameThatIsRefusedByNowIsTakenOver under another, by a caller that says both; until then each start names it.
func TestX18ANameThatIsRefusedByNowIsTakenOver(t *testing.T) {
	for _, name := range []string{"default", `"prod"`} {
		onEach(t, func(t *testing.T, db database) {
			s := db.open(t)
			id := create(t, s, acme()).ID
			associate(t, s, id, "ledger")
			beginAs(t, s, name)
			do(t, s.Close())
			var log strings.Builder
			o := Options{Environment: "another", Key: testKey, Logger: textLogger(&log)}
			another, err := Open(t.Context(), db.dsn, o)
			do(t, err)
			create(t, another, named("of another"))
			do(t, another.Close())
			if strings.Count(log.String(), "formerly=") != 1 || !strings.Contains(log.String(), strings.Trim(name, `"`)) {
				t.Errorf("it says %s", &log)
			}
			if _, err := Open(t.Context(), db.dsn, Options{Environment: "another", Formerly: name, Key: testKey}); !errors.Is(err, ErrTwoSpellings) {
				t.Errorf("into one that has tenants: %v", err)
			}
			log.Reset()
			for range 2 { // it may be said again
				s, err = Open(t.Context(), db.dsn, Options{Environment: "prod", Formerly: name, Key: testKey, Logger: textLogger(&log)})
				do(t, err)
				_, a, err := s.Connections(t.Context(), id, "ledger")
				do(t, err)
				if limits := a.Connections.Limits(""); *limits.MaxOpenConns != 7 {
					t.Errorf("the connections are %+v", limits)
				}
				do(t, s.Close())
			}
			if strings.Count(log.String(), "formerly=") != 0 {
				t.Errorf("it says %s", &log)
			}
		})
	}
}

// beginAs is as if a program of before had begun the environment under that name.
func beginAs(t *testing.T, s *Store, name string) {
	t.Helper()
	do(t, s.db.Write(t.Context(), "as if begun so", func(ctx context.Context, q sqldb.Tx) error {
		found, err := spellings(ctx, q, s.environment, "")
		do(t, err)
		other := &Store{db: s.db, seal: s.seal, environment: name, logger: s.logger, migrating: func() {}}
		return other.rename(ctx, q, found[0])
	}))
}

// TestX18ANameThatIsAllowedIsNotTakenOver: a manager of that name has it, or will.
func TestX18ANameThatIsAllowedIsNotTakenOver(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.open(t)
		id := create(t, s, acme()).ID
		do(t, s.Close())
		for _, former := range []string{testEnvironment, "Staging", "nowhere"} {
			_, err := Open(t.Context(), db.dsn, Options{Environment: "production", Formerly: former, Key: testKey})
			wantInvalid(t, err, "INVALID_FORMERLY")
		}
		for _, former := range []string{testEnvironment, " Staging"} { // which is the same environment
			s, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Formerly: former, Key: testKey})
			do(t, err)
			_, err = s.Tenant(t.Context(), id)
			do(t, err)
			do(t, s.Close())
		}
	})
}

// TestX18AnEnvironmentThatHadNoTenantGivesWay: a start without --formerly has begun it, and somebody has made a token in it.
func TestX18AnEnvironmentThatHadNoTenantGivesWay(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.open(t)
		id := create(t, s, acme()).ID
		_, before, err := s.CreateToken(t.Context(), "before")
		do(t, err)
		beginAs(t, s, "default")
		do(t, s.Close())
		empty := db.openAs(t, "production")
		do(t, empty.Ping(t.Context()))
		do(t, empty.NewEpoch(t.Context()))
		_, after, err := empty.CreateToken(t.Context(), "after")
		do(t, err)
		do(t, empty.Close())
		if _, err := Open(t.Context(), db.dsn, Options{Environment: "production", Formerly: "default", Key: []byte(strings.Repeat("x", keyBytes))}); !errors.Is(err, ErrWrongKey) {
			t.Errorf("with another key: %v", err)
		}
		s, err = Open(t.Context(), db.dsn, Options{Environment: "production", Formerly: "default", Key: testKey})
		do(t, err)
		defer func() { do(t, s.Close()) }()
		_, err = s.Tenant(t.Context(), id)
		do(t, err)
		for _, secret := range []string{before, after} {
			_, err := s.CheckToken(t.Context(), secret)
			do(t, err)
		}
		rows, err := s.Audit(t.Context(), 0, 100)
		do(t, err)
		if !slices.ContainsFunc(rows, func(a Audited) bool { return a.Call == callNewEpoch }) {
			t.Errorf("what was done in the one that gave way is not in the audit: %+v", rows)
		}
	})
}

// TestX18AnEnvironmentDoesNotGiveWayUnderAManager that relays for it.
func TestX18AnEnvironmentDoesNotGiveWayUnderAManager(t *testing.T) {
	db := database{dsn: testserver.SharedPostgres(t).Database(t)}
	s := db.open(t)
	create(t, s, acme())
	beginAs(t, s, "default")
	do(t, s.Close())
	empty := db.openAs(t, "production")
	release, err := empty.Lead(t.Context())
	do(t, err)
	o := Options{Environment: "production", Formerly: "default", Key: testKey}
	if _, err := Open(t.Context(), db.dsn, o); !errors.Is(err, ErrInUse) {
		t.Errorf("it says %v", err)
	}
	release()
	taken, err := Open(t.Context(), db.dsn, o)
	do(t, err)
	do(t, taken.Close())
}

// TestX18ABackupWithANameThatIsRefusedByNowIsRestored under another.
func TestX18ABackupWithANameThatIsRefusedByNowIsRestored(t *testing.T) {
	s := sqliteFile(t).open(t)
	id := create(t, s, acme()).ID
	beginAs(t, s, "default")
	path := filepath.Join(t.TempDir(), "backup.db")
	do(t, s.Backup(t.Context(), path))
	target := sqliteFile(t)
	o := Options{Environment: "production", Key: testKey}
	if err := Restore(t.Context(), target.dsn, path, o); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"default"`) {
		t.Errorf("without the former name: %v", err)
	}
	o.Formerly = "default"
	do(t, Restore(t.Context(), target.dsn, path, o))
	_, err := target.openAs(t, "production").Tenant(t.Context(), id)
	do(t, err)
}

func TestX18TwoSpellingsAreRefused(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, _ string) {
		s, err := openOld(t, dsn, "production")
		do(t, err)
		do(t, s.db.Write(t.Context(), "a second one", func(ctx context.Context, q sqldb.Tx) error {
			_, err := q.Exec(ctx, `INSERT INTO environments (name, epoch, revision, tenants, canary) SELECT 'STAGING', epoch, 0, 0, canary
				FROM environments WHERE name = 'Staging'`)
			return err
		}))
		do(t, s.Close())
		_, err = openOld(t, dsn, "staging")
		if !errors.Is(err, ErrTwoSpellings) || !strings.Contains(err.Error(), `"Staging" and "STAGING"`) {
			t.Errorf("it says %v", err)
		}
		if _, err := openOld(t, dsn, "production"); err != nil {
			t.Errorf("another environment: %v", err)
		}
	})
}

// TestX18AnEnvironmentIsNotTakenFromAManagerThatRuns, or that one would write what nobody can read.
func TestX18AnEnvironmentIsNotTakenFromAManagerThatRuns(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, _ string) {
		if strings.HasPrefix(dsn, "sqlite:") {
			return // its file is locked
		}
		other, err := openOld(t, dsn, "production")
		do(t, err)
		var env int64
		do(t, other.db.Query(t.Context(), "look", func(ctx context.Context, q sqldb.Tx) error {
			return q.Row(ctx, `SELECT id FROM environments WHERE name = 'Staging'`).Scan(&env)
		}))
		leads, err := other.db.Lead(t.Context(), leadershipOf(env))
		do(t, err)
		defer leads.Release()
		if _, err := openOld(t, dsn, "staging"); !errors.Is(err, ErrInUse) {
			t.Errorf("it says %v", err)
		}
		leads.Release()
		_, err = openOld(t, dsn, "staging")
		do(t, err)
	})
}

func TestX18AWrongKeyTakesNothingOver(t *testing.T) {
	onEachOld(t, func(t *testing.T, dsn, kind string) {
		if _, err := Open(t.Context(), dsn, Options{Environment: "staging", Key: testKey}); !errors.Is(err, ErrWrongKey) {
			t.Errorf("it says %v", err)
		}
		s, err := openOld(t, dsn, "staging")
		do(t, err)
		wantOldData(t, s, kind+"staging")
	})
}
