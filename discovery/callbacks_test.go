package discovery_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestCallbacksFireOnRealChangesOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		told := keep(d)
		d.OnTenantAdded(nil)
		d.OnTenantRemoved(nil)
		d.OnTenantReconfigured(nil)
		d.OnStatusChange(nil)
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		wantTold(t, told, "")
		for _, evt := range []tenant.Event{
			event(tenant.EventServiceAssociated, "acme"), // is there
			event(tenant.EventDeleted, "stranger"),       // is not
			event(tenant.EventCredentialsRotated, "stranger"),
			event(tenant.EventServiceAssociated, "beta"),
			event(tenant.EventConnectionsUpdated, "beta"),
			event(tenant.EventServicePurged, "acme"),
		} {
			if err := d.HandleEvent(t.Context(), evt); err != nil {
				t.Error(err)
			}
		}
		wantTold(t, told, "+beta, ~beta tenant.connections.updated, -acme")
	})
}

func TestNotifyInitial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "beta")
		f.cfg.NotifyInitial = true
		d := f.new(t)
		told := keep(d)
		reached, release := f.manager.HoldList()
		started := make(chan error)
		go func() { started <- d.Start(t.Context()) }()
		<-reached
		f.add(t, "merged")
		settle()
		wantTold(t, told, "")
		wantSet(t, d)
		release()
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		settle()
		wantTold(t, told, "+acme, +beta, +merged")
	})
}

func TestWhatWasMergedCountsAsBootstrapped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		told := keep(d)
		reached, release := f.manager.HoldList()
		started := make(chan error)
		go func() { started <- d.Start(t.Context()) }()
		<-reached
		f.add(t, "merged")
		f.suspend(t, "acme")
		settle()
		release()
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		settle()
		wantSet(t, d, "merged")
		wantTold(t, told, "")
		if got := d.Explain("merged"); len(got) != 1 || got[0].Cause != tenant.CauseBootstrap {
			t.Errorf("explained by %v", got)
		}
	})
}

func TestHandleEventWaitsForItsCallbacks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newFixture(t).start(t)
		var ran atomic.Bool
		d.OnTenantAdded(func(ctx context.Context, id string) {
			<-time.After(10 * time.Second) // of the bubble
			ran.Store(true)
			if err := d.HandleEvent(ctx, event(tenant.EventServiceAssociated, "inner")); err != nil && id == "outer" {
				t.Errorf("from inside a callback: %v", err)
			}
		})
		if err := d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "outer")); err != nil || !ran.Load() {
			t.Errorf("returned %v, callback ran: %v", err, ran.Load())
		}
		pass(20 * time.Second)
		wantSet(t, d, "inner", "outer")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := d.HandleEvent(ctx, event(tenant.EventServiceAssociated, "third"))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "applied, callbacks pending") {
			t.Errorf("ctx ended: %v", err)
		}
		if !d.IsActive("third") {
			t.Error("the event was not applied")
		}
		pass(10 * time.Second)
	})
}

func TestHandleEventEndsWhenItsChangeIsFolded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newFixture(t).start(t)
		release := make(chan struct{})
		d.OnTenantAdded(func(context.Context, string) { <-release })
		go func() { _ = d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "blocker")) }()
		settle()
		done := make(chan error, 1)
		go func() { done <- d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "short")) }()
		settle()
		if err := d.HandleEvent(t.Context(), event(tenant.EventDeleted, "short")); err != nil {
			t.Errorf("the folding event: %v", err)
		}
		settle()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("the folded event waits on")
		}
		close(release)
	})
}

func TestHandleEventSaysWhatIsWrong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		evt := tenant.Event{EventID: "e-1", EventType: tenant.EventServiceSuspended, TenantID: "acme"}
		err := d.HandleEvent(t.Context(), evt)
		if bad := (*tenant.EventError)(nil); !errors.As(err, &bad) || bad.EventID != "e-1" || bad.EventType != evt.EventType {
			t.Errorf("got %v", err)
		}
		wantState(t, d, discovery.Syncing)
		pass(time.Second)
		wantState(t, d, discovery.Live)
		if f.manager.Requests() != 2 {
			t.Errorf("%d requests, want the bootstrap and a second", f.manager.Requests())
		}
	})
}
