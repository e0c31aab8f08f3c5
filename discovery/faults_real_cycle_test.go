package discovery_test

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
)

// measurement is what one cycle came to.
type measurement struct {
	Took       time.Duration // from the fault's end until all was equal and live
	Noticed    time.Duration // from its beginning until the state was not live any more; zero where that was not seen
	Reconciles uint64
	Requests   int
	Callbacks  int
	Net        int // tenants that are active now and were not before, or the other way round
}

// cycle has the fault come and go once.
func (a *arena) cycle() (m measurement) {
	a.t.Helper()
	a.wantWell()
	a.rest()
	before := a.truth()
	requests, calls, began := a.manager.Requests(), a.told.count(), time.Now()
	stop := a.keepAsking()
	defer stop() // even when something fails
	if a.fault.strike != nil {
		a.fault.strike(a)
	}
	if a.fault.fresh {
		calls = 0
		before = nil
	}
	reconciles := a.d.Status().Counters.Reconciles
	a.goOnUnderFault(began)
	m.Noticed = a.noticed(began)
	if a.fault.heal != nil {
		a.fault.heal(a)
	}
	m.Took = a.untilWell(time.Now())
	stop()
	after := a.truth()
	m.Net = differing(before, after)
	m.Reconciles, m.Requests = a.d.Status().Counters.Reconciles-reconciles, a.manager.Requests()-requests
	a.wantTold(after)
	m.Callbacks = a.told.count() - calls
	a.judge(m, time.Since(began))
	a.wantNews()
	a.wantWell()
	return m
}

// rest lets the subscription live long enough for the feed to forget that it failed before: one fault in cycles is not to
// look like one that lasts.
func (a *arena) rest() {
	a.t.Helper()
	pause := a.s.calm + a.fault.offset - time.Since(a.d.Status().Since)
	if pause > 0 {
		<-time.After(pause)
	}
	a.untilWell(time.Now())
}

// goOnUnderFault makes the changes, spread over the time that the fault lasts.
func (a *arena) goOnUnderFault(began time.Time) {
	a.t.Helper()
	for round := range rounds {
		if a.fault.step != nil {
			a.fault.step(a, round)
		}
		a.change(share(a.s.added, round), share(a.s.undone/2, round))
		if pause := time.Until(began.Add(a.fault.lasts * time.Duration(round+1) / rounds)); pause > 0 {
			<-time.After(pause)
		}
	}
}

// share is the part of n for one round.
func share(n, round int) int { return n*(round+1)/rounds - n*round/rounds }

// noticed waits until the discovery has seen that something is wrong, and wants it to know that now. It returns how long
// that took.
func (a *arena) noticed(began time.Time) time.Duration {
	a.t.Helper()
	if a.fault.notices > 0 || a.fault.fresh {
		eventually(a.t, func() string {
			over := a.fault.recovers && !a.told.leftLive(began).IsZero()
			if s := a.d.Status(); s.State == discovery.Live && !over {
				return fmt.Sprintf("it claims to be live while the fault lasts: %+v", s)
			}
			return ""
		})
	}
	left := a.told.leftLive(began)
	if left.IsZero() || a.fault.fresh {
		return 0
	}
	return left.Sub(began)
}

// untilWell waits until all is equal and live, and returns how long that took since the fault ended.
func (a *arena) untilWell(healed time.Time) time.Duration {
	a.t.Helper()
	truth := a.truth()
	deadline := healed.Add(a.fault.bound + a.s.allowance + 20*time.Second)
	for {
		complaint := a.difference(truth)
		took := time.Since(healed)
		if complaint == "" {
			return took
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("not equal and live %v after the fault: %s", took, complaint)
		}
		<-time.After(lookEvery)
	}
}

// wantWell waits until everything is as it should be when nothing is wrong, and nothing is left of earlier cycles.
func (a *arena) wantWell() {
	a.t.Helper()
	a.untilWell(time.Now())
	a.wantTold(a.truth())
	eventually(a.t, func() string {
		if n := a.watchers(); n != 1 {
			return fmt.Sprintf("%d connections of the discovery, want one", n)
		}
		return ""
	})
	if a.resting == 0 {
		a.hear() // the goroutine that reads is there
		a.resting = a.fewestGoroutines()
	}
	eventually(a.t, func() string {
		if n := a.goroutines(); n > a.resting {
			return fmt.Sprintf("%d goroutines, at first there were %d", n, a.resting)
		}
		return ""
	})
}

// wantTold waits until the callbacks have been told the truth.
func (a *arena) wantTold(truth []string) {
	a.t.Helper()
	eventually(a.t, func() string { return a.told.difference(truth) })
}

// wantNews adds a tenant, and waits for its event.
func (a *arena) wantNews() {
	a.t.Helper()
	before := a.d.Status().Counters.EventsApplied
	a.hear()
	a.untilWell(time.Now())
	if a.d.Status().Counters.EventsApplied == before {
		a.t.Errorf("the fault is over, and no event arrives")
	}
}

// hear waits until the publisher has found Redis again, and until everything that it has sent has arrived.
func (a *arena) hear() {
	a.t.Helper()
	eventually(a.t, func() string {
		if err := a.manager.RotateCredentials(a.t.Context(), pillar, service); err != nil {
			return err.Error()
		}
		return ""
	})
	a.change(1, 0)
	newest := a.live[len(a.live)-1]
	eventually(a.t, func() string {
		if !a.d.IsActive(newest) {
			return "the event has not arrived"
		}
		return ""
	})
}

// judge holds the measurement against what is promised.
func (a *arena) judge(m measurement, lasted time.Duration) {
	a.t.Helper()
	a.t.Logf("equal and live after %v; %+v", m.Took, m)
	if most := a.fault.bound + a.s.allowance; m.Took > most {
		a.t.Errorf("all was equal and live %v after the fault, the bound is %v and %v allowance; since it began:%s",
			m.Took, a.fault.bound, a.s.allowance, a.told.states(time.Now().Add(-lasted)))
	}
	if most := a.fault.notices + a.s.allowance; a.fault.notices > 0 && m.Noticed > most {
		a.t.Errorf("noticed after %v, the bound is %v and %v allowance", m.Noticed, a.fault.notices, a.s.allowance)
	}
	// One request when it began, one every ResyncSpread, and one that was under way.
	if most := (int(lasted/a.s.spread) + 2) * max(a.fault.attempts, 1); m.Requests > most {
		a.t.Errorf("%d requests in %v, want %d at most", m.Requests, lasted, most)
	}
	if m.Callbacks < m.Net {
		a.t.Errorf("%d callbacks for %d net changes", m.Callbacks, m.Net)
	}
	if a.fault.exact && (m.Callbacks != m.Net || m.Reconciles > 2) {
		a.t.Errorf("%d callbacks for %d net changes, and %d reconciles; want one each, and one or two reconciles", m.Callbacks, m.Net, m.Reconciles)
	}
}

// keepAsking reads all the time, as a worker does. The returned function ends that and complains of wrong answers.
func (a *arena) keepAsking() (stop func()) {
	a.t.Helper()
	var wrong atomic.Int64
	end, ended := make(chan struct{}), make(chan struct{})
	d, least := a.d, a.d.Len()/2
	go func() {
		defer close(ended)
		for {
			if !d.IsActive(pillar) || d.Len() < least {
				wrong.Add(1)
			}
			select {
			case <-end:
				return
			case <-time.After(lookEvery):
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(end)
		<-ended
		if n := wrong.Load(); n > 0 {
			a.t.Errorf("%d reads without the tenant that is active all the time, or with too few", n)
		}
	})
}

// watchers is how many connections the discovery has to Redis.
func (a *arena) watchers() int {
	a.t.Helper()
	list, _ := a.redis.Do(a.t.Context(), "CLIENT", "LIST").(string)
	return strings.Count(list, "user="+watcherName+" ")
}

// fewestGoroutines looks for a moment at which none is about to end, while the link stays up.
func (a *arena) fewestGoroutines() (fewest int) {
	a.t.Helper()
	const looks = 25
	eventually(a.t, func() string {
		before := a.d.Status().Counters.Subscriptions
		fewest = a.goroutines()
		for range looks {
			<-time.After(lookEvery)
			fewest = min(fewest, a.goroutines())
		}
		if s := a.d.Status(); s.State != discovery.Live || s.Counters.Subscriptions != before {
			return fmt.Sprintf("the link does not stay up: %+v", s)
		}
		return ""
	})
	return fewest
}

// goroutines counts those of this fault, as their label tells them, without those of idle connections to the manager.
func (a *arena) goroutines() (count int) {
	a.t.Helper()
	a.client.Close()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		a.t.Fatal(err)
	}
	group := 0 // how many are alike in the record that the line is in
	for lines := bufio.NewScanner(&profile); lines.Scan(); {
		line := lines.Text()
		if n, _, isHead := strings.Cut(line, " @ "); isHead {
			group, _ = strconv.Atoi(n)
		}
		if strings.HasPrefix(line, "# labels:") && strings.Contains(line, strconv.Quote(a.label)) {
			count += group
		}
	}
	return count
}

// differing counts what is in one of two sorted lists.
func differing(a, b []string) (n int) {
	for _, pair := range [][2][]string{{a, b}, {b, a}} {
		for _, id := range pair[0] {
			if _, found := slices.BinarySearch(pair[1], id); !found {
				n++
			}
		}
	}
	return n
}
