package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var nobody = context.Background()

// drained waits until all that the feed has delivered is applied.
func drained(d *discovery.TenantDiscovery) {
	for {
		before := applied(d)
		time.Sleep(200 * time.Microsecond) //nolint:forbidigo // a bench has real time
		if applied(d) == before {
			return
		}
	}
}

func applied(d *discovery.TenantDiscovery) uint64 {
	c := d.Status().Counters
	return c.EventsApplied + c.EventsOld + c.EventsBad
}

// awaitApplied waits until so many events were applied.
func awaitApplied(d *discovery.TenantDiscovery, n uint64) {
	for applied(d) < n && d.Status().Counters.EventsDropped == 0 {
		time.Sleep(100 * time.Microsecond) //nolint:forbidigo // it leaves the processor to those who apply
	}
	if c := d.Status().Counters; c.EventsApplied != n {
		panic(fmt.Sprintf("%d events were applied, want %d: %+v", c.EventsApplied, n, c))
	}
}

// eventRow: from the bytes to the set.
func eventRow(size int, times float64, told bool) row {
	const n, tenants = 20_000, 10_000
	name := fmt.Sprintf("an event of %d B from bytes to the set", size)
	if told {
		name += ", with a callback"
	}
	return row{
		name: name,
		prepare: func() ([]contender, func()) {
			messages := eventsOf(tenants, n, size)
			var calls atomic.Int64
			return []contender{
				{"hand", func() figures { return receivedByHand(tenants, messages, told, &calls) }},
				{"ours", func() figures { return receivedByOurs(tenants, messages, told, &calls) }},
				{"floor", once(n, func() any {
					for _, data := range messages {
						if !json.Valid(data) {
							panic("not valid")
						}
					}
					return nil
				})},
			}, func() {}
		},
		goals: []goal{faster(times), allocates(5)},
	}
}

func receivedByHand(tenants int, messages [][]byte, told bool, calls *atomic.Int64) figures {
	hand := &byHand{active: make(map[string]struct{})}
	for _, id := range idsOf(tenants) {
		hand.active[id] = struct{}{}
	}
	if told {
		hand.changed = func(string) { calls.Add(1) }
	}
	return once(len(messages), func() any {
		for _, data := range messages {
			must(hand.receive(data, service))
		}
		return hand
	})()
}

func receivedByOurs(tenants int, messages [][]byte, told bool, calls *atomic.Int64) figures {
	d, f := withSet(tenants)
	if told {
		d.OnTenantAdded(func(context.Context, string) { calls.Add(1) })
	}
	deliver := <-f.sink
	measured := once(len(messages), func() any {
		for _, data := range messages {
			evt, err := tenant.ParseEvent(data)
			must(err)
			deliver(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
		}
		awaitApplied(d, uint64(len(messages)))
		return d
	})()
	must(d.Close())
	return measured
}

// floodRow: events that are parsed already, as quickly as the feed can hand them over.
func floodRow(tenants int) row {
	const n = 50_000
	return row{
		name: "50k events by a feed in memory into a set of " + sizeName(tenants),
		prepare: func() ([]contender, func()) {
			events := make([]tenant.Event, n)
			for i, data := range eventsOf(tenants, n, 240) {
				evt, err := tenant.ParseEvent(data)
				must(err)
				events[i] = evt
			}
			return []contender{
				{"ours", func() figures {
					d, f := withSet(tenants)
					deliver := <-f.sink
					measured := once(n, func() any {
						for _, evt := range events {
							deliver(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
						}
						awaitApplied(d, n)
						return d
					})()
					must(d.Close())
					return measured
				}},
			}, func() {}
		},
		goals: []goal{{of: timeOf, what: "nanoseconds", ours: "ours", most: 2500, flat: true}},
	}
}
