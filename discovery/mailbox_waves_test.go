package discovery_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// told is what one watcher makes of what it is told.
type told struct {
	core   *discovery.Core
	mail   discovery.Mail
	active map[string]bool
}

// read takes at most n items. It returns what is wrong with them.
func (w *told) read(n int) error {
	for ; n > 0; n-- {
		changes, some := w.mail.Take()
		if !some {
			return nil
		}
		for _, change := range changes {
			if was := w.active[change.TenantID]; was == (change.Kind == tenant.Added) {
				return fmt.Errorf("%s is %s, and was active: %v", change.TenantID, change.Kind, was)
			}
			w.active[change.TenantID] = change.Kind == tenant.Added
		}
		for _, change := range changes { // an item has all the news of its tenant
			if id := change.TenantID; w.active[id] != w.core.IsActive(id) {
				return fmt.Errorf("%s is active: %v, and the watcher is told %v", id, w.core.IsActive(id), w.active[id])
			}
		}
	}
	return nil
}

// TestWavesAreToldToSlowWatchers: whatever lists and events come, and however slowly a watcher reads, what it is told of a tenant
// alternates, and is what is true when it is told.
func TestWavesAreToldToSlowWatchers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		core := discovery.NewCore(discovery.Config{
			ServiceName: "ledger", NotifyInitial: true, RemovalGuard: discovery.RemovalGuard{Fraction: 1},
		}, 1, 2)
		ids := []string{"a", "b", "c", "d", "e", "f"}
		list := func() {
			var rows []tenant.Summary
			for _, id := range ids {
				if rapid.Bool().Draw(t, id) {
					rows = append(rows, tenant.Summary{ID: id})
				}
			}
			core.Answer(now, core.Ask(now), rows, tenant.Snapshot{}, nil)
		}
		watchers := []*told{{core, core.Callbacks(), map[string]bool{}}}
		list()
		t.Repeat(map[string]func(*rapid.T){
			"list":  func(*rapid.T) { now = now.Add(time.Second); list() },
			"watch": func(*rapid.T) { watchers = append(watchers, &told{core, core.Watch(), map[string]bool{}}) },
			"event": func(t *rapid.T) {
				now = now.Add(time.Second)
				kind := rapid.SampledFrom([]tenant.EventType{tenant.EventServiceAssociated, tenant.EventServiceSuspended}).Draw(t, "event")
				id := rapid.SampledFrom(ids).Draw(t, "tenant")
				evt := tenant.Event{EventType: kind, TenantID: id, Payload: []byte(`{"service_name":"ledger"}`)}
				core.Apply(now, tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
			},
			"read": func(t *rapid.T) {
				w := rapid.SampledFrom(watchers).Draw(t, "watcher")
				if err := w.read(rapid.IntRange(1, 5).Draw(t, "items")); err != nil {
					t.Fatal(err)
				}
			},
		})
		for _, w := range watchers {
			if err := w.read(1000); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if w.active[id] != core.IsActive(id) {
					t.Errorf("%s is active: %v, and the watcher was told %v", id, core.IsActive(id), w.active[id])
				}
			}
		}
	})
}
