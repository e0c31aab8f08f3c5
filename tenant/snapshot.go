package tenant

// SnapshotRequest asks for the list of the tenants that are active for a service.
type SnapshotRequest struct {
	// Service is the name of the service.
	Service string
	// Have is what came with the list that is known; with its ETag the answer may be that the list is still the same. The zero
	// Snapshot wants the list whatever it is.
	Have Snapshot
	// Each is required. It is called for every row, in the manager's order, on the goroutine of the request and before that returns. What it was
	// given counts for nothing when the request fails. The bytes of the row are lent: they are overwritten when Each has returned.
	Each func(Row)
}

// Snapshot is what came with a list, or with the answer that it is still the same. All of it is empty for a manager that sends
// no versions.
type Snapshot struct {
	// Version is the one at which the list was read.
	Version Version
	// ETag is the entity tag of the list, for a conditional request. It changes only when the list of that one service does.
	ETag string
	// Environment is that of the list, as [ParseEnvironment] returns it.
	Environment string
	// NotModified means that the list is still the one of [SnapshotRequest].Have. Then no row was given.
	NotModified bool
}

// Row is one row of a list as it came: its values have not been looked at. All are empty for a null in the list, and for a row
// whose id or status is not a string.
type Row struct{ ID, Name, Status []byte }

// Summary is a copy of the row.
func (r Row) Summary() Summary {
	return Summary{ID: string(r.ID), Name: string(r.Name), Status: string(r.Status)}
}

// RowOf is the row of a summary. It is the opposite of [Row.Summary].
func RowOf(s Summary) Row {
	return Row{ID: []byte(s.ID), Name: []byte(s.Name), Status: []byte(s.Status)}
}
