package tenant

import "strconv"

// Version says which state of the manager's data something belongs to. Versions are optional: a manager that does not
// send them leaves Version zero.
type Version struct {
	// Epoch is the identity of the manager's data set. It is new after a restore from a backup. Revisions of
	// two epochs cannot be compared. Empty means that the manager sends no versions.
	Epoch string `json:"epoch,omitempty"`
	// Revision counts the events of one epoch and environment: without holes, in the order in which the manager
	// committed them.
	Revision uint64 `json:"revision,omitempty"`
}

// IsZero reports whether v has neither an epoch nor a revision.
func (v Version) IsZero() bool { return v == Version{} }

// String returns "epoch:revision", or "" when there is no epoch.
func (v Version) String() string {
	if v.Epoch == "" {
		return ""
	}
	return v.Epoch + ":" + strconv.FormatUint(v.Revision, 10)
}
