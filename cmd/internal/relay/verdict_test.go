package relay

import (
	"fmt"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestJudge includes publishers that send on after a failure of the same tenant: what they say of it does not count.
func TestJudge(t *testing.T) {
	invalid := &tenant.EventError{}
	for _, tt := range []struct {
		name    string
		tenants string // one letter for each event
		errs    []error
		want    string // the places of what is sent, invalid and failed
		away    bool
	}{
		{"nothing", "", nil, "[] [] []", false},
		{"all sent", "aba", []error{nil, nil, nil}, "[0 1 2] [] []", false},
		{"sent on after a failure", "aaab", []error{nil, errAway, nil, nil}, "[0 3] [] [1]", false},
		{"failed twice", "aab", []error{errRefused, errAway, nil}, "[2] [] [0]", false},
		{"sent on after one that was skipped", "aab", []error{redisevents.ErrSkipped, nil, nil}, "[2] [] []", false},
		{"no event, which stops nobody", "aab", []error{invalid, nil, invalid}, "[1] [0 2] []", false},
		{"no event after a failure", "aa", []error{errAway, invalid}, "[] [] [0]", true},
		{"away", "ab", []error{errAway, errAway}, "[] [] [0 1]", true},
		{"not ready", "ab", []error{errUnready, errUnready}, "[] [] [0 1]", true},
		{"refused", "ab", []error{errRefused, errRefused}, "[] [] [0 1]", false},
		{"refused, and away", "ab", []error{errRefused, errAway}, "[] [] [0 1]", true},
	} {
		var batch []store.Event
		for i, id := range tt.tenants {
			batch = append(batch, store.Event{Event: tenant.Event{TenantID: string(id), Revision: uint64(i)}}) //nolint:gosec // is small
		}
		v := judge(batch, tt.errs)
		places := [3][]uint64{}
		for _, event := range v.sent {
			places[0] = append(places[0], event.Revision)
		}
		for i, failures := range [][]failure{v.invalid, v.failed} {
			for _, f := range failures {
				places[i+1] = append(places[i+1], f.event.Revision)
			}
		}
		if got := fmt.Sprint(places[0], places[1], places[2]); got != tt.want || v.away() != tt.away {
			t.Errorf("%s: got %s, away is %v; want %s, %v", tt.name, got, v.away(), tt.want, tt.away)
		}
	}
}

func TestReached(t *testing.T) {
	pending := func(revisions ...uint64) []store.Event {
		var all []store.Event
		for _, revision := range revisions {
			all = append(all, store.Event{Event: tenant.Event{Revision: revision}})
		}
		return all
	}
	for _, tt := range []struct {
		name    string
		newest  uint64
		pending []store.Event
		full    bool
		done    []uint64
		want    uint64
	}{
		{"nothing at all", 0, nil, false, nil, 0},
		{"nothing waits", 7, nil, false, nil, 7},
		{"the first waits", 7, pending(1, 2), false, []uint64{2}, 0},
		{"one in between waits", 7, pending(5, 6, 7), false, []uint64{5, 7}, 5},
		{"all done", 7, pending(5, 6), false, []uint64{5, 6}, 7},
		{"all done, and newer than what was the newest", 7, pending(7, 8), false, []uint64{7, 8}, 8},
		{"all done, and there may be more", 70, pending(5, 6), true, []uint64{5, 6}, 6},
	} {
		done := map[uint64]bool{}
		for _, revision := range tt.done {
			done[revision] = true
		}
		if got := reached(tt.newest, tt.pending, tt.full, func(revision uint64) bool { return done[revision] }); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
