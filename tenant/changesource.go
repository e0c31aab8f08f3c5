package tenant

import "errors"

// The errors of a request for changes after which the request is not simply made again.
var (
	// ErrChangesGone means that the manager cannot say what has changed since the version: it belongs to another epoch,
	// is newer than what the manager has, or is so old that the events after it are gone or too many. Read the list.
	ErrChangesGone = errors.New("the changes since this version are not kept any more")
	// ErrNoChanges means that the manager does not have the call. Read the list, and do not ask for changes again as
	// long as the epoch is the same.
	ErrNoChanges = errors.New("the manager cannot list changes")
)

// MaxChanges is the largest number of events in one answer.
const MaxChanges = 10_000

// ChangesRequest asks for the events that lead on from a version of a service's list.
type ChangesRequest struct {
	// Service is the name of the service.
	Service string
	// Since is the version that the caller has. It must have an epoch.
	Since Version
	// Each is required. It is called for every event, as JSON that nothing has checked further, in the order of
	// revisions, on the goroutine of the request and before the request returns. When the request fails, ignore the
	// events that Each was given. The bytes of an event are valid only until Each returns: copy what you keep.
	Each func(event []byte)
}

// Changes is the state that the events lead to: the list at Since, changed by every event in turn, is the list at
// Version.
type Changes struct {
	// Version is the state of the manager's data after all events. Its epoch is that of the request, and its revision
	// is not lower.
	Version Version
	// Count is the number of tenants in the list at Version.
	Count int
	// Digest is the XOR of the [IDDigest] of their ids.
	Digest uint64
	// Environment is the environment of the list, as [ParseEnvironment] returns it. It is empty if the manager does not
	// say.
	Environment string
}
