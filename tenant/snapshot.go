package tenant

// SnapshotRequest asks for the list of the tenants that are active for a service.
type SnapshotRequest struct {
	// Service is the name of the service.
	Service string
	// Have is the snapshot that the caller already has. If it has an ETag, the answer may be that the list has not
	// changed. The zero Snapshot asks for the list in any case.
	Have Snapshot
	// Each is required. It is called for every row, in the manager's order, on the goroutine of the request and before
	// the request returns. When the request fails, ignore the rows that Each was given. The bytes of a row are valid
	// only until Each returns: copy what you keep.
	Each func(Row)
}

// Snapshot is what the manager sends with a list, or with the answer that the list has not changed. It is zero for a
// manager that sends no versions.
type Snapshot struct {
	// Version is the state of the manager's data that the list shows.
	Version Version
	// ETag is the entity tag of the list, for a conditional request. It changes only when the list of this service
	// changes.
	ETag string
	// Environment is the environment of the list, as [ParseEnvironment] returns it.
	Environment string
	// NotModified means that the list has not changed since the Have of [SnapshotRequest]. Each was not called then.
	NotModified bool
}

// Row is one row of a list as it arrived; nothing has checked its values. All of them are empty for a null in the list
// and for a row whose id or status is not a string.
type Row struct{ ID, Name, Status []byte }

// Summary returns a copy of the row.
func (r Row) Summary() Summary {
	return Summary{ID: string(r.ID), Name: string(r.Name), Status: string(r.Status)}
}

// RowOf returns the row of a summary. It is the reverse of [Row.Summary].
func RowOf(s Summary) Row {
	return Row{ID: []byte(s.ID), Name: []byte(s.Name), Status: []byte(s.Status)}
}
