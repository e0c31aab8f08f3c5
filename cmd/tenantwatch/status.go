package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/discovery"
)

// statusLine is a change of state for programs.
type statusLine struct {
	State   discovery.State `json:"state"`
	Tenants int             `json:"tenants"`
	Reason  string          `json:"reason"`
}

// tellStatus returns a function for OnStatusChange that writes each change of state as a line.
func tellStatus(stderr *printer, asJSON bool) func(context.Context, discovery.Status) {
	return func(_ context.Context, s discovery.Status) { tellState(stderr, asJSON, s, reasonOf(s)) }
}

func tellState(stderr *printer, asJSON bool, s discovery.Status, reason string) {
	if asJSON {
		_ = stderr.object("state", s.Since, statusLine{State: s.State, Tenants: s.Tenants, Reason: reason})
		return
	}
	_ = stderr.line("%s  %s with %s: %s", process.Clock(s.Since), s.State, count(s.Tenants, "tenant"), reason)
}

// tellDrift returns a function that writes a line about differences that no event has announced.
func tellDrift(stderr *printer, asJSON bool) func(discovery.Status, uint64) {
	return func(s discovery.Status, found uint64) {
		s.Since = time.Now()
		differences := map[bool]string{true: "a difference", false: fmt.Sprintf("%d differences", found)}[found == 1]
		tellState(stderr, asJSON, s, "the list had "+differences+" that no event has announced; check that this is the manager's Redis, and its environment")
	}
}

// reasonOf says why the state is what it is.
func reasonOf(s discovery.Status) string {
	switch s.State {
	case discovery.Live:
		if s.Tenants == 0 {
			return "subscribed and reconciled; if that surprises you, check how the service is spelled"
		}
		return "subscribed and reconciled"
	case discovery.Syncing:
		if s.SnapshotError != nil {
			return "subscribed; a new list is asked for again after: " + errorText(s.SnapshotError)
		}
		return cmp.Or(s.Reason, "subscribed; a new list is on its way")
	case discovery.Polling:
		return "the manager is polled; no events from Redis: " + errorText(s.FeedError)
	case discovery.Stale:
		if s.FeedConnected {
			return "the last known set is kept; no list: " + errorText(s.SnapshotError)
		}
		return "the last known set is kept; no list: " + errorText(s.SnapshotError) + "; no events from Redis: " + errorText(s.FeedError)
	case discovery.Starting:
		return "not started yet"
	default:
		return "closed"
	}
}

func errorText(err error) string {
	if err == nil {
		return "not confirmed yet"
	}
	return spoken(err, false)
}

// count returns "1 tenant", "2 tenants".
func count(n int, noun string) string {
	return fmt.Sprintf("%d %s", n, cmp.Or(map[bool]string{true: noun}[n == 1], noun+"s"))
}
