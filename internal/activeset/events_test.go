package activeset

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestEventsAllocateLittle: an event that is published with 1,000 others, of a tenant that has come and gone before, allocates less than twice: for the
// tree of which readers keep the one before, and for the history.
func TestEventsAllocateLittle(t *testing.T) {
	const n = 1000
	now := time.Unix(1_700_000_000, 0)
	c := New(Config{Service: "ledger", ResyncInterval: time.Hour, PollInterval: time.Hour, Many: 100, Slack: 1 << 20, Least: None, Dice: func(time.Duration) time.Duration { return 0 }})
	c.Begin()
	if err := c.Answer(now, c.Ask(now), Answer{Snapshot: tenant.Snapshot{Version: tenant.Version{Epoch: "e"}}, Difference: compare(Set{}, Set{}, 0)}); err != nil {
		t.Fatal(err)
	}
	revision := uint64(0)
	round := func() []Judged {
		var judged []Judged
		for i := range 2 * n {
			revision++
			evt := event(revision, tenant.EventServiceAssociated, fmt.Sprintf("%032x", i%n))
			if i >= n {
				evt.EventType = tenant.EventServiceSuspended
			}
			judged = append(judged, Judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: evt}, "ledger", ""))
		}
		return judged
	}
	const rounds = 6
	var all [rounds + 1][]Judged
	for i := range all {
		all[i] = round()
	}
	at := 0
	allocs := testing.AllocsPerRun(rounds, func() {
		c.Apply(now, all[at])
		c.Next(now)
		at++
	})
	if c.status.Counters.EventsApplied != 2*n*(rounds+1) {
		t.Fatalf("%+v", c.status.Counters)
	}
	if each := allocs / (2 * n); each > 2 {
		t.Errorf("%.2f allocations for each event", each)
	}
}
