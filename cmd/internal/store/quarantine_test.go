package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

func TestM06WhatWasGivenUpIsShownAndTriedAgain(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 4)
		for _, revision := range []uint64{2, 3} {
			_, err := s.MarkFailed(t.Context(), ref(t, s, revision), "refused")
			do(t, err)
			do(t, s.Quarantine(t.Context(), ref(t, s, revision), "refused for good"))
		}
		got := wantQuarantined(t, s, 0, 2, 3)
		if q := got[0]; q.TenantID == "" || q.EventType != "tenant.created" || q.Failure != "refused for good" || q.Attempts != 1 ||
			time.Since(q.Since) > time.Hour || time.Since(q.At) > time.Hour || !strings.Contains(string(q.Data), q.TenantID) {
			t.Errorf("the first is %+v", q)
		}
		wantQuarantined(t, s, 2, 3)
		if one, err := s.Quarantined(t.Context(), 0, 1); err != nil || len(one) != 1 {
			t.Errorf("one: %v, %v", one, err)
		}
		do(t, s.Retry(t.Context(), 2, false))
		wantPending(t, s, 1, 2, 4)
		if evt := pending(t, s)[1]; evt.Attempts != 0 {
			t.Errorf("it has %d attempts behind it", evt.Attempts)
		}
		wantQuarantined(t, s, 0, 3)
		for _, revision := range []uint64{1, 2, 5, 1 << 63} {
			if err := s.Retry(t.Context(), revision, true); !errors.Is(err, ErrNotFound) {
				t.Errorf("%d, which was not given up: %v", revision, err)
			}
		}
	})
}

// TestM06OldNewsIsNotSentAfterNewer: revision 1 and 3 are of one tenant, 2 of another, which speaks of the first.
func TestM06OldNewsIsNotSentAfterNewer(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		first := create(t, s, named("first"))
		create(t, s, named("second"))
		do(t, s.db.Write(t.Context(), "speak of the first", func(ctx context.Context, x sqldb.Tx) error {
			_, err := x.Exec(ctx, `UPDATE outbox SET data = ?1 WHERE revision = 2`,
				[]byte(`{"event_type":"tenant.created","tenant_id":"second","payload":{"tenant_id":"`+first.ID+`"}}`))
			return err
		}))
		do(t, s.SuspendTenant(t.Context(), first.ID))
		do(t, s.Quarantine(t.Context(), ref(t, s, 1), "refused"))
		do(t, s.MarkSent(t.Context(), refs(t, s, 2)...))
		do(t, s.Retry(t.Context(), 1, false))
		do(t, s.Quarantine(t.Context(), ref(t, s, 1), "refused again"))
		do(t, s.MarkSent(t.Context(), refs(t, s, 3)...))
		wantConflict(t, s.Retry(t.Context(), 1, false), "EVENT_OVERTAKEN")
		wantPending(t, s)
		do(t, s.Retry(t.Context(), 1, true))
		wantPending(t, s, 1)
		do(t, s.Quarantine(t.Context(), ref(t, s, 1), "and again"))
		pruned, err := s.Prune(t.Context(), time.Now().Add(time.Hour))
		if err != nil || pruned != 2 {
			t.Fatalf("pruned %d, %v", pruned, err)
		}
		wantConflict(t, s.Retry(t.Context(), 1, false), "EVENT_OVERTAKEN")
	})
}

func TestM06WhatIsNoEventIsShownToo(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		makeEvents(t, s, 1)
		const broken = `{"event_id":"x","payload":{`
		do(t, s.db.Write(t.Context(), "break a row", func(ctx context.Context, x sqldb.Tx) error {
			_, err := x.Exec(ctx, `UPDATE outbox SET data = ?1`, []byte(broken))
			return err
		}))
		do(t, s.Quarantine(t.Context(), ref(t, s, 1), "no event"))
		if got := wantQuarantined(t, s, 0, 1); string(got[0].Data) != broken {
			t.Errorf("got %s", got[0].Data)
		}
		do(t, s.Retry(t.Context(), 1, false))
		wantPending(t, s, 1)
	})
}

func wantQuarantined(t *testing.T, s *Store, after uint64, want ...uint64) []Quarantined {
	t.Helper()
	all, err := s.Quarantined(t.Context(), after, 100)
	var got []uint64
	for _, q := range all {
		got = append(got, q.Revision)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("after %d there are %v, %v, want %v", after, got, err, want)
	}
	return all
}
