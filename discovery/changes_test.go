package discovery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		early := collect(t.Context(), d)
		settle()
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		early.want(t, "added acme bootstrap")
		f.add(t, "beta")
		settle()
		late := collect(t.Context(), d)
		settle()
		early.want(t, "added beta event")
		late.wantAnyOrder(t, "added acme bootstrap", "added beta event")
		f.suspend(t, "acme")
		settle()
		early.want(t, "removed acme event")
		late.want(t, "removed acme event")
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		<-early.ended
		<-late.ended
		<-collect(t.Context(), d).ended
	})
}

func TestChangesEndWithTheirCtx(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "a", "b", "c")
		d := f.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen := 0
		for range d.Changes(ctx) {
			seen++
			cancel()
		}
		if seen != 1 {
			t.Errorf("%d changes after the ctx had ended", seen-1)
		}
		for range d.Changes(t.Context()) {
			break
		}
	})
}

// TestSlowWatcherGetsTheNetChange: while it does not read, tenants come and go.
func TestSlowWatcherGetsTheNetChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "stays", "leaves", "returns")
		d := f.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var told []string
		for change := range d.Changes(ctx) {
			told = append(told, string(change.Kind)+" "+change.TenantID)
			switch len(told) {
			case 3: // all are told of
				f.suspend(t, "leaves")
				f.suspend(t, "returns")
				if err := f.manager.Reactivate(t.Context(), "returns"); err != nil {
					t.Fatal(err)
				}
				f.add(t, "new", "short")
				f.suspend(t, "short")
				settle()
			case 7:
				cancel()
			}
		}
		if want := []string{"removed leaves", "removed returns", "added returns", "added new"}; !slices.Equal(told[3:], want) {
			t.Errorf("told %v, want %v", told[3:], want)
		}
	})
}

// collected is what a loop over Changes was told.
type collected struct {
	diary

	ended chan struct{}
}

func collect(ctx context.Context, d *discovery.TenantDiscovery) *collected {
	c := &collected{ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		for change := range d.Changes(ctx) {
			c.notef("%s %s %s", change.Kind, change.TenantID, change.Cause)
		}
	}()
	return c
}

func (c *collected) want(t testing.TB, want string) {
	t.Helper()
	wantTold(t, &c.diary, want)
}

func (c *collected) wantAnyOrder(t testing.TB, want ...string) {
	t.Helper()
	got := strings.Split(c.read(), ", ")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestExplain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		explained := func(id string) string {
			var words []string
			for _, c := range d.Explain(id) {
				words = append(words, fmt.Sprintf("%s %s %s %s", c.Kind, c.TenantID, c.Cause, c.EventType))
			}
			return strings.Join(words, "; ")
		}
		if got := explained("acme"); got != "added acme bootstrap " {
			t.Errorf("bootstrapped: %q", got)
		}
		f.suspend(t, "acme")
		settle()
		if got := explained("acme"); got != "added acme bootstrap ; removed acme event tenant.suspended" {
			t.Errorf("suspended: %q", got)
		}
		f.feed.Silence(true)
		f.add(t, "beta")
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := explained("beta"); got != "added beta reconcile " {
			t.Errorf("found by reconcile: %q", got)
		}
		if got := explained("stranger"); got != "" {
			t.Errorf("never heard of: %q", got)
		}
		for range 50 {
			for _, evt := range []tenant.EventType{tenant.EventServiceAssociated, tenant.EventDeleted} {
				if err := d.HandleEvent(t.Context(), event(evt, "flapping")); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := d.Explain("flapping"); len(got) != 8 || got[7].Kind != tenant.Removed {
			t.Errorf("flapping: %v", got)
		}
	})
}

// TestChangesEndBetweenTwoOfOneTenant: off and on are one item of the mailbox, and Close may come between the two.
func TestChangesEndBetweenTwoOfOneTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		held := make(chan struct{})
		var told []tenant.Kind
		var watching sync.WaitGroup
		watching.Go(func() {
			for change := range d.Changes(t.Context()) {
				told = append(told, change.Kind)
				if len(told) <= 2 {
					<-held
				}
			}
		})
		settle()
		f.suspend(t, "acme")
		if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		settle()
		held <- struct{}{} // it goes on to the first of the two
		settle()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		close(held)
		watching.Wait()
		if want := []tenant.Kind{tenant.Added, tenant.Removed}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}
