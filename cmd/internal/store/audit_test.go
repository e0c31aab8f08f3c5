package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
)

// doing is a ctx as the server makes it.
func doing(t *testing.T, call string) (context.Context, *Deed) {
	t.Helper()
	d := &Deed{Actor: "token t1", Request: "r1", Address: "192.0.2.7", Call: call}
	return WithDeed(t.Context(), d), d
}

// TestX41EveryChangeHasARow, in its transaction, and what is refused has none.
func TestX41EveryChangeHasARow(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx, deed := doing(t, "create-tenant")
		made, _, err := s.CreateTenant(ctx, acme())
		do(t, err)
		if deed.Target != "tenants/"+made.ID || deed.Result != "revision 1" {
			t.Errorf("the caller is told %+v", deed)
		}
		again, same := doing(t, "create-tenant")
		_, created, err := s.CreateTenant(again, acme())
		do(t, err)
		if created || same.Result != "" {
			t.Errorf("nothing was done, and the caller is told %+v", same)
		}
		calls := map[string]func(context.Context) error{
			"associate": func(ctx context.Context) error {
				_, err := s.Associate(ctx, made.ID, "ledger", NewAssociation{})
				return err
			},
			"suspend-tenant":    func(ctx context.Context) error { return s.SuspendTenant(ctx, made.ID) },
			"reactivate-tenant": func(ctx context.Context) error { return s.ReactivateTenant(ctx, made.ID) },
			"update-connections": func(ctx context.Context) error { // which announces nothing
				_, _, err := s.UpdateConnections(ctx, made.ID, "ledger", contract.Patch{})
				return err
			},
			"get-connections": func(ctx context.Context) error {
				_, _, err := s.Connections(ctx, made.ID, "ledger")
				return err
			},
		}
		for _, call := range []string{"associate", "suspend-tenant", "reactivate-tenant", "get-connections", "update-connections"} {
			ctx, _ := doing(t, call)
			do(t, calls[call](ctx))
		}
		refused, _ := doing(t, "suspend-tenant")
		if err := s.SuspendTenant(refused, "nobody"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		do(t, s.DeleteTenant(t.Context(), made.ID)) // by this process itself
		of := "tenants/" + made.ID
		wantAudit(t, s,
			"token t1 create-tenant "+of+" revision 1",
			"token t1 associate "+of+"/associations/ledger revision 2",
			"token t1 suspend-tenant "+of+" revision 3",
			"token t1 reactivate-tenant "+of+" revisions 4 to 5",
			"token t1 get-connections "+of+"/associations/ledger read",
			"token t1 update-connections "+of+"/associations/ledger done",
			"operator delete-tenant "+of+" revision 6",
		)
	})
}

// TestX41WhatHasNoEventHasARow: keys, tokens and retries.
func TestX41WhatHasNoEventHasARow(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx, _ := doing(t, "")
		k, _, err := s.CreateKey(ctx, "ledger", "")
		do(t, err)
		token, _, err := s.CreateToken(ctx, "ops")
		do(t, err)
		do(t, s.RevokeKey(ctx, k.ID))
		do(t, s.RevokeKey(ctx, k.ID)) // nothing is done
		do(t, s.RevokeToken(ctx, token.ID, true))
		create(t, s, acme())
		do(t, s.Quarantine(t.Context(), ref(t, s, 1), "why"))
		do(t, s.Retry(ctx, 1, false))
		rows, err := s.Audit(t.Context(), 0, 100)
		do(t, err)
		var got []string
		for _, row := range rows {
			got = append(got, row.Call+" "+row.Target)
		}
		want := []string{"create-key keys/" + k.ID, "create-token tokens/" + token.ID, "revoke-key keys/" + k.ID, "revoke-token tokens/" + token.ID}
		if len(got) != 6 || strings.Join(got[:4], "; ") != strings.Join(want, "; ") || got[5] != "retry-event events/1" {
			t.Errorf("the audit has %q", got)
		}
	})
}

func wantAudit(t *testing.T, s *Store, want ...string) {
	t.Helper()
	rows, err := s.Audit(t.Context(), 0, 100)
	do(t, err)
	var got []string
	for _, row := range rows {
		if row.Actor != Operator && (row.Request != "r1" || row.Address != "192.0.2.7" || row.At.IsZero()) {
			t.Errorf("a row is %+v", row)
		}
		got = append(got, row.Actor+" "+row.Call+" "+row.Target+" "+row.Result)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestX41ManyReadingsAreFewTransactions: whoever reads connection data a hundred times at once keeps changes waiting for a few
// transactions only, and each reading is counted.
func TestX41ManyReadingsAreFewTransactions(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		made := create(t, s, acme())
		_, err := s.Associate(t.Context(), made.ID, "ledger", NewAssociation{})
		do(t, err)
		s.readings.writing <- struct{}{} // as if somebody were writing
		var running sync.WaitGroup
		const readers = 100
		for range readers {
			running.Go(func() {
				ctx, _ := doing(t, "get-connections")
				if _, _, err := s.Connections(ctx, made.ID, "ledger"); err != nil {
					t.Error(err)
				}
			})
		}
		eventually(t, "all wait", func() bool {
			s.readings.mu.Lock()
			defer s.readings.mu.Unlock()
			return s.readings.waiting != nil && len(s.readings.waiting.deeds) == readers
		})
		one := s.readings.waiting
		<-s.readings.writing
		running.Wait()
		rows, err := s.Audit(t.Context(), 0, 1000)
		if err != nil || len(rows) != 3 || len(one.deeds) != readers || rows[2].Result != "read 100 times" {
			t.Errorf("%d rows, %v; %d readings in one transaction: %+v", len(rows), err, len(one.deeds), rows)
		}
		for key, row := range s.readings.folded { // a minute later
			row.since = row.since.Add(-foldEvery)
			s.readings.folded[key] = row
		}
		ctx, _ := doing(t, "get-connections")
		_, _, err = s.Connections(ctx, made.ID, "ledger")
		do(t, err)
		other := WithDeed(t.Context(), &Deed{Actor: "key k2", Call: "get-connections"})
		_, _, err = s.Connections(other, made.ID, "ledger")
		do(t, err)
		rows, err = s.Audit(t.Context(), 0, 1000)
		if err != nil || len(rows) != 5 || rows[3].Result != ResultRead || rows[4].Result != ResultRead || rows[4].Actor != "key k2" {
			t.Errorf("%v; %+v", err, rows)
		}
	})
}

// TestX41AReadingIsNotCountedInTheRowOfAnother that got its number.
func TestX41AReadingIsNotCountedInTheRowOfAnother(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := WithDeed(t.Context(), &Deed{Actor: "key k", Address: "192.0.2.1", Call: "read"})
		do(t, s.noteReading(ctx, "read", "tenants/a"))
		do(t, s.db.Write(t.Context(), "as after a failover that has lost the row and given its number to another", func(ctx context.Context, t sqldb.Tx) error {
			_, err := t.Exec(ctx, `UPDATE audit SET actor = 'token t', call = 'delete-tenant', result = 'revision 1'`)
			return err
		}))
		for range 2 {
			do(t, s.noteReading(ctx, "read", "tenants/a"))
		}
		rows, err := s.Audit(t.Context(), 0, 10)
		do(t, err)
		if len(rows) != 2 || rows[0].Result != "revision 1" || rows[1].Result != "read 2 times" {
			t.Errorf("the rows are %+v", rows)
		}
	})
}

// TestX41WhatCannotBeNotedIsNotHandedOut, and not changed.
func TestX41WhatCannotBeNotedIsNotHandedOut(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		made := create(t, s, acme())
		_, err := s.Associate(t.Context(), made.ID, "ledger", NewAssociation{})
		do(t, err)
		do(t, s.db.Write(t.Context(), "break", func(ctx context.Context, t sqldb.Tx) error {
			_, err := t.Exec(ctx, `DROP TABLE audit`)
			return err
		}))
		ctx, deed := doing(t, "get-connections")
		if got, _, err := s.Connections(ctx, made.ID, "ledger"); err == nil || got.ID != "" || deed.Result != "" {
			t.Errorf("%v was handed out, %v, %+v", got.ID, err, deed)
		}
		if err := s.SuspendTenant(t.Context(), made.ID); err == nil {
			t.Error("a change was made that nobody will hear of")
		}
		if got, err := s.Tenant(t.Context(), made.ID); err != nil || got.Status != "active" {
			t.Errorf("the tenant is %s, %v", got.Status, err)
		}
	})
}

func TestX41TheAuditIsPruned(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		do(t, s.db.Write(t.Context(), "fill", func(_ context.Context, t sqldb.Tx) error {
			for range 2*atOnce + 10 {
				s.audit(t, time.Now().Add(-time.Hour), Deed{Call: "old"})
			}
			return nil
		}))
		create(t, s, acme())
		n, err := s.PruneAudit(t.Context(), time.Now().Add(-time.Minute))
		if err != nil || n != 2*atOnce+10 {
			t.Errorf("%d were deleted, %v", n, err)
		}
		rows, err := s.Audit(t.Context(), 0, 10)
		if err != nil || len(rows) != 1 || rows[0].Call != "create-tenant" {
			t.Errorf("left are %+v, %v", rows, err)
		}
	})
}

// TestX40TheLastTokenStays, unless it is forced, even when two are revoked at once.
func TestX40TheLastTokenStays(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		first, _, err := s.CreateToken(ctx, "first")
		do(t, err)
		wantConflict(t, s.RevokeToken(ctx, first.ID, false), "LAST_TOKEN")
		second, _, err := s.CreateToken(ctx, "second")
		do(t, err)
		var running sync.WaitGroup
		var errs [2]error
		for i, id := range []string{first.ID, second.ID} {
			running.Go(func() { errs[i] = s.RevokeToken(ctx, id, false) })
		}
		running.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("two at once: %v, %v; want one to be refused", errs[0], errs[1])
		}
		for _, id := range []string{first.ID, second.ID} {
			do(t, s.RevokeToken(ctx, id, true))
			do(t, s.RevokeToken(ctx, id, false)) // it is revoked already
		}
	})
}

// TestX38AnEventKnowsWhoseTenantItWas at that time, whatever becomes of the tenant.
func TestX38AnEventKnowsWhoseTenantItWas(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		made := create(t, s, acme())
		for _, service := range []string{"ledger", "billing"} {
			_, err := s.Associate(t.Context(), made.ID, service, NewAssociation{})
			do(t, err)
		}
		do(t, s.Disassociate(t.Context(), made.ID, "billing", true))
		do(t, s.SuspendTenant(t.Context(), made.ID))
		do(t, s.DeleteTenant(t.Context(), made.ID))
		events, err := s.Pending(t.Context(), 100)
		do(t, err)
		for i, want := range []string{"", "", "ledger", "ledger billing", "ledger billing", "ledger billing"} {
			if got := strings.Join(events[i].Services, " "); got != want || events[i].Services == nil {
				t.Errorf("event %d is for %q, want %q", i, got, want)
			}
		}
	})
}

// TestX41AReaderThatHasLeftHasReadNothing: the next one does not write its row.
func TestX41AReaderThatHasLeftHasReadNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		made := create(t, s, acme())
		_, err := s.Associate(t.Context(), made.ID, "ledger", NewAssociation{})
		do(t, err)
		s.readings.writing <- struct{}{} // as if somebody were writing
		ctx, leave := context.WithCancel(WithDeed(t.Context(), &Deed{Actor: "key gone", Call: "get-connections"}))
		left := make(chan error, 1)
		go func() {
			_, _, err := s.Connections(ctx, made.ID, "ledger")
			left <- err
		}()
		eventually(t, "it waits", func() bool {
			s.readings.mu.Lock()
			defer s.readings.mu.Unlock()
			return s.readings.waiting != nil
		})
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		<-s.readings.writing
		ctx, _ = doing(t, "get-connections")
		_, _, err = s.Connections(ctx, made.ID, "ledger")
		do(t, err)
		rows, err := s.Audit(t.Context(), 0, 100)
		do(t, err)
		for _, row := range rows {
			if row.Actor == "key gone" {
				t.Errorf("it has read nothing, and the audit has %+v", row)
			}
		}
		if last := rows[len(rows)-1]; last.Actor != "token t1" || last.Result != ResultRead {
			t.Errorf("%+v", last)
		}
	})
}

// TestX41ANewEpochHasARow: the data are not those of before, and somebody may ask why.
func TestX41ANewEpochHasARow(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		create(t, s, acme())
		do(t, s.NewEpoch(t.Context()))
		rows, err := s.Audit(t.Context(), 0, 100)
		do(t, err)
		last := rows[len(rows)-1]
		if last.Actor != Operator || last.Call != callNewEpoch || !strings.Contains(last.Result, "epoch "+version(t, s).Epoch) {
			t.Errorf("%+v", last)
		}
	})
}
