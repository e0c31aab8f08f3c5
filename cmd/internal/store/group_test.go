package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// company makes calls one transaction: one of them leads, and does not begin before all others wait.
type company struct {
	t     *testing.T
	store *Store
	calls sync.WaitGroup
	begun int
	open  chan struct{}
	held  chan struct{}
}

// gather has a change of its own hold the lead until the test goes on.
func gather(t *testing.T, s *Store) *company {
	t.Helper()
	c := &company{t: t, store: s, open: make(chan struct{}), held: make(chan struct{})}
	c.calls.Go(func() {
		err := s.change(context.Background(), "hold the lead", func(context.Context, *change) error {
			close(c.held)
			<-c.open
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-c.held
	return c
}

// call is in line when it returns.
func (c *company) call(fn func()) {
	c.t.Helper()
	c.begun++
	c.calls.Go(fn)
	eventually(c.t, "the call waits", func() bool {
		c.store.line.mu.Lock()
		defer c.store.line.mu.Unlock()
		return len(c.store.line.waiting) == c.begun
	})
}

// end lets all of them be made.
func (c *company) end() {
	close(c.open)
	c.calls.Wait()
}

// works is do for other goroutines than that of the test.
func works(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// breakSlugs has the database refuse tenants whose slugs begin with broken.
func breakSlugs(t *testing.T, s *Store) {
	t.Helper()
	if !onPostgres(t) {
		run(t, s, `CREATE TRIGGER refuse BEFORE INSERT ON tenants WHEN NEW.slug LIKE 'broken%' BEGIN SELECT RAISE(ABORT, 'it is broken'); END`)
		return
	}
	run(t, s, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $x$it is broken$x$; END'`)
	run(t, s, `CREATE TRIGGER refuse BEFORE INSERT ON tenants FOR EACH ROW WHEN (NEW.slug LIKE 'broken%') EXECUTE FUNCTION refuse()`)
}

func created(ctx context.Context, s *Store, name string) error {
	_, _, err := s.CreateTenant(ctx, named(name))
	return err
}

// TestChangesThatWaitShareATransaction, and one that is refused spoils it for none of them.
func TestChangesThatWaitShareATransaction(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		there := create(t, s, named("there"))
		c := gather(t, s)
		for i := range 3 {
			c.call(func() { works(t, created(t.Context(), s, fmt.Sprint("before ", i))) })
		}
		c.call(func() { wantConflict(t, s.ReactivateTenant(t.Context(), there.ID), "NOT_SUSPENDED") })
		taken := named("there")
		taken.Owner.Email = "another@acme.test"
		c.call(func() {
			_, _, err := s.CreateTenant(t.Context(), taken)
			wantConflict(t, err, "SLUG_TAKEN")
		})
		taken.Name = "Before 1"
		c.call(func() { // by one of the same transaction
			_, _, err := s.CreateTenant(t.Context(), taken)
			wantConflict(t, err, "SLUG_TAKEN")
		})
		c.call(func() {
			regret, times := errors.New("regret"), 0
			err := s.change(t.Context(), "give up", func(_ context.Context, c *change) error {
				times++
				n := named("regretted")
				n.Slug = n.Name
				_, err := c.create(n)
				return errors.Join(err, regret)
			})
			if !errors.Is(err, regret) || times != 1 {
				t.Errorf("a change that gives up at its end: %v, made %d times", err, times)
			}
		})
		c.call(func() { works(t, s.SuspendTenant(t.Context(), there.ID)) })
		c.call(func() { wantConflict(t, s.SuspendTenant(t.Context(), there.ID), "ALREADY_SUSPENDED") })
		c.call(func() { works(t, s.DeleteTenant(t.Context(), there.ID)) })
		c.call(func() { works(t, created(t.Context(), s, "there")) })
		c.call(func() {
			_, err := s.UpdateTenant(t.Context(), there.ID, TenantPatch{Metadata: map[string]string{}})
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("a tenant that was deleted: %v", err)
			}
		})
		c.end()
		var types []string
		for i, evt := range pending(t, s) {
			if evt.Revision != uint64(i+1) {
				t.Errorf("event %d has revision %d", i, evt.Revision)
			}
			types = append(types, string(evt.EventType))
		}
		want := "tenant.created tenant.created tenant.created tenant.created tenant.suspended tenant.deleted tenant.created" //nolint:dupword // that many were
		if got := strings.Join(types, " "); got != want {
			t.Errorf("the events are %s, want %s", got, want)
		}
	})
}

// TestWhatTheDatabaseRefusesIsTheErrorOfOne: the others of its transaction are made.
func TestWhatTheDatabaseRefusesIsTheErrorOfOne(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		breakSlugs(t, s)
		c := gather(t, s)
		for i := range 5 {
			name := fmt.Sprint("whole ", i)
			if i == 2 {
				name = "broken"
			}
			c.call(func() {
				err := created(t.Context(), s, name)
				if broken := err != nil && strings.Contains(err.Error(), "it is broken"); broken != (i == 2) || err != nil && !broken {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		c.call(func() {
			defer func() {
				if reason := recover(); reason != "on purpose" {
					t.Errorf("the panic of a change is %v where it was made", reason)
				}
			}()
			_ = s.change(t.Context(), "panic", func(context.Context, *change) error { panic("on purpose") })
		})
		c.end()
		if got := revisions(pending(t, s)); len(got) != 4 || !isDense(got) {
			t.Errorf("the revisions are %v", got)
		}
		do(t, created(t.Context(), s, "afterwards"))
	})
}

// TestACallThatEndsWhileItWaits is not made, and one whose transaction has begun is told what happened.
func TestACallThatEndsWhileItWaits(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		c := gather(t, s)
		gone, cancel := context.WithCancel(t.Context())
		late, end := context.WithCancel(t.Context())
		left := make(chan struct{})
		c.call(func() {
			if err := created(gone, s, "gone"); !errors.Is(err, context.Canceled) {
				t.Errorf("a call that ended: %v", err)
			}
			close(left)
		})
		cancel()
		<-left
		c.begun = 0
		c.call(func() { works(t, created(t.Context(), s, "first")) })
		c.call(func() {
			works(t, s.change(late, "end in the middle", func(_ context.Context, c *change) error {
				n := named("late")
				n.Slug = n.Name
				_, err := c.create(n)
				end()
				return err
			}))
		})
		c.call(func() { works(t, created(t.Context(), s, "last")) })
		c.end()
		page, err := s.Tenants(t.Context(), TenantFilter{})
		do(t, err)
		var names []string
		for _, one := range page.Tenants {
			names = append(names, one.Name)
		}
		if got := strings.Join(names, " "); got != "first late last" {
			t.Errorf("the tenants are %s", got)
		}
	})
}

// TestAGroupWhoseCommitIsLostIsNotMadeAgain: nobody knows whether it was made.
func TestAGroupWhoseCommitIsLostIsNotMadeAgain(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		if !onPostgres(t) {
			t.Skip("nothing is between this process and the file")
		}
		s := db.open(t)
		run(t, s, `CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'`)
		run(t, s, `CREATE CONSTRAINT TRIGGER hang_up AFTER INSERT ON tenants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
			WHEN (NEW.slug LIKE 'lost%') EXECUTE FUNCTION hang_up()`)
		c := gather(t, s)
		var calls sync.Map
		for i := range 4 {
			c.call(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := s.change(ctx, "create tenant", func(_ context.Context, c *change) error {
					if _, again := calls.LoadOrStore(i, true); again {
						t.Error("it was made again")
					}
					n := named(fmt.Sprint("lost ", i))
					n.Slug = fmt.Sprint("lost-", i)
					if i == 2 {
						cancel() // it does not know either
					}
					_, err := c.create(n)
					return err
				})
				if !errors.Is(err, ErrUnavailable) {
					t.Errorf("a commit that was lost: %v", err)
				}
			})
		}
		c.end()
		do(t, created(t.Context(), s, "afterwards"))
	})
}

// outcome is what a call was told.
type outcome struct {
	kind string // create, suspend, …
	slug string
	deed Deed
	err  error
}

// TestChangesAreThoseOfOneWriterAfterTheOther makes many at once that are refused, broken by the database and cancelled, and repeats
// in the order of revisions those that were made.
func TestChangesAreThoseOfOneWriterAfterTheOther(t *testing.T) {
	onManagers(t, 2, func(t *testing.T, managers []*Store) {
		breakSlugs(t, managers[0])
		const writers, calls = 24, 12
		outcomes := make([][]outcome, writers)
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(w), 1)) //nolint:gosec // no secret
				for range calls {
					outcomes[w] = append(outcomes[w], randomCall(t, managers[w%len(managers)], random))
				}
			})
		}
		all.Wait()
		checkAgainstModel(t, managers[0], slices.Concat(outcomes...))
	})
}

func randomCall(t *testing.T, s *Store, random *rand.Rand) outcome {
	t.Helper()
	o := outcome{slug: fmt.Sprint("tenant-", random.IntN(6))}
	ctx, cancel := context.WithCancel(WithDeed(t.Context(), &o.deed))
	defer cancel()
	switch random.IntN(8) {
	case 0:
		cancel()
	case 1:
		timer := time.AfterFunc(time.Duration(random.IntN(3000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	id := idOf(t, s, o.slug)
	switch k := random.IntN(10); {
	case k == 0:
		o.kind, o.err = "broken", created(ctx, s, fmt.Sprint("broken ", random.IntN(3)))
	case k < 4 || id == "":
		var made bool
		o.kind = "create"
		_, made, o.err = s.CreateTenant(ctx, named(o.slug))
		if o.err == nil && !made {
			o.kind = "find"
		}
	case k < 6:
		o.kind, o.err = "suspend", s.SuspendTenant(ctx, id)
	case k < 8:
		o.kind, o.err = "reactivate", s.ReactivateTenant(ctx, id)
	default:
		o.kind, o.err = "delete", s.DeleteTenant(ctx, id)
	}
	return o
}

func idOf(t *testing.T, s *Store, slug string) string {
	t.Helper()
	var id string
	err := s.db.Query(t.Context(), "look", func(ctx context.Context, q sqldb.Tx) error {
		return q.Each(ctx, func(row sqldb.Row) error { return row.Scan(&id) }, `SELECT id FROM tenants WHERE env = ?1 AND slug = ?2`, s.env, slug)
	})
	if err != nil {
		t.Error(err)
	}
	return id
}

// checkAgainstModel holds what was told against the events, in their order, and those against what one writer could have done.
func checkAgainstModel(t *testing.T, s *Store, outcomes []outcome) {
	t.Helper()
	events := pending(t, s)
	if got := revisions(events); !isDense(got) || version(t, s).Revision != uint64(len(got)) {
		t.Fatalf("the revisions are %v, and the newest is %v", got, version(t, s))
	}
	byRevision := map[string]outcome{}
	for _, o := range outcomes {
		checkError(t, o)
		if o.err == nil && o.kind != "find" {
			if _, twice := byRevision[o.deed.Result]; twice || o.deed.Result == "" {
				t.Errorf("%s was told %q", o.kind, o.deed.Result)
			}
			byRevision[o.deed.Result] = o
		}
	}
	if len(byRevision) != len(events) {
		t.Errorf("%d calls were told that they were made, and there are %d events", len(byRevision), len(events))
	}
	kinds := map[tenant.EventType]string{
		tenant.EventCreated: "create", tenant.EventSuspended: "suspend", tenant.EventActivated: "reactivate", tenant.EventDeleted: "delete",
	}
	state := map[string]string{} // of each slug: suspended, active
	for _, evt := range events {
		o := byRevision[fmt.Sprint("revision ", evt.Revision)]
		kind := kinds[evt.EventType]
		if o.kind != kind || o.slug != evt.TenantSlug {
			t.Errorf("revision %d is %s of %s, and the call was told so of %s of %s", evt.Revision, kind, evt.TenantSlug, o.kind, o.slug)
		}
		before := map[string]string{"create": "", "suspend": "active", "reactivate": "suspended", "delete": state[evt.TenantSlug]}[kind]
		if state[evt.TenantSlug] != before || kind == "delete" && before == "" {
			t.Errorf("revision %d: %s of a tenant that is %q", evt.Revision, kind, state[evt.TenantSlug])
		}
		state[evt.TenantSlug] = map[string]string{"create": "active", "suspend": "suspended", "reactivate": "active"}[kind]
	}
	checkAudit(t, s, byRevision)
}

func checkError(t *testing.T, o outcome) {
	t.Helper()
	_, conflict := errors.AsType[*Conflict](o.err)
	switch {
	case o.err == nil && o.kind != "broken", errors.Is(o.err, context.Canceled):
	case o.kind == "broken" && o.err != nil && strings.Contains(o.err.Error(), "it is broken"):
	case conflict && (o.kind == "suspend" || o.kind == "reactivate"):
	case errors.Is(o.err, ErrNotFound) && o.kind != "create" && o.kind != "broken":
	default:
		t.Errorf("%s: %v", o.kind, o.err)
	}
	if o.err != nil && o.deed.Result != "" {
		t.Errorf("%s was told %q and %v", o.kind, o.deed.Result, o.err)
	}
}

// checkAudit wants a row for each event, in the same order.
func checkAudit(t *testing.T, s *Store, byRevision map[string]outcome) {
	t.Helper()
	rows, err := s.Audit(t.Context(), 0, 1_000_000)
	do(t, err)
	if len(rows) != len(byRevision) {
		t.Errorf("the audit has %d rows for %d changes", len(rows), len(byRevision))
	}
	for i, row := range rows {
		if want := fmt.Sprint("revision ", i+1); row.Result != want {
			t.Errorf("row %d of the audit is %s of %s", i+1, row.Result, row.Target)
		}
	}
}
