package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// onManagers runs a test with several managers on one database, or with the only one that a SQLite file may have, as often.
func onManagers(t *testing.T, n int, fn func(t *testing.T, managers []*Store)) {
	t.Helper()
	onEach(t, func(t *testing.T, db database) {
		managers := []*Store{db.open(t)}
		for len(managers) < n {
			if !onPostgres(t) {
				managers = append(managers, managers[0])
			} else {
				managers = append(managers, db.open(t))
			}
		}
		fn(t, managers)
	})
}

// TestM01OneOfManyWritersWins has many suspend, or reactivate, one tenant at the same time.
func TestM01OneOfManyWritersWins(t *testing.T) {
	onManagers(t, 3, func(t *testing.T, managers []*Store) {
		id := create(t, managers[0], acme()).ID
		const rounds, writers = 6, 6
		for round := range rounds {
			code, change := "ALREADY_SUSPENDED", (*Store).SuspendTenant
			if round%2 == 1 {
				code, change = "NOT_SUSPENDED", (*Store).ReactivateTenant
			}
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() {
					err := change(managers[i%len(managers)], t.Context(), id)
					if err == nil {
						won.Add(1)
						return
					}
					wantConflict(t, err, code)
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("round %d: %d writers won", round, won.Load())
			}
		}
		if v := version(t, managers[0]); v.Revision != 1+rounds {
			t.Errorf("the revision is %d after %d changes", v.Revision, 1+rounds)
		}
	})
}

// operation is one call on a tenant, with when it began and ended by a clock that all share.
type operation struct {
	suspend, made bool
	began, ended  int64
}

// TestM01TheHistoryOfATenantIsLinearizable: the answers are those that one writer after the other would have got, in an
// order that no two calls of which one ended before the other began contradict.
func TestM01TheHistoryOfATenantIsLinearizable(t *testing.T) {
	onManagers(t, 3, func(t *testing.T, managers []*Store) {
		for round := range 4 {
			n := acme()
			n.Name = fmt.Sprint("round ", round)
			id := create(t, managers[0], n).ID
			history := recordHistory(t, managers, id)
			if !linearizable(history) {
				t.Errorf("no order of these explains their answers: %+v", history)
			}
		}
	})
}

// recordHistory lets five writers make five calls each.
func recordHistory(t *testing.T, managers []*Store, id string) []operation {
	t.Helper()
	const writers, calls = 5, 5
	var clock atomic.Int64
	var mu sync.Mutex
	var history []operation
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range calls {
				op := operation{suspend: rand.IntN(2) == 0, began: clock.Add(1)} //nolint:gosec // no secret
				change := (*Store).ReactivateTenant
				if op.suspend {
					change = (*Store).SuspendTenant
				}
				err := change(managers[i%len(managers)], t.Context(), id)
				op.made, op.ended = err == nil, clock.Add(1)
				if _, refused := errors.AsType[*Conflict](err); err != nil && !refused {
					t.Error(err)
				}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

// linearizable tries all orders, and remembers which sets of calls, with which state after them, led nowhere.
func linearizable(history []operation) bool {
	type point struct {
		done      uint64
		suspended bool
	}
	nowhere := map[point]bool{}
	var search func(point) bool
	search = func(at point) bool {
		if at.done == 1<<len(history)-1 {
			return true
		}
		if nowhere[at] {
			return false
		}
		nowhere[at] = true // until it is known better, and then nobody asks again
		horizon := int64(1 << 62)
		for i, op := range history {
			if at.done&(1<<i) == 0 {
				horizon = min(horizon, op.ended)
			}
		}
		for i, op := range history {
			if at.done&(1<<i) != 0 || op.began > horizon || op.made != (op.suspend != at.suspended) {
				continue
			}
			next := point{done: at.done | 1<<i, suspended: at.suspended}
			if op.made {
				next.suspended = op.suspend
			}
			if search(next) {
				return true
			}
		}
		return false
	}
	return search(point{})
}

func TestTheSearchForAnOrderCanFail(t *testing.T) {
	for name, tt := range map[string]struct {
		history []operation
		want    bool
	}{
		"one after the other": {[]operation{{true, true, 1, 2}, {true, false, 3, 4}, {false, true, 5, 6}}, true},
		"both won":            {[]operation{{true, true, 1, 3}, {true, true, 2, 4}}, false},
		"the later one won":   {[]operation{{true, false, 1, 2}, {true, true, 3, 4}}, false},
		"at the same time":    {[]operation{{true, false, 1, 4}, {true, true, 2, 3}}, true},
	} {
		if got := linearizable(tt.history); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestM04RevisionsAreInTheOrderOfCommits has many writers, some of whom give up at the very end, and a reader who must
// never see a revision before the one below it.
func TestM04RevisionsAreInTheOrderOfCommits(t *testing.T) {
	onManagers(t, 3, func(t *testing.T, managers []*Store) {
		const writers, changes = 8, 12
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				s := managers[i%len(managers)]
				for j := range changes {
					if j%3 == 2 {
						giveUp(t, s, fmt.Sprint("rolled back ", i, " ", j))
						continue
					}
					create(t, s, named(fmt.Sprint("tenant ", i, " ", j)))
					made.Add(1)
				}
			})
		}
		ended := make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() { watchForHoles(t, managers[len(managers)-1], ended) })
		wg.Wait()
		close(ended)
		reader.Wait()
		got := revisions(pending(t, managers[0]))
		if len(got) != int(made.Load()) || !isDense(got) {
			t.Errorf("%d changes were made, and the revisions are %v", made.Load(), got)
		}
		if v := version(t, managers[0]); fmt.Sprint(v.Revision) != fmt.Sprint(made.Load()) {
			t.Errorf("the newest revision is %d after %d changes", v.Revision, made.Load())
		}
		page, err := managers[0].Tenants(t.Context(), TenantFilter{Search: "rolled back"})
		if err != nil || len(page.Tenants) != 0 {
			t.Errorf("%d tenants are there that were rolled back, %v", len(page.Tenants), err)
		}
	})
}

// giveUp makes a tenant, takes its revision, and does not commit.
func giveUp(t *testing.T, s *Store, name string) {
	t.Helper()
	regret := errors.New("regret")
	err := s.change(t.Context(), "give up", func(ctx context.Context, c *change) error {
		n, err := named(name).Check(s.environment)
		if err != nil {
			return err
		}
		if _, err := c.create(n); err != nil {
			return err
		}
		return regret
	})
	if !errors.Is(err, regret) {
		t.Errorf("give up: %v", err)
	}
}

func watchForHoles(t *testing.T, s *Store, ended <-chan struct{}) {
	t.Helper()
	seen := 0
	for {
		select {
		case <-ended:
			return
		default:
		}
		got := revisions(pending(t, s))
		if !isDense(got) || len(got) < seen {
			t.Errorf("a reader who had seen %d revisions saw %v", seen, got)
			return
		}
		seen = len(got)
	}
}

func isDense(revisions []uint64) bool {
	for i, revision := range revisions {
		if revision != uint64(i)+1 {
			return false
		}
	}
	return true
}

// TestEnvironmentsShareADatabase and nothing else.
func TestEnvironmentsShareADatabase(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		staging := db.open(t)
		create(t, staging, acme())
		id := pending(t, staging)[0].TenantID
		associate(t, staging, id, "ledger")
		_, secret, err := staging.CreateKey(t.Context(), "ledger", "")
		do(t, err)
		if !onPostgres(t) {
			do(t, staging.Close())
		}
		production := db.openAs(t, "production")
		if v := version(t, production); v.Revision != 0 {
			t.Errorf("production begins at %v", v)
		}
		if _, err := production.Tenant(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("a tenant of staging: %v", err)
		}
		if _, err := production.CheckKey(t.Context(), secret); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key of staging: %v", err)
		}
		if _, names := list(t, production, "ledger"); len(names) != 0 {
			t.Errorf("the list of staging: %v", names)
		}
		create(t, production, acme()) // the slug is free here
		wantEvents(t, production, "1 tenant.created")
		if page, err := production.Tenants(t.Context(), TenantFilter{}); err != nil || len(page.Tenants) != 1 || page.Tenants[0].Environment != "production" {
			t.Errorf("tenants: %+v, %v", page, err)
		}
	})
}
