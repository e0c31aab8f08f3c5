package discovery_test

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestD32WhatCountsAsHeard: what the feed brings and belongs to the data of the list. What came while nothing was heard may
// have been missed: after too long a silence Live is not said before a list was taken that was asked for after it.
func TestD32WhatCountsAsHeard(t *testing.T) {
	of := func(epoch, environment string) tenant.Event {
		evt := event(tenant.EventUpdated, "acme")
		evt.Epoch, evt.Revision, evt.Environment = epoch, 1, environment
		return evt
	}
	published := func(epoch, environment string) func(*fixture, *discovery.TenantDiscovery) error {
		return func(f *fixture, _ *discovery.TenantDiscovery) error {
			return f.feed.Publish(context.Background(), of(cmp.Or(epoch, f.manager.Version().Epoch), environment))
		}
	}
	for _, tc := range []struct {
		name string
		tell func(f *fixture, d *discovery.TenantDiscovery) error
		want discovery.State
	}{
		{"a heartbeat of another manager", func(f *fixture, _ *discovery.TenantDiscovery) error {
			f.feed.Heartbeat(tenant.Version{Epoch: "other", Revision: 9})
			return nil
		}, discovery.Polling},
		{"a heartbeat without versions", func(f *fixture, _ *discovery.TenantDiscovery) error {
			f.feed.Heartbeat(tenant.Version{})
			return nil
		}, discovery.Polling},
		{"an event of another manager", published("other", ""), discovery.Polling},
		{"an event of another environment", published("", "other"), discovery.Polling},
		{"something that is not an event", func(f *fixture, _ *discovery.TenantDiscovery) error { f.feed.PublishRaw([]byte("{")); return nil }, discovery.Polling},
		{"an event without versions", func(f *fixture, _ *discovery.TenantDiscovery) error {
			return f.feed.Publish(context.Background(), of("", ""))
		}, discovery.Polling},
		{"an event that a user hands in", func(f *fixture, d *discovery.TenantDiscovery) error {
			return d.HandleEvent(context.Background(), of(f.manager.Version().Epoch, ""))
		}, discovery.Polling},
		{"an event of the manager", published("", "Test"), discovery.Live},
		{"a heartbeat", func(f *fixture, _ *discovery.TenantDiscovery) error {
			f.feed.Heartbeat(f.manager.Version())
			return nil
		}, discovery.Live},
	} {
		for _, after := range []time.Duration{0, 11*time.Second - time.Millisecond, 11 * time.Second, time.Minute} {
			t.Run(fmt.Sprintf("%s after %v", tc.name, after), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newFixture(t).beating(t, "acme")
					f.cfg.Environment, f.cfg.PollInterval = "test", 24*time.Hour
					d := f.start(t)
					pass(after)
					if after >= 11*time.Second {
						f.feed.Drop(1)
						f.suspend(t, "acme") // which nobody hears of
						f.feed.Drop(0)
					}
					if err := tc.tell(f, d); err != nil {
						t.Fatal(err)
					}
					for range 200 { // far longer than a list takes
						pass(100 * time.Millisecond)
						if d.Status().State == discovery.Live && d.IsActive("acme") != (after < 11*time.Second) {
							t.Fatal("live, and an event that came before is missing")
						}
					}
					wantState(t, d, tc.want)
				})
			})
		}
	}
}
