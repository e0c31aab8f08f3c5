package discovery

import "fmt"

// UnusableListError is a list of which too few rows can be used: none of them, or less than half of 20 or more. A row is
// usable when it has a valid id and its status is a string. Such a list is refused as a whole, as one that is not JSON is;
// the set is kept.
type UnusableListError struct {
	// Rows is how many rows the list has, Unusable how many of them are of no use.
	Rows, Unusable int
}

// Error says how many rows are of no use, and what to look at.
func (e *UnusableListError) Error() string {
	return fmt.Sprintf("%d of the list's %d rows cannot be used, so nothing is taken from it; each needs an id "+
		`(1 to 256 letters, digits, - and _, in the field "id") and a status that is a string; is the manager's URL right?`,
		e.Unusable, e.Rows)
}

// EnvironmentError is a list of another environment than the one that is configured. It fails Start; later the set is kept.
type EnvironmentError struct {
	// Configured and Listed are the names of the two.
	Configured, Listed string
}

// Error names both, and what can be done.
func (e *EnvironmentError) Error() string {
	return fmt.Sprintf("the manager's list is of environment %[1]q, and %[2]q is configured; set Environment to %[1]q, or ask the manager of %[2]q",
		e.Listed, e.Configured)
}
