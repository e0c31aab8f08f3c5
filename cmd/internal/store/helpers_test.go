package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run has the connections for changes run a statement.
func run(t testing.TB, s *Store, statement string) {
	t.Helper()
	do(t, s.db.Write(t.Context(), "run a statement", func(ctx context.Context, t sqldb.Tx) error {
		_, err := t.Exec(ctx, statement)
		return err
	}))
}

// show is what a setting is in a session of one kind of call, as db.Read.
func show(t testing.TB, call func(context.Context, string, func(context.Context, sqldb.Tx) error) error, setting string) (got string) {
	t.Helper()
	do(t, call(t.Context(), "look", func(ctx context.Context, t sqldb.Tx) error { return t.Row(ctx, setting).Scan(&got) }))
	return got
}

func create(t testing.TB, s *Store, n NewTenant) Tenant {
	t.Helper()
	made, created, err := s.CreateTenant(t.Context(), n)
	if err != nil || !created {
		t.Fatalf("create %s: created %t, %v", n.Name, created, err)
	}
	return made
}

// named is a tenant that differs from others by its name alone.
func named(name string) NewTenant {
	return NewTenant{Name: name, Owner: Owner{Email: "owner@acme.test"}}
}

func associate(t testing.TB, s *Store, id string, services ...string) {
	t.Helper()
	for _, service := range services {
		a, err := s.Associate(t.Context(), id, service, NewAssociation{IsolationMode: "isolated", MaxOpenConns: 7})
		if err != nil || a.Status != "active" || a.Service != service {
			t.Fatalf("associate with %s: %+v, %v", service, a, err)
		}
	}
}

func version(t testing.TB, s *Store) tenant.Version {
	t.Helper()
	v, err := s.Version(t.Context())
	do(t, err)
	return v
}

func pending(t testing.TB, s *Store) []Event {
	t.Helper()
	events, err := s.Pending(t.Context(), 1_000_000)
	do(t, err)
	return events
}

// ref is what the event of a revision is marked by; one that is not there has no time.
func ref(t testing.TB, s *Store, revision uint64) EventRef {
	t.Helper()
	return refs(t, s, revision)[0]
}

func refs(t testing.TB, s *Store, revisions ...uint64) []EventRef {
	t.Helper()
	all, err := s.events(t.Context(), "look", `SELECT `+eventColumns+` FROM outbox WHERE env = ?1`, s.env)
	do(t, err)
	out := make([]EventRef, len(revisions))
	for i, revision := range revisions {
		out[i].Revision = revision
		for _, evt := range all {
			if evt.Revision == revision {
				out[i] = evt.Ref()
			}
		}
	}
	return out
}

// wantEvents wants exactly these in the outbox, each as its revision, its type and its payload.
func wantEvents(t testing.TB, s *Store, want ...string) {
	t.Helper()
	var got []string
	for _, evt := range pending(t, s) {
		got = append(got, strings.TrimSpace(fmt.Sprint(evt.Revision, " ", evt.EventType, " ", string(evt.Payload))))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if v := version(t, s); v.Revision != uint64(len(want)) {
		t.Errorf("the newest revision is %d after %d events", v.Revision, len(want))
	}
}

func wantAssociations(t testing.TB, s *Store, id string, want ...string) {
	t.Helper()
	all, err := s.Associations(t.Context(), id)
	do(t, err)
	var got []string
	for _, a := range all {
		got = append(got, a.Service+" "+a.Status)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the associations are %v, want %v", got, want)
	}
}

func wantConflict(t testing.TB, err error, code string) {
	t.Helper()
	if conflict, ok := errors.AsType[*Conflict](err); !ok || conflict.Code != code {
		t.Errorf("got %v, want the conflict %s", err, code)
	}
}

func isMissing(err error, of string) bool {
	missing, ok := errors.AsType[*NotFound](err)
	return ok && missing.Of == of
}

func wantInvalid(t testing.TB, err error, code string) {
	t.Helper()
	if invalid, ok := errors.AsType[*Invalid](err); !ok || invalid.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func wantInactive(t testing.TB, err error, status string) {
	t.Helper()
	if inactive, ok := errors.AsType[*Inactive](err); !ok || inactive.Status != status {
		t.Errorf("got %v, want that it is %s", err, status)
	}
}

// patch is the body of a PUT of connections.
func patch(t testing.TB, body string) contract.Patch {
	t.Helper()
	p, err := contract.ParsePatch([]byte(body))
	do(t, err)
	return p
}

func put(t testing.TB, s *Store, id, body string) {
	t.Helper()
	_, _, err := s.UpdateConnections(t.Context(), id, "ledger", patch(t, body))
	do(t, err)
}

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
