package main

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
)

func TestX48AProcessThatStoodStillBlamesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		still, frozen := &standstill{}, &standstill{}
		frozen.lately(time.Now()) // its next pulse is a minute later
		away := discovery.Status{State: discovery.Polling, FeedError: errors.New("no heartbeat"), SnapshotError: errors.New("too slow")}
		err := still.during(t.Context(), func() {}, func() error {
			advance(time.Minute)
			return still.blame(away).FeedError
		})
		if err == nil || err.Error() != away.FeedError.Error() {
			t.Errorf("one that ran says %q", err)
		}
		got := frozen.blame(away)
		for _, err := range []error{got.FeedError, got.SnapshotError} {
			if !strings.Contains(err.Error(), "this process itself stood still for 1m0s: ") {
				t.Errorf("one that stood still says %q", err)
			}
		}
		if !errors.Is(got.FeedError, away.FeedError) {
			t.Error("the cause is lost")
		}
		if live := frozen.blame(discovery.Status{State: discovery.Live}); live.FeedError != nil || live.SnapshotError != nil {
			t.Errorf("there is an error where there was none: %v", live)
		}
		for range 60 { // what goes wrong later is another matter
			advance(pulse)
			got = frozen.blame(away)
		}
		if reasonOf(got) != reasonOf(away) {
			t.Errorf("half a minute later it says %q", reasonOf(got))
		}
	})
}

// advance lets time pass in a bubble.
func advance(d time.Duration) { <-time.After(d) }
