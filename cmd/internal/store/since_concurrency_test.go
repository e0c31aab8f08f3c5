package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestM13ChangesFitWhileOthersChange: a reader follows a list by changes alone, while tenants come and go, events are deleted, and the count is
// forgotten, counted and kept by those who read the list. Whatever it is told leads to the count that it is told.
func TestM13ChangesFitWhileOthersChange(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.openSpelled(t)
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		ids, at := listed(t, s, "ledger")
		var work sync.WaitGroup
		for n := range uint64(2) {
			w := wild{t: t, s: s, random: rand.New(rand.NewPCG(seed, n)), services: []string{"ledger", "payments"}, name: fmt.Sprint("of ", n, " ")} //nolint:gosec // a test's
			work.Go(func() {
				for range 150 {
					w.step()
				}
			})
		}
		changed := make(chan struct{})
		go func() { work.Wait(); close(changed) }()
		disturbed := make(chan struct{})
		go func() { defer close(disturbed); disturb(t, s, changed) }()
		defer func() { <-disturbed }() // which ends after the changes
		for over, taken := false, 0; !over; {
			select {
			case <-changed:
				over = taken > 0 // once more after the last change
			default:
			}
			got, err := s.Changes(t.Context(), "ledger", at, everything)
			switch {
			case errors.Is(err, ErrGone): // as a reader does
				ids, at = listed(t, s, "ledger")
				continue
			case err != nil:
				t.Fatal(err)
			case !got.Counted:
				do(t, s.CountActive(t.Context(), "ledger"))
				continue
			}
			taken++
			follow(t, ids, "ledger", got.Events)
			if at = got.Version; countOf(ids) != got.Count {
				t.Fatalf("at %s the reader has %+v, and is told of %+v", at, countOf(ids), got.Count)
			}
		}
	})
}

// disturb does until the end what makes counts unknown, and known again, and deletes events.
func disturb(t *testing.T, s *Store, end <-chan struct{}) {
	t.Helper()
	for n := 0; ; n++ {
		select {
		case <-end:
			return
		default:
		}
		if n%2 == 0 {
			run(t, s, `UPDATE active_sets SET counted_at = -1`)
		}
		if err := s.Active(t.Context(), "ledger", func(ActiveVersion) error { return nil }, func(tenant.Summary) error { return nil }); err != nil {
			t.Error(err)
		}
		events, err := s.Pending(t.Context(), 3)
		for _, evt := range events {
			err = errors.Join(err, s.MarkSent(t.Context(), evt.Ref()))
		}
		if _, pruning := s.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil || pruning != nil {
			t.Error(err, pruning)
		}
	}
}
