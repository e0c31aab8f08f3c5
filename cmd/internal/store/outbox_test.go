package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// makeEvents makes n of them, the revisions 1 to n of a new store.
func makeEvents(t testing.TB, s *Store, n int) {
	t.Helper()
	for i := range n {
		create(t, s, named(fmt.Sprint("tenant ", i+1)))
	}
}

func revisions(events []Event) []uint64 {
	out := []uint64{}
	for _, evt := range events {
		out = append(out, evt.Revision)
	}
	return out
}

func wantPending(t testing.TB, s *Store, want ...uint64) {
	t.Helper()
	if got := revisions(pending(t, s)); !slices.Equal(got, want) {
		t.Errorf("pending are %v, want %v", got, want)
	}
}

func outboxStatus(t testing.TB, s *Store) OutboxStatus {
	t.Helper()
	status, err := s.Outbox(t.Context())
	do(t, err)
	return status
}

func TestTheOutboxIsDrained(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		epoch := version(t, s).Epoch
		if status := outboxStatus(t, s); epoch == "" || status != (OutboxStatus{Epoch: epoch}) {
			t.Errorf("of nothing: %+v", status)
		}
		makeEvents(t, s, 6)
		first, err := s.Pending(t.Context(), 2)
		if err != nil || !slices.Equal(revisions(first), []uint64{1, 2}) {
			t.Fatalf("the first two: %v, %v", revisions(first), err)
		}
		do(t, s.MarkSent(t.Context()))
		do(t, s.MarkSent(t.Context(), refs(t, s, 1, 2, 3)...))
		for want := 1; want <= 2; want++ {
			if attempts, err := s.MarkFailed(t.Context(), ref(t, s, 4), "too \x00 large \xff"+strings.Repeat("x", 2*maxReason)); err != nil || attempts != want {
				t.Errorf("failed the %d. time: %d, %v", want, attempts, err)
			}
		}
		if got := pending(t, s)[0]; got.Revision != 4 || got.Attempts != 2 {
			t.Errorf("the one that failed is %d with %d attempts", got.Revision, got.Attempts)
		}
		do(t, s.Quarantine(t.Context(), ref(t, s, 4), "it cannot be sent"))
		wantPending(t, s, 5, 6)
		status := outboxStatus(t, s)
		if status.Oldest.IsZero() || time.Since(status.Oldest) > time.Hour {
			t.Errorf("the oldest is of %s", status.Oldest)
		}
		status.Oldest = time.Time{}
		if want := (OutboxStatus{Epoch: epoch, Pending: 2, Quarantined: 1, Sent: 3, Newest: 6}); status != want {
			t.Errorf("status %+v, want %+v", status, want)
		}
		do(t, s.MarkSent(t.Context(), refs(t, s, 6, 5)...))
		do(t, s.MarkSent(t.Context(), refs(t, s, 2)...)) // once more does nothing
		if status := outboxStatus(t, s); status != (OutboxStatus{Epoch: epoch, Quarantined: 1, Sent: 6, Newest: 6}) {
			t.Errorf("at the end: %+v", status)
		}
	})
}

func TestEventsThatAreNotThereAreNotFound(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 1)
		do(t, s.MarkSent(t.Context(), refs(t, s, 1, 99)...))
		if _, err := s.MarkFailed(t.Context(), ref(t, s, 2), "why"); !errors.Is(err, ErrNotFound) {
			t.Errorf("failed: %v", err)
		}
		for _, revision := range []uint64{1, 2} { // sent, and never there
			if err := s.Quarantine(t.Context(), ref(t, s, revision), "why"); !errors.Is(err, ErrNotFound) {
				t.Errorf("quarantine %d: %v", revision, err)
			}
		}
	})
}

func TestManyEventsAreMarkedAtOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		const n = 2*atOnce + 10
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		do(t, s.change(t.Context(), "many", func(ctx context.Context, c *change) error {
			r, err := c.record(ctx, id)
			if err != nil {
				return err
			}
			for range n - 2 {
				if err := c.announce(r.Update(TenantPatch{})); err != nil {
					return err
				}
			}
			return nil
		}))
		all := revisions(pending(t, s))
		if len(all) != n {
			t.Fatalf("%d events", len(all))
		}
		do(t, s.MarkSent(t.Context(), refs(t, s, all[:n-1]...)...))
		wantPending(t, s, n)
		if pruned, err := s.Prune(t.Context(), time.Now().Add(time.Minute)); err != nil || pruned != n-1 {
			t.Errorf("pruned %d, %v", pruned, err)
		}
		wantPending(t, s, n)
	})
}

// TestX08AMarkIsOfOneEventAlone: after a failover to a standby that lacked the last changes, others have their revisions.
func TestX08AMarkIsOfOneEventAlone(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 2)
		lost := refs(t, s, 1, 2)
		do(t, s.db.Write(t.Context(), "lose the last", func(ctx context.Context, x sqldb.Tx) error {
			_, err := x.Exec(ctx, `DELETE FROM outbox WHERE revision = 2`)
			if err == nil {
				_, err = x.Exec(ctx, `UPDATE environments SET revision = 1`)
			}
			return err
		}))
		create(t, s, named("of the new primary"))
		if _, err := s.MarkFailed(t.Context(), lost[1], "why"); !errors.Is(err, ErrNotFound) {
			t.Errorf("failed: %v", err)
		}
		if err := s.Quarantine(t.Context(), lost[1], "why"); !errors.Is(err, ErrNotFound) {
			t.Errorf("quarantine: %v", err)
		}
		do(t, s.MarkSent(t.Context(), lost...))
		wantPending(t, s, 2)
		for _, evt := range pending(t, s) {
			if evt.Attempts == 0 && evt.TenantName != "tenant 2" {
				continue
			}
			t.Errorf("what waits is %s, with %d attempts", evt.Data, evt.Attempts)
		}
		if status := outboxStatus(t, s); status.Sent != 1 || status.Quarantined != 0 {
			t.Errorf("status %+v", status)
		}
	})
}

// TestPruneNeverDeletesWhatIsNotSent nor what is quarantined; what is after a hole is gone for whoever asks from before it.
func TestPruneNeverDeletesWhatIsNotSent(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 6)
		do(t, s.Quarantine(t.Context(), ref(t, s, 2), "why"))
		do(t, s.MarkSent(t.Context(), refs(t, s, 1, 3, 5)...))
		if n, err := s.Prune(t.Context(), time.Now().Add(-time.Minute)); err != nil || n != 0 {
			t.Errorf("what was sent just now: pruned %d, %v", n, err)
		}
		wantAfter(t, s, 0, 1, 2, 3, 4, 5, 6)
		if n, err := s.Prune(t.Context(), time.Now().Add(time.Minute)); err != nil || n != 3 {
			t.Errorf("pruned %d, %v", n, err)
		}
		wantPending(t, s, 4, 6)
		if status := outboxStatus(t, s); status.Quarantined != 1 || status.Sent != 5 || status.Newest != 6 {
			t.Errorf("status %+v", status)
		}
		wantAfter(t, s, 5, 6)
		wantAfter(t, s, 6)
		for _, revision := range []uint64{0, 2, 4, 7, 1 << 63} {
			if _, _, err := s.EventsAfter(t.Context(), tenant.Version{Revision: revision}, 10); !errors.Is(err, ErrGone) {
				t.Errorf("after %d: %v", revision, err)
			}
		}
		do(t, s.MarkSent(t.Context(), refs(t, s, 2)...)) // by hand, out of the quarantine
		if status := outboxStatus(t, s); status.Quarantined != 0 || status.Sent != 5 {
			t.Errorf("status %+v", status)
		}
	})
}

func TestEventsAfterAVersion(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 3)
		v := version(t, s)
		got, epoch, err := s.EventsAfter(t.Context(), tenant.Version{Epoch: v.Epoch, Revision: 1}, 1)
		if err != nil || !slices.Equal(revisions(got), []uint64{2}) || epoch != v.Epoch {
			t.Errorf("after 1: %v of %s, %v", revisions(got), epoch, err)
		}
		if _, _, err := s.EventsAfter(t.Context(), tenant.Version{Epoch: "another", Revision: 1}, 1); !errors.Is(err, ErrGone) {
			t.Errorf("of another epoch: %v", err)
		}
	})
}

func wantAfter(t testing.TB, s *Store, after uint64, want ...uint64) {
	t.Helper()
	got, _, err := s.EventsAfter(t.Context(), tenant.Version{Revision: after}, 100)
	if err != nil || !slices.Equal(revisions(got), want) {
		t.Errorf("after %d: %v, %v, want %v", after, revisions(got), err, want)
	}
}

// TestANewEpochLeavesWhatIsNoEventAsItIs, because it is kept for whoever looks into why.
func TestANewEpochLeavesWhatIsNoEventAsItIs(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 3)
		do(t, s.MarkSent(t.Context(), refs(t, s, 1)...))
		const broken = `{"event_id":"x","payload":{`
		do(t, s.db.Write(t.Context(), "break a row", func(ctx context.Context, x sqldb.Tx) error {
			_, err := x.Exec(ctx, `UPDATE outbox SET data = ?1 WHERE revision = 2`, []byte(broken))
			return err
		}))
		do(t, s.NewEpoch(t.Context()))
		wantPending(t, s, 1, 2)
		if got := string(pending(t, s)[0].Data); got != broken {
			t.Errorf("it is now %s", got)
		}
	})
}

// TestANewEpochKeepsWhatWasNotSent: the events are numbered again, and are the same otherwise.
func TestANewEpochKeepsWhatWasNotSent(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 5)
		associate(t, s, pending(t, s)[0].TenantID, "ledger")
		do(t, s.MarkSent(t.Context(), refs(t, s, 1, 2, 4)...))
		do(t, s.Quarantine(t.Context(), ref(t, s, 5), "why"))
		before, old := pending(t, s), version(t, s)
		set, names := list(t, s, "ledger")
		do(t, s.NewEpoch(t.Context()))
		v := version(t, s)
		if v.Epoch == old.Epoch || v.Revision != 3 {
			t.Errorf("the new version is %+v, the old one %+v", v, old)
		}
		after := pending(t, s)
		if !slices.Equal(revisions(after), []uint64{1, 3}) {
			t.Fatalf("pending are %v", revisions(after))
		}
		for i, evt := range after {
			if evt.EventID != before[i].EventID || evt.Epoch != v.Epoch || evt.TenantID != before[i].TenantID || evt.EventType != before[i].EventType {
				t.Errorf("event %+v was %+v", evt.Event, before[i].Event)
			}
		}
		if status := outboxStatus(t, s); status.Sent != 0 || status.Quarantined != 1 || status.Newest != 3 {
			t.Errorf("status %+v", status)
		}
		now, same := list(t, s, "ledger")
		if now.ETag == set.ETag || now.Set != 0 || now.Revision != 3 || !slices.Equal(names, same) {
			t.Errorf("the list is %v at %+v, was %v at %+v", same, now, names, set)
		}
		wantAfter(t, s, 0, 1, 2, 3)
		create(t, s, named("next"))
		wantPending(t, s, 1, 3, 4)
	})
}

// TestX20ANewEpochHasNoPathOfASecretTwice: neither one that was sent in the epoch before, though the revisions begin again and a
// backup does not know of it, nor that of a rotation that waits.
func TestX20ANewEpochHasNoPathOfASecretTwice(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		seen := map[string]bool{}
		for range 3 {
			for range 4 {
				do(t, s.RotateCredentials(t.Context(), id, "ledger"))
			}
			for _, evt := range pending(t, s) {
				var p tenant.CredentialsRotated
				if evt.EventType != tenant.EventCredentialsRotated {
					continue
				}
				do(t, json.Unmarshal(evt.Payload, &p))
				if seen[p.NewSecretPath] {
					t.Errorf("%s of revision %d was there before", p.NewSecretPath, evt.Revision)
				}
				seen[p.NewSecretPath] = true
				if evt.Revision%2 == 0 { // the others wait, and get the path of the new epoch
					do(t, s.MarkSent(t.Context(), refs(t, s, evt.Revision)...))
				}
			}
			do(t, s.NewEpoch(t.Context()))
		}
	})
}
