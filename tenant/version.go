package tenant

import "strconv"

// Version says which state of the manager's data something belongs to. A manager that speaks no versions leaves it
// zero, and everything works without it.
type Version struct {
	// Epoch is the identity of the manager's data set. It is new after a restore from a backup. Revisions of
	// two epochs cannot be compared. Empty means that the manager sends no versions.
	Epoch string `json:"epoch,omitempty"`
	// Revision counts the events of an epoch and environment, without holes and in commit order.
	Revision uint64 `json:"revision,omitempty"`
}

// IsZero reports whether v says nothing at all.
func (v Version) IsZero() bool { return v == Version{} }

// String returns "epoch:revision", or "" without an epoch.
func (v Version) String() string {
	if v.Epoch == "" {
		return ""
	}
	return v.Epoch + ":" + strconv.FormatUint(v.Revision, 10)
}
