package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX13LimitsInEventsAreInSnakeCase: readers decode them so, and take what is spelled otherwise for 0.
func TestX13LimitsInEventsAreInSnakeCase(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		_, err := s.Associate(t.Context(), id, "ledger", NewAssociation{MaxOpenConns: 25, MaxIdleConns: 5})
		do(t, err)
		put(t, s, id, `{"statementTimeout":"30s"}`)
		do(t, s.SuspendAssociation(t.Context(), id, "ledger"))
		do(t, s.ReactivateAssociation(t.Context(), id, "ledger"))
		wantEvents(t, s,
			"1 tenant.created",
			`2 tenant.service.associated {"service_name":"ledger","isolation_mode":"","connection_settings":{"max_open_conns":25,"max_idle_conns":5}}`,
			`3 tenant.connections.updated {"service_name":"ledger","module":"","max_open_conns":25,"max_idle_conns":5,"statement_timeout":"30s"}`,
			`4 tenant.service.suspended {"service_name":"ledger","previous_status":"active"}`,
			`5 tenant.service.reactivated {"service_name":"ledger","previous_status":"suspended","re_provisioned":false,`+
				`"connection_settings":{"max_open_conns":25,"max_idle_conns":5,"statement_timeout":"30s"}}`,
		)
	})
}

func TestX14EverythingThatWasPutIsKept(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		put(t, s, id, `{"databases":{"m":{"postgresql":{"host":"a"},"postgresqlReplica":{"host":"b"},"mongodb":{"uri":"c"},"redis":{"host":"d"}}},
			"rabbitmq":{"m":{"host":"e"}},"messaging":{"rabbitmq":{"host":"f"}},"streaming":{"m":{"kafka":{"brokers":["g"]}}},"else":[1,{"b":2,"a":1.0}]}`)
		put(t, s, id, `{"databases":{"m":{"mongodb":null}}}`)
		who, a, err := s.Connections(t.Context(), id, "ledger")
		do(t, err)
		got := fieldsOf(t, a)
		want := `{"databases":{"m":{"postgresql":{"host":"a"},"postgresqlReplica":{"host":"b"},"redis":{"host":"d"},"connectionSettings":{"maxOpenConns":7}}},` +
			`"rabbitmq":{"m":{"host":"e"}},"messaging":{"rabbitmq":{"host":"f"}},"streaming":{"m":{"kafka":{"brokers":["g"]}}},` +
			`"connectionSettings":{"maxOpenConns":7},"else":[1,{"b":2,"a":1.0}]}`
		if got != want || who.ID != id {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// TestX16LimitsAreThoseOfTheModule is the sequence in which the last event once had the limits of another module.
func TestX16LimitsAreThoseOfTheModule(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		for _, body := range []string{
			`{"module":"onboarding","maxOpenConns":11,"maxIdleConns":3}`,
			`{"maxOpenConns":70,"maxIdleConns":12}`,
			`{"module":"onboarding","maxOpenConns":33,"maxIdleConns":7}`,
			`{"module":"transaction","maxOpenConns":4,"maxIdleConns":2}`,
			`{"module":"onboarding","statementTimeout":"30s"}`,
		} {
			put(t, s, id, body)
		}
		wantLast(t, s, 2,
			`tenant.connections.updated {"service_name":"ledger","module":"onboarding","max_open_conns":11,"max_idle_conns":3}`,
			`tenant.connections.updated {"service_name":"ledger","module":"onboarding","max_open_conns":33,"max_idle_conns":7}`,
			`tenant.connections.updated {"service_name":"ledger","module":"transaction","max_open_conns":4,"max_idle_conns":2}`,
			`tenant.connections.updated {"service_name":"ledger","module":"onboarding","max_open_conns":33,"max_idle_conns":7,"statement_timeout":"30s"}`,
		)
		_, a, err := s.Connections(t.Context(), id, "ledger")
		do(t, err)
		want := `{"databases":{"onboarding":{"connectionSettings":{"maxOpenConns":33,"maxIdleConns":7,"statementTimeout":"30s"}},` +
			`"transaction":{"connectionSettings":{"maxOpenConns":4,"maxIdleConns":2}}},"connectionSettings":{"maxOpenConns":70,"maxIdleConns":12}}`
		if got := fieldsOf(t, a); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestX16WhatIsReachedIsAnnouncedAfterTheLimits(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		const both = `{"databases":{"b":{"postgresql":{"host":"x"},"connectionSettings":{"maxOpenConns":2}},"a":{"postgresql":{"host":"x"},"connectionSettings":{"maxOpenConns":1}}}}`
		put(t, s, id, both)
		put(t, s, id, both) // which changes nothing
		put(t, s, id, `{"streaming":{"a":{"kafka":{"brokers":["k"]}}}}`)
		wantLast(t, s, 2,
			`tenant.connections.updated {"service_name":"ledger","module":"a","max_open_conns":1,"max_idle_conns":0}`,
			`tenant.connections.updated {"service_name":"ledger","module":"b","max_open_conns":2,"max_idle_conns":0}`,
			`tenant.cache.invalidate {"service_name":"ledger","reason":"connections_updated"}`,
			`tenant.cache.invalidate {"service_name":"ledger","reason":"connections_updated"}`,
		)
	})
}

// TestX16ConnectionsOfBeforeGoOn: what an older program wrote is read, and what one writes next to this program, while
// replicas are replaced, is not lost.
func TestX16ConnectionsOfBeforeGoOn(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		writeBefore(t, s, id, contract.Before{
			Module: "m", MaxOpenConns: 9, StatementTimeout: []byte(`5`), Databases: []byte(`{"m":{"postgresql":{"host":"a"}}}`), RabbitMQ: []byte(`{"host":"mq"}`),
		}, true)
		wantFields(t, s, id, `{"databases":{"m":{"postgresql":{"host":"a"},"connectionSettings":{"maxOpenConns":9}}},"rabbitmq":{"m":{"host":"mq"}},`+
			`"messaging":{"rabbitmq":{"host":"mq"}},"connectionSettings":{"maxOpenConns":9}}`)

		put(t, s, id, `{"streaming":{"m":{"kafka":{"tls":true}}}}`)
		before := readBefore(t, s, id)
		before.Databases, before.Module, before.MaxIdleConns = []byte(`{"m":{"postgresql":{"host":"b"}}}`), "m", 4
		writeBefore(t, s, id, before, false)
		wantFields(t, s, id, `{"databases":{"m":{"postgresql":{"host":"b"},"connectionSettings":{"maxOpenConns":9,"maxIdleConns":4}}},"rabbitmq":{"m":{"host":"mq"}},`+
			`"messaging":{"rabbitmq":{"host":"mq"}},"streaming":{"m":{"kafka":{"tls":true}}},"connectionSettings":{"maxOpenConns":9}}`)
	})
}

// TestX16WhatAnOlderProgramPurgesIsGone: it empties the settings alone. One that is made again has none of it, whatever made it.
func TestX16WhatAnOlderProgramPurgesIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.open(t)
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		put(t, s, id, `{"streaming":{"m":{"kafka":{"password":"canary"}}},"zone":"canary"}`)
		writeBefore(t, s, id, contract.Before{}, false)
		do(t, s.db.Write(t.Context(), "purge as before", func(ctx context.Context, q sqldb.Tx) error {
			_, err := q.Exec(ctx, `UPDATE associations SET status = 'purged'`)
			return err
		}))
		do(t, s.Close())
		s = db.open(t)
		wantNoConnections(t, s)
		associate(t, s, id, "ledger")
		wantFields(t, s, id, `{"connectionSettings":{"maxOpenConns":7}}`)
		put(t, s, id, `{"zone":"canary"}`)
		do(t, s.Disassociate(t.Context(), id, "ledger", true))
		wantNoConnections(t, s)
	})
}

func wantNoConnections(t *testing.T, s *Store) {
	t.Helper()
	do(t, s.db.Read(t.Context(), "look", func(ctx context.Context, q sqldb.Tx) error {
		var n int
		err := q.Row(ctx, `SELECT COUNT(*) FROM associations WHERE connections IS NOT NULL`).Scan(&n)
		if n > 0 {
			t.Error("what was purged is there still")
		}
		return err
	}))
}

func TestX19EventsSayWhatIsKnownOfTheConnections(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		known, err := contract.ParseNew([]byte(`{"databases":{"b":{"postgresql":{"host":"x"}},"a":{"mongodb":{"uri":"y"}}},` +
			`"secretPaths":{"b":{"postgresql_rw":"p"}},"messagingConfig":{"rabbitmq_secret_path":"q"}}`))
		do(t, err)
		_, err = s.Associate(t.Context(), id, "ledger", NewAssociation{IsolationMode: "isolated", Connections: known})
		do(t, err)
		do(t, s.SuspendTenant(t.Context(), id))
		do(t, s.ReactivateTenant(t.Context(), id))
		do(t, s.InvalidateCache(t.Context(), id, "ledger", "imported"))
		do(t, s.InvalidateCache(t.Context(), id, "ledger", ""))
		wantLast(t, s, 1,
			`tenant.service.associated {"service_name":"ledger","isolation_mode":"isolated","modules":["a","b"],`+
				`"secret_paths":{"b":{"postgresql_rw":"p"}},"messaging_config":{"rabbitmq_secret_path":"q"}}`,
			`tenant.suspended`,
			`tenant.activated`,
			`tenant.service.reactivated {"service_name":"ledger","previous_status":"suspended","re_provisioned":false,"secret_paths":{"b":{"postgresql_rw":"p"}}}`,
			`tenant.cache.invalidate {"service_name":"ledger","reason":"imported"}`,
			`tenant.cache.invalidate {"service_name":"ledger"}`,
		)
		wantInvalid(t, s.InvalidateCache(t.Context(), id, "ledger", strings.Repeat("r", contract.MaxName+1)), "INVALID_REASON")
		if err := s.InvalidateCache(t.Context(), id, "nobody", ""); !isMissing(err, lifecycle.OfAssociation) {
			t.Errorf("of no association: %v", err)
		}
	})
}

func TestX19WhatAddsATenantSaysItsName(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		one := create(t, s, named("Acme Inc."))
		associate(t, s, one.ID, "ledger")
		do(t, rename(t.Context(), s, one.ID, "Acme International"))
		do(t, s.SuspendTenant(t.Context(), one.ID))
		do(t, s.ReactivateTenant(t.Context(), one.ID))
		var got []string
		for _, evt := range pending(t, s) {
			got = append(got, strings.TrimSpace(string(evt.EventType)+" "+evt.TenantName))
		}
		want := []string{
			"tenant.created", "tenant.service.associated Acme Inc.", "tenant.updated Acme International", "tenant.suspended",
			"tenant.activated", "tenant.service.reactivated Acme International",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestX20NoSecretPathComesTwice, not even after a purge, and no two tenants share one.
func TestX20NoSecretPathComesTwice(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		one, two := create(t, s, named("victim")), create(t, s, named("other"))
		insertBefore(t, s, two.ID, "victim/ledger")
		insertBefore(t, s, one.ID, "ledger/x")
		associate(t, s, one.ID, "ledger")
		do(t, s.RotateCredentials(t.Context(), one.ID, "ledger"))
		do(t, s.Disassociate(t.Context(), one.ID, "ledger", true))
		associate(t, s, one.ID, "ledger")
		do(t, s.RotateCredentials(t.Context(), one.ID, "ledger"))
		do(t, s.RotateCredentials(t.Context(), one.ID, "ledger/x"))
		seen := map[string]bool{}
		for _, evt := range pending(t, s) {
			if evt.EventType != tenant.EventCredentialsRotated {
				continue
			}
			rotated, err := tenant.DecodePayload[tenant.CredentialsRotated](evt.Event)
			do(t, err)
			want := fmt.Sprintf("tenants/%s/%s/postgresql/v%d", one.ID, strings.ReplaceAll(rotated.ServiceName, "/", "%2F"), evt.Revision)
			if rotated.NewSecretPath != want || seen[want] {
				t.Errorf("the path is %s, want %s once", rotated.NewSecretPath, want)
			}
			seen[want] = true
		}
		if len(seen) != 3 {
			t.Errorf("%d rotations were announced", len(seen))
		}
	})
}

func TestX20NamesHaveRulesAndOldOnesStay(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		shouted := acme()
		shouted.Slug = "ACME-Corp"
		if made := create(t, s, shouted); made.Slug != "acme-corp" {
			t.Errorf("the slug is %s", made.Slug)
		}
		for _, bad := range []string{"a/b", "../../sys", "a b", "a_b", "\u00e4", strings.Repeat("a", 64)} {
			n := acme()
			n.Slug = bad
			_, _, err := s.CreateTenant(t.Context(), n)
			wantInvalid(t, err, "INVALID_SLUG")
		}
		one := create(t, s, named("one"))
		for _, bad := range []string{"ledger/x", "..", ".", "a b", "led\u00e9", strings.Repeat("a", 256)} {
			_, err := s.Associate(t.Context(), one.ID, bad, NewAssociation{})
			wantInvalid(t, err, "INVALID_SERVICE")
			_, _, err = s.CreateKey(t.Context(), bad, "")
			wantInvalid(t, err, "INVALID_SERVICE")
		}
		associate(t, s, one.ID, "Ledger.v2_x-1")

		insertBefore(t, s, one.ID, "ledger/x")
		_, _, err := s.CreateKey(t.Context(), "ledger/x", "")
		do(t, err)
		do(t, s.SuspendAssociation(t.Context(), one.ID, "ledger/x"))
		do(t, s.Disassociate(t.Context(), one.ID, "ledger/x", false))

		old := acme()
		old.Name, old.Slug = "Old One", "old/one"
		do(t, s.db.Write(t.Context(), "as before", func(ctx context.Context, x sqldb.Tx) error {
			_, err := x.Exec(ctx, `UPDATE tenants SET slug = ?1 WHERE env = ?2 AND seq = 1`, old.Slug, s.env)
			return err
		}))
		old.Name = shouted.Name
		there, made, err := s.CreateTenant(t.Context(), old)
		if err != nil || made || there.Slug != "old/one" {
			t.Errorf("the same tenant once more: %+v, %v, %v", there, made, err)
		}
		do(t, s.DeleteTenant(t.Context(), there.ID))
	})
}

func TestX20NewIDsHaveNoDashes(t *testing.T) {
	s := sqliteFile(t).open(t)
	if id := create(t, s, acme()).ID; len(id) != 32 || id != tenant.CanonicalID(id) {
		t.Errorf("the id is %s", id)
	}
}

func TestX21ServicesAreThoseThatThereAre(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "payments", "ledger", "gone")
		do(t, s.Disassociate(t.Context(), id, "gone", false))
		key, _, err := s.CreateKey(t.Context(), "audit", "")
		do(t, err)
		revoked, _, err := s.CreateKey(t.Context(), "nobody", "")
		do(t, err)
		do(t, s.RevokeKey(t.Context(), revoked.ID))
		_, _, err = s.CreateToken(t.Context(), "admin")
		do(t, err)
		got, err := s.Services(t.Context(), 100)
		if want := []string{key.Service, "ledger", "payments"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		if got, err := s.Services(t.Context(), 1); err != nil || len(got) != 1 {
			t.Errorf("got %v, %v, want one", got, err)
		}
	})
}

// wantLast wants exactly these in the outbox after a revision, each as its type and its payload.
func wantLast(t *testing.T, s *Store, after uint64, want ...string) {
	t.Helper()
	var got []string
	for _, evt := range pending(t, s) {
		if evt.Revision > after {
			got = append(got, strings.TrimSpace(string(evt.EventType)+" "+string(evt.Payload)))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// fieldsOf is what GET would answer of a, in its order.
func fieldsOf(t *testing.T, a Association) string {
	t.Helper()
	var out []string
	for _, m := range a.Connections.Fields().Object() {
		out = append(out, fmt.Sprintf("%q:%s", m.Name, m.Value))
	}
	return "{" + strings.Join(out, ",") + "}"
}

func wantFields(t *testing.T, s *Store, id, want string) {
	t.Helper()
	_, a, err := s.Connections(t.Context(), id, "ledger")
	do(t, err)
	if got := fieldsOf(t, a); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// readBefore and writeBefore do what a program does that knows settings alone.
func readBefore(t *testing.T, s *Store, id string) contract.Before {
	t.Helper()
	var sealed []byte
	var before contract.Before
	do(t, s.db.Read(t.Context(), "read as before", func(ctx context.Context, x sqldb.Tx) error {
		return x.Row(ctx, `SELECT settings FROM associations WHERE env = ?1 AND service = 'ledger'`, s.env).Scan(&sealed)
	}))
	do(t, s.openJSON(&before, sealed, settingsOf(id, "ledger")...))
	return before
}

func writeBefore(t *testing.T, s *Store, id string, before contract.Before, made bool) {
	t.Helper()
	sealed, err := s.sealJSON(before, settingsOf(id, "ledger")...)
	do(t, err)
	change := `settings = ?1`
	if made {
		change += `, connections = NULL`
	}
	do(t, s.db.Write(t.Context(), "write as before", func(ctx context.Context, x sqldb.Tx) error {
		_, err := x.Exec(ctx, `UPDATE associations SET `+change+` WHERE env = ?2 AND service = 'ledger'`, sealed, s.env)
		return err
	}))
}

// insertBefore makes an association with a name that is not made any more.
func insertBefore(t *testing.T, s *Store, id, service string) {
	t.Helper()
	associate(t, s, id, "tmp")
	sealed, err := s.sealJSON(json.RawMessage(`{}`), settingsOf(id, service)...)
	do(t, err)
	do(t, s.db.Write(t.Context(), "insert as before", func(ctx context.Context, x sqldb.Tx) error {
		_, err := x.Exec(ctx, `UPDATE associations SET service = ?1, settings = ?2, connections = NULL WHERE env = ?3 AND service = 'tmp'`,
			service, sealed, s.env)
		return err
	}))
}
