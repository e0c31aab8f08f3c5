package discovery

import (
	"encoding/json"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// State says how far the set can be trusted to equal the manager's list.
type State uint8

// The states of a [TenantDiscovery].
const (
	// Starting lasts until Start has succeeded. The set is empty.
	Starting State = iota
	// Live means that the set equals the manager's list, as far as can be known. The subscription is up. If heartbeats
	// are expected, a heartbeat or an event has arrived by this subscription. A snapshot was taken whose request began
	// after the subscription was confirmed and after the last sign of a gap. (A feed that promises that nothing is
	// missing needs no snapshot after the confirmation, see [tenant.Signal].)
	Live
	// Syncing means that the subscription is up, and that the discovery still waits for such a snapshot, or for the
	// first heartbeat or event.
	Syncing
	// Polling means that no events arrive, but that the last request for a snapshot succeeded. The subscription is
	// down, or nothing has arrived by it for 11 s although heartbeats are expected.
	Polling
	// Stale means that requests for snapshots fail, or that the set is still the one of the SnapshotFile. While the
	// subscription is down, one failed request makes the set Stale; while it is up, requests have to fail for longer
	// than PollInterval. The set is the last known one.
	Stale
	// Closed means that Close was called. The set is the last known one.
	Closed
)

// String returns the state in one lower-case word.
func (s State) String() string { return activeset.State(s).String() }

// MarshalText returns the word that String returns.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status describes a [TenantDiscovery] at one moment. It is a copy.
type Status struct {
	// State is the current state, and Since the time at which it began.
	State State
	Since time.Time
	// Reason says, in words for people, why this is the State and what to do about it.
	Reason string
	// Tenants is the size of the set.
	Tenants int
	// Version is the version of the last snapshot. It is zero when the manager sends no versions.
	Version tenant.Version
	// LastSnapshot is when the last snapshot was applied, and LastEvent when the last event of any kind arrived. Zero
	// means never.
	LastSnapshot time.Time
	LastEvent    time.Time
	// FeedConnected says whether the subscription is confirmed and has not been lost since.
	FeedConnected bool
	// FeedError says why the subscription was lost, or why it is useless because nothing arrives by it (see
	// [tenant.ErrNoHeartbeat]). It is nil while nothing is wrong with the subscription. SnapshotError says why the last
	// request for a snapshot failed. It is nil when the last request succeeded.
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

// Ready reports whether Start has succeeded and the discovery was not closed. It sends no request, so that a readiness
// probe costs nothing and does not fail when the manager or Redis fails.
func (s Status) Ready() bool { return s.State != Starting && s.State != Closed }

// Age is the time since the last snapshot, or zero if there was none. It is never negative, even when the set comes
// from a snapshot file that was written while the clock was ahead.
func (s Status) Age() time.Duration {
	if s.LastSnapshot.IsZero() {
		return 0
	}
	return max(0, time.Since(s.LastSnapshot))
}

// Counters count what a [TenantDiscovery] has done since Start.
type Counters struct {
	// EventsApplied counts the events that concerned this service. The others did not change the set: EventsIgnored
	// have a type that says nothing of this set, EventsOtherService and EventsOtherEnvironment belong elsewhere,
	// EventsUnknown have an unknown type, EventsOld were known already or are older than what is known, and EventsBad
	// cannot be used. EventsDropped arrived faster than they could be applied; a reconcile repaired each such burst.
	EventsApplied          uint64 `json:"events_applied"`
	EventsIgnored          uint64 `json:"events_ignored"`
	EventsOtherService     uint64 `json:"events_other_service"`
	EventsOtherEnvironment uint64 `json:"events_other_environment"`
	EventsUnknown          uint64 `json:"events_unknown"`
	EventsOld              uint64 `json:"events_old"`
	EventsBad              uint64 `json:"events_bad"`
	EventsDropped          uint64 `json:"events_dropped"`
	// Reconciles counts the snapshots that were taken after the first one, ReconcilesByChanges those of them for which
	// the manager sent only what had changed, SnapshotsFailed the requests that failed, and SnapshotsUnchanged the
	// answers that the list has not changed.
	Reconciles          uint64 `json:"reconciles"`
	ReconcilesByChanges uint64 `json:"reconciles_by_changes"`
	SnapshotsFailed     uint64 `json:"snapshots_failed"`
	SnapshotsUnchanged  uint64 `json:"snapshots_unchanged"`
	// RowsSkipped counts the rows of snapshots that were skipped because of their id or their status.
	RowsSkipped uint64 `json:"rows_skipped"`
	// DriftFound counts the differences that reconciles found between the set and the manager's list.
	DriftFound uint64 `json:"drift_found"`
	// Unannounced counts those differences that no event announced although no event was known to be missing. The
	// discovery waits for such an event for 10 s after the list, or until an event arrives that is newer than the list.
	Unannounced uint64 `json:"unannounced"`
	// RemovalsHeld counts the removals that the [RemovalGuard] held back.
	RemovalsHeld uint64 `json:"removals_held"`
	// Subscriptions counts the confirmed subscriptions, the first one included.
	Subscriptions uint64 `json:"subscriptions"`
	// CallbackPanics counts the panics that were recovered, in callbacks and in the handler of the Logger.
	CallbackPanics uint64 `json:"callback_panics"`
}
