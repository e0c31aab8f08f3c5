package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// charts are how cost grows, by the names of their files.
func charts(rounds int) map[string]chart {
	reads, first, kept := againstTenants(rounds)
	return map[string]chart{
		"growth-reads.svg":     reads,
		"growth-bootstrap.svg": first,
		"growth-memory.svg":    kept,
		"growth-events.svg":    againstEvents(rounds),
		"growth-watchers.svg":  againstWatchers(rounds),
	}
}

// drawGrowth writes the charts into the directory.
func drawGrowth(directory string, rounds int) error {
	for name, c := range charts(rounds) {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(c.svg()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// take runs all contenders of a row, and adds what came of each to its line.
func take(r row, rounds int, x float64, of func(figures) float64, into *[]line) {
	contenders, done := r.prepare()
	defer done()
	all := make([][]figures, len(contenders))
	for range rounds {
		for i, c := range contenders {
			all[i] = append(all[i], c.measure())
		}
	}
	for i, c := range contenders {
		if len(*into) == i {
			*into = append(*into, line{name: named[c.name]})
		}
		(*into)[i].points = append((*into)[i].points, point{x, max(of(median(all[i])), 0.001)})
	}
}

var named = map[string]string{"hand": "by hand", "ours": "tenantwatch", "floor": "the floor"}

func againstTenants(rounds int) (reads, first, kept chart) {
	const tenants = "tenants"
	reads = chart{title: "Is a tenant active?", across: tenants, up: "nanoseconds"}
	first = chart{title: "The first set, over HTTP", across: tenants, up: "milliseconds"}
	kept = chart{title: "What the set keeps", across: tenants, up: "KB of memory"}
	for n := 100; n <= million; n *= 10 {
		take(isActiveRow(n), rounds, float64(n), timeOf, &reads.lines)
		take(bootstrapRow(n), rounds, float64(n), func(f figures) float64 { return f.time / 1e6 }, &first.lines)
		take(bootstrapRow(n), rounds, float64(n), func(f figures) float64 { return f.kept / 1e3 }, &kept.lines)
	}
	kept.lines = kept.lines[:2] // the floor keeps nothing
	return reads, first, kept
}

// againstEvents: how long each takes when so many come at once.
func againstEvents(rounds int) chart {
	c := chart{title: "Events that come at once", across: "events", up: "microseconds for each"}
	for _, n := range []int{2, 10, 100, 1000, 10_000, 50_000} { // of more at once some are dropped, and a list takes their place
		messages := eventsOf(10_000, n, 240)
		r := row{prepare: func() ([]contender, func()) {
			return []contender{
				{"hand", func() figures { return receivedByHand(10_000, messages, false, nil) }},
				{"ours", func() figures { return receivedByOurs(10_000, messages, false, nil) }},
			}, func() {}
		}}
		take(r, rounds, float64(n), func(f figures) float64 { return f.time / 1e3 }, &c.lines)
	}
	return c
}

// againstWatchers: how long until the last of so many loops over Changes has been told of one change.
func againstWatchers(rounds int) chart {
	c := chart{title: "A change until the last watcher has it", across: "loops over Changes", up: "microseconds"}
	for n := 1; n <= 1000; n *= 10 {
		r := row{prepare: func() ([]contender, func()) { return toldToAll(n) }}
		take(r, rounds, float64(n), func(f figures) float64 { return f.time / 1e3 }, &c.lines)
	}
	return c
}

// initial is how many tenants each watcher is told of first.
const initial = 100

// toldToAll makes a tenant come and go, and waits each time until all watchers have been told.
func toldToAll(watchers int) ([]contender, func()) {
	d, f := withSet(initial)
	ctx, cancel := context.WithCancel(nobody)
	var began, ended, told sync.WaitGroup
	for range watchers {
		began.Add(1)
		ended.Go(func() { follow(ctx, d, &began, &told) })
	}
	began.Wait()
	deliver, there := <-f.sink, false
	change := func(n int) {
		for range n {
			there = !there
			kind := tenant.EventServiceSuspended
			if there {
				kind = tenant.EventServiceAssociated
			}
			told.Add(watchers)
			evt := tenant.Event{EventType: kind, TenantID: "acme", Payload: []byte(fmt.Sprintf(`{"service_name":%q}`, service)), Timestamp: time.Now()}
			deliver(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
			told.Wait()
		}
	}
	return []contender{{"ours", quick(change)}}, func() { cancel(); ended.Wait(); must(d.Close()) }
}

// follow reads the set, and then says of each change that it was told.
func follow(ctx context.Context, d *discovery.TenantDiscovery, began, told *sync.WaitGroup) {
	n := 0
	for range d.Changes(ctx) {
		switch n++; {
		case n == initial:
			began.Done()
		case n > initial:
			told.Done()
		}
	}
}
