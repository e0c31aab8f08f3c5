package discovery_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// lose makes changes that the feed does not bring.
func (f *fixture) lose(t testing.TB, changes ...func() error) {
	t.Helper()
	f.feed.Silence(true)
	for _, change := range changes {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	f.feed.Silence(false)
}

// wantReconciles wants this many since Start, and how many of them came by changes.
func wantReconciles(t testing.TB, d *discovery.TenantDiscovery, all, byChanges uint64) {
	t.Helper()
	if n := d.Status().Counters; n.Reconciles != all || n.ReconcilesByChanges != byChanges || n.SnapshotsFailed > 0 {
		t.Errorf("counted %+v, want %d reconciles, %d of them by changes", n, all, byChanges)
	}
}

// TestM13WhatTheFeedLostComesAsChanges, without a list: who came, who went, and who was reconfigured.
func TestM13WhatTheFeedLostComesAsChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "beta", "gamma")
		d, ctx := f.start(t), t.Context()
		told := keep(d)
		f.lose(t,
			func() error { return f.manager.Add(ctx, service, "delta") },
			func() error { return f.manager.Suspend(ctx, "beta") },
			func() error { return f.manager.RotateCredentials(ctx, "acme", service) },
		)
		asked := f.manager.Requests()
		if err := d.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		settle()
		wantSet(t, d, "acme", "delta", "gamma")
		got := strings.Split(told.read(), ", ")
		slices.Sort(got)
		if want := []string{"+delta", "-beta", "~acme tenant.credentials.rotated"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		wantReconciles(t, d, 1, 1)
		if n := f.manager.Requests() - asked; n != 1 {
			t.Errorf("%d requests", n)
		}
		f.add(t, "later") // by the feed, which goes on where the changes end
		settle()
		wantTold(t, told, "+later")
		if n := d.Status().Counters; n.EventsOld != 0 || n.EventsApplied != 1 {
			t.Errorf("counted %+v", n)
		}
	})
}

// TestM13AfterANewEpochTheListIsReadAtOnce: the manager does not know what has changed since a version of the old one.
func TestM13AfterANewEpochTheListIsReadAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "beta")
		d, ctx := f.start(t), t.Context()
		backup := f.manager.Backup()
		f.lose(t, func() error { return f.manager.Add(ctx, service, "gone") })
		f.manager.Restore(backup)
		f.lose(t, func() error { return f.manager.Suspend(ctx, "beta") })
		asked, began := f.manager.Requests(), time.Now()
		if err := d.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if passed := time.Since(began); passed > 0 {
			t.Errorf("the list was read after %v", passed)
		}
		wantSet(t, d, "acme")
		wantReconciles(t, d, 1, 0)
		if n := f.manager.Requests() - asked; n != 2 {
			t.Errorf("%d requests, want the one for changes and the one for the list", n)
		}
		if err := d.Refresh(ctx); err != nil { // by the new epoch
			t.Fatal(err)
		}
		wantReconciles(t, d, 2, 1)
		f.log.want(t, 0, slog.LevelWarn, "as a whole")
	})
}

// TestAManagerWithoutChangesIsAskedOnce in each epoch, and its lists are read.
func TestAManagerWithoutChangesIsAskedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newListFixture(t, "acme")
		client := &countedChanges{Fetcher: f.manager.Fetcher()}
		f.cfg.TMClient = client
		d := f.start(t)
		for n, want := range []int{1, 1, 1, 2, 2} {
			if n == 3 {
				f.manager.NewEpoch()
				if err := d.Refresh(t.Context()); err != nil { // whose list says so
					t.Fatal(err)
				}
			}
			if err := d.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if client.asked != want {
				t.Errorf("after Refresh %d it was asked %d times for changes, want %d", n+1, client.asked, want)
			}
		}
		wantReconciles(t, d, 6, 0)
	})
}

// countedChanges counts the requests for changes.
type countedChanges struct {
	*tenanttest.Fetcher

	asked int
}

// FetchChanges asks the manager.
func (c *countedChanges) FetchChanges(ctx context.Context, req tenant.ChangesRequest) (tenant.Changes, error) {
	c.asked++
	return c.Fetcher.FetchChanges(ctx, req)
}
