package tenant

import "time"

// Kind says what became of a tenant.
type Kind string

// The kinds of a [Change].
const (
	// Added means that the tenant is active now and was not before.
	Added Kind = "added"
	// Removed means that the tenant was active and is no longer.
	Removed Kind = "removed"
	// Reconfigured means that the tenant is active as before, but what was built from its configuration (database
	// pools, secrets, caches) has to be built again.
	Reconfigured Kind = "reconfigured"
)

// Cause says how a [Change] became known.
type Cause string

// The causes of a [Change].
const (
	// CauseBootstrap is the first snapshot after the start.
	CauseBootstrap Cause = "bootstrap"
	// CauseSnapshotFile is the last known set, which was read from a file because the manager gave no usable list at
	// the start.
	CauseSnapshotFile Cause = "snapshot_file"
	// CauseEvent is a lifecycle event.
	CauseEvent Cause = "event"
	// CauseReconcile is a difference that a later snapshot showed.
	CauseReconcile Cause = "reconcile"
)

// Change is one thing that a worker has to react to.
type Change struct {
	// Kind says what became of the tenant.
	Kind Kind `json:"kind"`
	// TenantID is the id as the manager spelled it.
	TenantID string `json:"tenant_id"`
	// Cause says how the change became known.
	Cause Cause `json:"cause"`
	// EventType is the type of the event behind the change. It is empty unless Cause is [CauseEvent], or Kind is
	// [Reconfigured] and a reconcile found an event that was missed.
	EventType EventType `json:"event_type,omitempty"`
	// At is when the change was applied to the set, by the clock of this process.
	At time.Time `json:"at"`
}
