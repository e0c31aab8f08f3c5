package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func bootstrapRow(n int, goals ...goal) row {
	return row{
		name: "bootstrap of " + sizeName(n) + " over HTTP",
		prepare: func() ([]contender, func()) {
			m := newManager(listOf(0, n))
			return []contender{
				{"hand", once(1, func() any {
					hand := new(byHand)
					must(hand.fetch(m.url()))
					return hand
				})},
				{"ours", func() figures { return bootstrapped(m, n, false) }},
				{"floor", once(1, func() any {
					resp, err := http.Get(m.url()) //nolint:noctx // of this process
					must(err)
					_, err = io.Copy(io.Discard, resp.Body)
					must(err)
					return resp.Body.Close()
				})},
			}, m.server.Close
		},
		goals: goals,
	}
}

func bootstrapped(m *manager, n int, names bool) figures {
	var stop func()
	measured := once(1, func() any {
		d := startedWith(m.client(), newFeed(), names)
		if d.Len() != n {
			panic(fmt.Sprint("there are ", d.Len()))
		}
		stop = func() { must(d.Close()) }
		return d
	})()
	stop()
	return measured
}

// namesRow: what Config.Names costs.
func namesRow(n int) row {
	return row{
		name: "bootstrap of " + sizeName(n) + " over HTTP, with names",
		prepare: func() ([]contender, func()) {
			m := newManager(listOf(0, n))
			return []contender{
				{"without", func() figures { return bootstrapped(m, n, false) }},
				{"ours", func() figures { return bootstrapped(m, n, true) }},
			}, m.server.Close
		},
	}
}

// changesRow: a thousandth of the tenants has changed while nobody heard of it, and the whole list beside it.
func changesRow(n int) row {
	return row{
		name: "a reconcile of " + sizeName(n) + ", of which a thousandth has changed",
		prepare: func() ([]contender, func()) {
			ids, lists, gone := idsOf(n), [][]byte{listOf(0, n), listWithout(n)}, 0
			m := newManager(lists[0])
			d := started(m.client(), newFeed())
			refresh := func() figures {
				m.sent.Store(0)
				measured := once(1, func() any { must(d.Refresh(nobody)); return nil })()
				measured.kept = float64(m.sent.Load())
				return measured
			}
			return []contender{
				{"whole", func() figures {
					m.changes, m.etag = nil, m.etag+"1"
					return refresh()
				}},
				{"ours", func() figures {
					gone = 1 - gone
					m.change(ids, gone == 1)
					m.list = lists[gone]
					return refresh()
				}},
			}, func() { must(d.Close()); m.server.Close() }
		},
		goals: []goal{within("time", timeOf, "whole", 0.02), within("bytes (printed as kept)", keptOf, "whole", 0.01)},
	}
}

// massRow: a list in which every tenant is another one. Meanwhile somebody asks, and must not wait.
func massRow(n int) row {
	return row{
		name: "a reconcile of " + sizeName(n) + ", all different",
		prepare: func() ([]contender, func()) {
			m := newManager(listOf(0, n))
			d := started(m.client(), newFeed())
			lists := [][]byte{m.list, listOf(n, n)}
			turn := 0
			return []contender{
				{"ours", func() figures {
					turn++
					m.list, m.etag = lists[turn%2], fmt.Sprintf(`"%d"`, turn)
					end := watchWaits(func() { d.Explain(idOf(3)); d.Status() })
					measured := once(1, func() any { must(d.Refresh(nobody)); return nil })()
					measured.allocs = float64(end()) / 1e6
					return measured
				}},
			}, func() { must(d.Close()); m.server.Close() }
		},
		goals: []goal{
			{of: func(f figures) float64 { return f.time / 1e9 }, what: "seconds", ours: "ours", most: 2.5, flat: true},
			{of: allocsOf, what: "the longest wait of Explain and Status in ms (printed as allocs)", ours: "ours", most: 10, flat: true},
		},
	}
}

// watchWaits asks again and again until end is called, which returns the longest wait.
func watchWaits(ask func()) (end func() time.Duration) {
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		most := time.Duration(0)
		for {
			select {
			case <-stop:
				longest <- most
				return
			case <-time.After(time.Millisecond):
			}
			began := time.Now()
			ask()
			most = max(most, time.Since(began))
		}
	}()
	return func() time.Duration { close(stop); return <-longest }
}

// unchangedRow: the manager answers that nothing is new.
func unchangedRow(n int) row {
	return row{
		name: "a reconcile of " + sizeName(n) + ", unchanged (304)",
		prepare: func() ([]contender, func()) {
			m := newManager(listOf(0, n))
			d := started(m.client(), newFeed())
			return []contender{
				{"ours", quick(func(n int) {
					for range n {
						must(d.Refresh(nobody))
					}
				})},
			}, func() { must(d.Close()); m.server.Close() }
		},
		goals: []goal{{of: timeOf, what: "nanoseconds", ours: "ours", most: 1e6, flat: true}},
	}
}

var _ tenant.Feed = (*feed)(nil)
