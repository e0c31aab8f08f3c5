package discovery

import (
	"encoding/json"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// State says how much the set can be trusted to be the manager's.
type State uint8

// The states of a [TenantDiscovery].
const (
	// Starting is until Start has succeeded; the set is empty.
	Starting State = iota
	// Live means that the subscription is up, that something has come by it where heartbeats are expected, and that a
	// snapshot asked for after its last confirmation, unless the feed has promised with it that nothing is missing, and after
	// the last sign that something was missed, has been taken.
	Live
	// Syncing means that the subscription is up, and that such a snapshot is on its way, or the first heartbeat or event.
	Syncing
	// Polling means that the subscription is down, or that nothing has come by it for 11 s although heartbeats are
	// expected, and that the last snapshot asked for came.
	Polling
	// Stale means that snapshots fail: at once while the subscription is down, for longer than PollInterval while it
	// is up. The set is the last known one.
	Stale
	// Closed is after Close. The set is the last known one.
	Closed
)

// String returns the state in one lower-case word.
func (s State) String() string { return activeset.State(s).String() }

// MarshalText returns the same word as String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is what a [TenantDiscovery] knows of itself at one moment. It is a copied value.
type Status struct {
	// State, and Since when it is that.
	State State
	Since time.Time
	// Reason says why it is that State, and what to do, in words for people.
	Reason string
	// Tenants is the size of the set.
	Tenants int
	// Version is that of the last snapshot; zero when the manager sends none.
	Version tenant.Version
	// LastSnapshot is when the last snapshot was taken in, LastEvent when the last event of any kind arrived. Zero
	// means never.
	LastSnapshot time.Time
	LastEvent    time.Time
	// FeedConnected says whether the subscription is confirmed and has not been lost since.
	FeedConnected bool
	// FeedError is why the subscription was lost last, or why it is of no use: nothing has come by it, see
	// [tenant.ErrNoHeartbeat]. It is nil while there is nothing wrong with it. SnapshotError is why the last snapshot
	// failed; it is nil once one came.
	FeedError     error
	SnapshotError error
	// Counters count since Start.
	Counters Counters
}

// statusOf is a core's status as the user sees it.
func statusOf(s activeset.Status) Status {
	return Status{
		State: State(s.State), Since: s.Since, Reason: s.Reason, Tenants: s.Tenants, Version: s.Version, LastSnapshot: s.LastSnapshot,
		LastEvent: s.LastEvent, FeedConnected: s.FeedConnected, FeedError: s.FeedError, SnapshotError: s.SnapshotError,
		Counters: Counters(s.Counters),
	}
}

// MarshalJSON writes the state as its word, errors as texts, and the age in seconds.
func (s Status) MarshalJSON() ([]byte, error) { return json.Marshal(viewOf(s)) }

// Ready reports whether the set has been bootstrapped and is being followed. It asks nobody, so that a readiness probe
// costs nothing and does not fail when the manager or Redis does.
func (s Status) Ready() bool { return s.State != Starting && s.State != Closed }

// Age is the time since the last snapshot, zero if there was none. It is never negative, even when the set comes from a
// snapshot file that was written by a clock that was ahead.
func (s Status) Age() time.Duration {
	if s.LastSnapshot.IsZero() {
		return 0
	}
	return max(0, time.Since(s.LastSnapshot))
}

// Counters count what a [TenantDiscovery] has done since Start.
type Counters struct {
	// Events that concerned this service, and those that did not: by type, by service, by environment, of a type that
	// is not known, those that were known already or were older than what is known, and those that could not be read.
	// EventsDropped arrived faster than they could be applied; each such burst was repaired by a reconcile.
	EventsApplied          uint64 `json:"events_applied"`
	EventsIgnored          uint64 `json:"events_ignored"`
	EventsOtherService     uint64 `json:"events_other_service"`
	EventsOtherEnvironment uint64 `json:"events_other_environment"`
	EventsUnknown          uint64 `json:"events_unknown"`
	EventsOld              uint64 `json:"events_old"`
	EventsBad              uint64 `json:"events_bad"`
	EventsDropped          uint64 `json:"events_dropped"`
	// Reconciles that succeeded after the bootstrap, and requests for a snapshot that failed.
	Reconciles         uint64 `json:"reconciles"`
	SnapshotsFailed    uint64 `json:"snapshots_failed"`
	SnapshotsUnchanged uint64 `json:"snapshots_unchanged"`
	// RowsSkipped of snapshots, because of their id or their status.
	RowsSkipped uint64 `json:"rows_skipped"`
	// DriftFound is the number of differences that reconciles found between the set and the manager.
	DriftFound uint64 `json:"drift_found"`
	// Unannounced is the number of those that no event has announced, neither before nor for 10 s afterwards, or until
	// events from after the list came, although none was known to be missed.
	Unannounced uint64 `json:"unannounced"`
	// RemovalsHeld by the removal guard.
	RemovalsHeld uint64 `json:"removals_held"`
	// Subscriptions that were confirmed, the first one included.
	Subscriptions uint64 `json:"subscriptions"`
	// CallbackPanics that were recovered, those of the Logger among them.
	CallbackPanics uint64 `json:"callback_panics"`
}
