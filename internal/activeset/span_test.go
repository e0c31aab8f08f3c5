package activeset

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// spanned is a core whose list is at revision 10, and which was subscribed before it.
func spanned(t *testing.T, now time.Time) *Core {
	t.Helper()
	c := New(Config{ResyncInterval: time.Hour, Dice: func(most time.Duration) time.Duration { return most / 2 }})
	c.Begin()
	c.Apply(now, []Judged{Judge(&tenant.Signal{Kind: tenant.SignalSubscribed}, "ledger", "")})
	if err := c.Answer(now, c.Ask(now), listAt(10)); err != nil {
		t.Fatal(err)
	}
	return c
}

func listAt(revision uint64) Answer {
	return Answer{Snapshot: tenant.Snapshot{Version: tenant.Version{Epoch: "e", Revision: revision}}, Rows: Rows{set: rowsOf("a")}}
}

func subscribed(revision uint64, filtered bool) tenant.Signal {
	return tenant.Signal{Kind: tenant.SignalSubscribed, Version: tenant.Version{Epoch: "e", Revision: revision}, Filtered: filtered}
}

func updated(revision uint64) tenant.Signal {
	return tenant.Signal{Kind: tenant.SignalEvent, Event: tenant.Event{EventType: tenant.EventUpdated, TenantID: "a", Epoch: "e", Revision: revision}}
}

func beat(revision uint64) tenant.Signal {
	return tenant.Signal{Kind: tenant.SignalHeartbeat, Version: tenant.Version{Epoch: "e", Revision: revision}}
}

// TestASubscriptionThatGoesOn needs no list where the set is as far as the promise, and one where it is not.
func TestASubscriptionThatGoesOn(t *testing.T) {
	lost, gap := tenant.Signal{Kind: tenant.SignalLost}, tenant.Signal{Kind: tenant.SignalGap}
	other := tenant.Signal{Kind: tenant.SignalSubscribed, Version: tenant.Version{Epoch: "f", Revision: 1}}
	for _, tt := range []struct {
		name    string
		signals []tenant.Signal
		prefix  uint64
		gap     bool
	}{
		{"no promise", []tenant.Signal{lost, {Kind: tenant.SignalSubscribed}}, 10, true},
		{"the set is there", []tenant.Signal{lost, subscribed(10, false), updated(11)}, 11, false},
		{"the set is further", []tenant.Signal{updated(11), updated(12), lost, subscribed(11, false), updated(12)}, 12, false},
		{"the set is behind", []tenant.Signal{lost, subscribed(11, false)}, 10, true},
		{"another epoch", []tenant.Signal{lost, other}, 10, true},
		{"a hole", []tenant.Signal{updated(12), lost, subscribed(12, false)}, 10, true},

		{"filtered: jumps", []tenant.Signal{lost, subscribed(10, true), updated(15), updated(20)}, 20, false},
		{"filtered: a heartbeat", []tenant.Signal{lost, subscribed(9, true), beat(30), updated(31)}, 31, false},
		{"filtered: behind", []tenant.Signal{lost, subscribed(12, true), updated(15)}, 10, true},
		{"filtered: lost", []tenant.Signal{lost, subscribed(10, true), lost, subscribed(10, false), updated(12)}, 10, true},
		{"filtered: a gap", []tenant.Signal{lost, subscribed(10, true), gap, updated(12)}, 10, true},
		{"filtered: a bad event", []tenant.Signal{lost, subscribed(10, true), {Kind: tenant.SignalBadEvent}, beat(11)}, 10, true},
		{"filtered: another epoch, and back", []tenant.Signal{lost, subscribed(10, true), {Kind: tenant.SignalHeartbeat, Version: tenant.Version{Epoch: "f", Revision: 3}}, beat(12)}, 10, true},
		{"not filtered: jumps", []tenant.Signal{lost, subscribed(10, false), updated(15)}, 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1_700_000_000, 0)
			c := spanned(t, now)
			for _, sig := range tt.signals {
				c.Apply(now, []Judged{Judge(&sig, "ledger", "")})
			}
			c.look(now.Add(time.Second)) // a hole is a gap by then
			if gap := c.gaps > c.closed; gap != tt.gap || c.memory.known().Revision != tt.prefix {
				t.Errorf("a gap: %v, prefix %d; want %v, %d", gap, c.memory.known().Revision, tt.gap, tt.prefix)
			}
		})
	}
}

// TestAListClosesWhatAFilteredFeedLeftOpen: once the set is where the promise begins, jumps are none.
func TestAListClosesWhatAFilteredFeedLeftOpen(t *testing.T) {
	lost, gap := tenant.Signal{Kind: tenant.SignalLost}, tenant.Signal{Kind: tenant.SignalGap}
	for name, tt := range map[string]struct {
		before, during []tenant.Signal // the request
		list           uint64
		prefix         uint64
		gap            bool
	}{
		"as far":         {[]tenant.Signal{lost, subscribed(12, true)}, []tenant.Signal{updated(15)}, 12, 15, false},
		"further":        {[]tenant.Signal{lost, subscribed(12, true)}, []tenant.Signal{updated(15)}, 14, 15, false},
		"not as far":     {[]tenant.Signal{lost, subscribed(12, true)}, []tenant.Signal{updated(15)}, 11, 11, true},
		"after a gap":    {[]tenant.Signal{lost, subscribed(10, true), gap}, []tenant.Signal{updated(15)}, 14, 15, false},
		"a bad event":    {[]tenant.Signal{lost, subscribed(10, true), {Kind: tenant.SignalBadEvent}}, []tenant.Signal{beat(11)}, 10, 10, true},
		"and a beat":     {[]tenant.Signal{lost, subscribed(10, true), gap}, []tenant.Signal{updated(15), beat(17)}, 14, 17, true}, // one list more
		"before the gap": {[]tenant.Signal{lost, subscribed(10, true), gap}, []tenant.Signal{updated(15)}, 13, 13, true},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_700_000_000, 0)
			c := spanned(t, now)
			apply := func(signals []tenant.Signal) {
				for _, sig := range signals {
					c.Apply(now, []Judged{Judge(&sig, "ledger", "")})
				}
			}
			apply(tt.before)
			request := c.Ask(now)
			apply(tt.during)
			if err := c.Answer(now, request, listAt(tt.list)); err != nil {
				t.Fatal(err)
			}
			c.look(now.Add(time.Second))
			if gap := c.gaps > c.closed; gap != tt.gap || c.memory.known().Revision != tt.prefix {
				t.Errorf("a gap: %v, prefix %d; want %v, %d", gap, c.memory.known().Revision, tt.gap, tt.prefix)
			}
		})
	}
}
