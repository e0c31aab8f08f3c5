package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var sink atomic.Int64 // so that no work is left out because nobody looks at what comes of it

// sets are by hand, ours and a slice, each with the same tenants.
type sets struct {
	hand *byHand
	ours *discovery.TenantDiscovery
	feed *feed
	ids  []string // not the strings that the sets hold
}

func newSets(n int) *sets {
	s := &sets{hand: &byHand{active: make(map[string]struct{}, n)}, ids: idsOf(n)}
	for _, id := range s.ids {
		s.hand.active[strings.Clone(id)] = struct{}{}
	}
	s.ours, s.feed = withSet(n)
	return s
}

func (s *sets) close() { must(s.ours.Close()) }

// shuffled visits all ids in an order that no cache knows.
func (s *sets) shuffled(n int, visit func(id string)) {
	at, step := 0, len(s.ids)/2+len(s.ids)/5|1
	for range n {
		visit(s.ids[at])
		if at += step; at >= len(s.ids) {
			at -= len(s.ids)
		}
	}
}

func sizeName(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprint(n/1_000_000, "M")
	}
	return fmt.Sprint(n/1000, "k")
}

func isActiveRow(n int) row {
	return row{
		name: "IsActive, " + sizeName(n),
		prepare: func() ([]contender, func()) {
			s := newSets(n)
			bare := s.hand.active
			count := func(active func(id string) bool) func(n int) {
				return func(n int) {
					found := 0
					s.shuffled(n, func(id string) {
						if active(id) {
							found++
						}
					})
					if found != n {
						panic("a tenant is missing")
					}
				}
			}
			return []contender{
				{"hand", quick(count(s.hand.isActive))},
				{"ours", quick(count(s.ours.IsActive))},
				{"floor", quick(count(func(id string) bool { _, ok := bare[id]; return ok }))},
			}, s.close
		},
		goals: []goal{faster(0.9), allocates(0)},
	}
}

// scaleRow: readers that do nothing else must not wait for each other.
func scaleRow(n int) row {
	return row{
		name: "IsActive by a reader on each processor, " + sizeName(n),
		prepare: func() ([]contender, func()) {
			s := newSets(n)
			together := func(active func(id string) bool) func(n int) {
				return func(n int) {
					var readers sync.WaitGroup
					for range runtime.GOMAXPROCS(0) {
						readers.Go(func() { s.shuffled(n, func(id string) { active(id) }) })
					}
					readers.Wait()
				}
			}
			alone := func(n int) { s.shuffled(n, func(id string) { s.ours.IsActive(id) }) }
			return []contender{{"hand", quick(together(s.hand.isActive))}, {"ours", quick(together(s.ours.IsActive))}, {"alone", quick(alone)}}, s.close
		},
		goals: []goal{faster(1), within("time", timeOf, "alone", 1.5)},
	}
}

func idsRow(n int) row {
	return row{
		name: "ActiveTenantIDs, " + sizeName(n),
		prepare: func() ([]contender, func()) {
			s := newSets(n)
			all := s.ours.ActiveTenantIDs()
			copies := func(ids func() []string) func(n int) {
				return func(n int) {
					for range n {
						sink.Add(int64(len(ids())))
					}
				}
			}
			return []contender{
				{"hand", quick(copies(s.hand.ids))},
				{"ours", quick(copies(s.ours.ActiveTenantIDs))},
				{"floor", quick(copies(func() []string { return slices.Clone(all) }))},
			}, s.close
		},
		goals: []goal{within("time", timeOf, "floor", 1.25), allocates(1)},
	}
}

func allRow(n int) row {
	return row{
		name: "All, against a copy that is walked, " + sizeName(n),
		prepare: func() ([]contender, func()) {
			s := newSets(n)
			all := s.ours.ActiveTenantIDs()
			walk := func(each func(yield func(id string) bool)) func() figures {
				return quick(func(n int) {
					for range n {
						for id := range each {
							sink.Store(int64(len(id)))
						}
					}
				})
			}
			return []contender{
				{"hand", walk(func(yield func(string) bool) { slices.Values(s.hand.ids())(yield) })},
				{"ours", walk(func(yield func(string) bool) { s.ours.All()(yield) })},
				{"floor", walk(slices.Values(all))},
			}, s.close
		},
		goals: []goal{within("time", timeOf, "floor", 2), allocates(0)},
	}
}

// writesRow: two changes, and a consistent view of what came of them.
func writesRow(n int, times float64) row {
	return row{
		name: "two writes and a snapshot, " + sizeName(n),
		prepare: func() ([]contender, func()) {
			s := newSets(n)
			at, events := 0, writer(s.feed)
			return []contender{
				{"hand", quick(func(n int) {
					for range n {
						id := s.ids[at%len(s.ids)]
						at++
						s.hand.set(id, false)
						s.hand.set(id, true)
						sink.Add(int64(len(s.hand.ids())))
					}
				})},
				{"ours", quick(func(n int) {
					for range n {
						id := s.ids[at%len(s.ids)]
						at++
						events(id, false)
						events(id, true)
						for range s.ours.All() {
							break
						}
					}
					drained(s.ours)
				})},
			}, s.close
		},
		goals: []goal{faster(times)},
	}
}

// writer returns what lets a tenant come or go by an event without a version.
func writer(f *feed) func(id string, active bool) {
	deliver := <-f.sink
	f.sink <- deliver
	return func(id string, active bool) {
		evt := tenant.Event{EventType: tenant.EventServiceSuspended, TenantID: id, Payload: []byte(`{"service_name":"` + service + `"}`)}
		if active {
			evt.EventType = tenant.EventServiceReactivated
		}
		deliver(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
	}
}

// underReadersRow: a write while eight readers spin. The control only allocates: where it waits for a processor, everything does.
func underReadersRow(n int) row {
	return row{
		name: "a write under 8 spinning readers, median, " + sizeName(n),
		prepare: func() ([]contender, func()) {
			s := newSets(n)
			at := 0
			under := func(read func(), write func(id string)) func() figures {
				return underReaders(read, func() {
					write(s.ids[at%len(s.ids)])
					at++
				})
			}
			evt := tenant.Event{EventType: tenant.EventCacheInvalidate, Payload: []byte(`{"service_name":"` + service + `"}`)}
			read := func() {
				for range s.ours.All() {
					continue
				}
			}
			return []contender{
				{"hand", under(func() { sink.Add(int64(len(s.hand.ids()))) }, func(id string) { s.hand.set(id, true) })},
				{"ours", under(read, func(id string) {
					evt.TenantID = id
					must(s.ours.HandleEvent(nobody, evt))
				})},
				{"control", under(read, func(string) { allocated.Store(new([64]byte)) })},
			}, s.close
		},
		goals: []goal{within("time", timeOf, "hand", 0.1)},
	}
}

// underReaders measures the median of some writes while eight readers do nothing but read.
func underReaders(read, write func()) func() figures {
	return func() figures {
		end := make(chan struct{})
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				for {
					select {
					case <-end:
						return
					default:
						read()
					}
				}
			})
		}
		times := make([]float64, 0, 60)
		for range cap(times) {
			began := time.Now()
			runtime.Gosched() // as a write begins when something has arrived
			write()
			times = append(times, float64(time.Since(began)))
		}
		close(end)
		readers.Wait()
		slices.Sort(times)
		return figures{time: times[len(times)/2]}
	}
}

var allocated atomic.Pointer[[64]byte]
