package discovery

import "fmt"

// UnusableListError says that too few rows of a list can be used: none of them, or less than half when there are at
// least 20. A row is usable when it has a valid id and its status is a string. The whole list is refused, and the set
// stays as it is.
type UnusableListError struct {
	// Rows is the number of rows of the list, Unusable the number of those that cannot be used.
	Rows, Unusable int
}

// Error says how many rows cannot be used, and what to check.
func (e *UnusableListError) Error() string {
	return fmt.Sprintf("%d of the list's %d rows cannot be used, so nothing is taken from it; each needs an id "+
		`(1 to 256 letters, digits, - and _, in the field "id") and a status that is a string; is the manager's URL right?`,
		e.Unusable, e.Rows)
}

// EnvironmentError says that the list belongs to another environment than the configured one. Start fails with it. A
// later list with this error is refused, and the set stays as it is.
type EnvironmentError struct {
	// Configured is the environment of [Config], Listed that of the list.
	Configured, Listed string
}

// Error names both environments and says what to do.
func (e *EnvironmentError) Error() string {
	return fmt.Sprintf("the manager's list is of environment %[1]q, and %[2]q is configured; set Environment to %[1]q, or ask the manager of %[2]q",
		e.Listed, e.Configured)
}
