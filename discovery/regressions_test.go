package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// scripted is a TMClient with versions whose answers the test decides.
type scripted struct {
	mu       sync.Mutex
	ids      []string
	list     tenant.Snapshot
	during   func() // called once, while the next request is under way
	requests int
}

func (s *scripted) GetActiveTenantsByService(context.Context, string) ([]*tenant.Summary, error) {
	return nil, errors.New("it is asked by FetchSnapshot")
}

func (s *scripted) FetchSnapshot(_ context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	s.mu.Lock()
	during := s.during
	s.during, s.requests = nil, s.requests+1
	s.mu.Unlock()
	if during != nil {
		during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.Have.ETag != "" && req.Have.ETag == s.list.ETag {
		same := s.list
		same.NotModified = true
		return same, nil
	}
	for _, id := range s.ids {
		req.Each(tenant.Row{ID: []byte(id)})
	}
	return s.list, nil
}

func (s *scripted) set(revision uint64, etag string, during func(), ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = tenant.Snapshot{ETag: etag}
	if revision > 0 {
		s.list.Version = tenant.Version{Epoch: "E", Revision: revision}
	}
	s.during, s.ids = during, ids
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// at makes an event of the revision.
func at(evt tenant.Event, revision uint64) tenant.Event {
	evt.Epoch, evt.Revision = "E", revision
	return evt
}

// scriptedFixture starts a discovery of a manager that is at revision 10 and has acme.
func scriptedFixture(t testing.TB) (*fixture, *scripted, *discovery.TenantDiscovery) {
	t.Helper()
	f, s := newFixture(t), &scripted{}
	s.set(10, `"acme"`, nil, "acme")
	f.cfg.TMClient = s
	d := f.start(t)
	pass(2 * time.Second)
	return f, s, d
}

func (f *fixture) publish(t testing.TB, events ...tenant.Event) {
	t.Helper()
	for _, evt := range events {
		if err := f.feed.Publish(t.Context(), evt); err != nil {
			t.Fatal(err)
		}
	}
	settle()
}

// TestNotModifiedWhileTheSetChanges: beta comes and goes at the manager while it is asked, and only its coming has been
// heard of when the answer is that nothing has changed.
func TestNotModifiedWhileTheSetChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, s, d := scriptedFixture(t)
		heard := make(chan struct{})
		s.set(12, `"acme"`, func() { <-heard }, "acme")
		refreshed := make(chan error)
		go func() { refreshed <- d.Refresh(t.Context()) }()
		settle()
		f.publish(t, at(event(tenant.EventServiceAssociated, "beta"), 11))
		wantSet(t, d, "acme", "beta")
		close(heard)
		if err := <-refreshed; err != nil {
			t.Fatal(err)
		}
		f.publish(t, at(event(tenant.EventServiceDisassociated, "beta"), 12))
		pass(3 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme")
	})
}

// TestReconfiguredBehindTheSnapshot: the list does not show that credentials were rotated, so it cannot have covered it.
func TestReconfiguredBehindTheSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, s, d := scriptedFixture(t)
		told := keep(d)
		s.set(11, "", nil, "acme")
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		rotated := at(event(tenant.EventCredentialsRotated, "acme"), 11)
		rotated.EventID = "e-11"
		f.publish(t, rotated, rotated)
		wantTold(t, told, "~acme tenant.credentials.rotated")
		wantState(t, d, discovery.Live)
	})
}

// TestForgedRevision: whoever may publish can name a revision that the manager will reach in a thousand years. It must
// not outlive a few lists, nor cause a storm of them.
func TestForgedRevision(t *testing.T) {
	for name, forged := range map[string][]tenant.Event{
		"of tenants": {
			at(event(tenant.EventServiceDisassociated, "acme"), 1<<60), at(event(tenant.EventServiceAssociated, "ghost"), 1<<60),
		},
		"of nothing": {at(event(tenant.EventUpdated, "acme"), 99)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, s, d := scriptedFixture(t)
				before := s.count()
				f.publish(t, forged...)
				pass(10 * time.Minute)
				wantState(t, d, discovery.Live)
				wantSet(t, d, "acme")
				if n := s.count() - before; n > 12 {
					t.Errorf("%d requests in ten minutes", n)
				}
				f.log.want(t, 1, slog.LevelWarn, "are not believed")
				f.publish(t, at(event(tenant.EventServiceAssociated, "beta"), 11))
				wantSet(t, d, "acme", "beta")
				wantState(t, d, discovery.Live)
			})
		})
	}
}

// TestForgedNextRevision: the prefix itself is one ahead of the manager. It is believed again after ResyncInterval.
func TestForgedNextRevision(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, s, d := scriptedFixture(t)
		before := s.count()
		f.publish(t, at(event(tenant.EventServiceAssociated, "ghost"), 11))
		f.feed.Gap(nil)
		pass(12 * time.Minute)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme")
		if n := s.count() - before; n > 40 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestCallbackThatEndsItsGoroutineLosesNothing: neither the other functions nor the second half of a Removed and Added.
func TestCallbackThatEndsItsGoroutineLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		block := make(chan struct{})
		d.OnTenantAdded(func(_ context.Context, id string) {
			if id == "first" {
				<-block
			}
		})
		d.OnTenantRemoved(func(context.Context, string) { runtime.Goexit() })
		told := keep(d)
		f.add(t, "first")
		settle()
		f.suspend(t, "acme")
		if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		settle()
		close(block)
		settle()
		wantTold(t, told, "+first, -acme, +acme")
		f.log.want(t, 1, slog.LevelError, "ended its goroutine")
	})
}

// TestGapWhileRemovalsAreHeld does not wait for the guard's delay.
func TestGapWhileRemovalsAreHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, s, d := scriptedFixture(t)
		many := make([]string, 100)
		for i := range many {
			many[i] = fmt.Sprint("t", i)
		}
		s.set(0, "", nil, many...)
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		heard := make(chan struct{})
		s.set(0, "", func() { <-heard })
		refreshed := make(chan error)
		go func() { refreshed <- d.Refresh(t.Context()) }()
		settle()
		f.feed.Gap(nil)
		settle()
		close(heard)
		if err := <-refreshed; err != nil {
			t.Fatal(err)
		}
		s.set(0, "", nil, slices.Concat(many, []string{"missed"})...)
		pass(2 * time.Second)
		if !d.IsActive("missed") || d.Len() < 100 {
			t.Errorf("%d tenants", d.Len())
		}
	})
}

func TestFeedIsNotConnectedAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if d.Status().FeedConnected {
			t.Error("connected after Close")
		}
		failed := f.new(t)
		f.manager.FailList(1, 500, "")
		if err := failed.Start(t.Context()); err == nil || failed.Status().FeedConnected {
			t.Errorf("connected after a failed Start: %v", err)
		}
	})
}
