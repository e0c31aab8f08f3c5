// Package contract has the rules of the wire contract that a manager enforces, so that the manager and the fake that
// others test with cannot differ: what the connections of an association are, how a change is merged into them, what a
// service is shown and told of them, which names new tenants and services may have, which texts are taken, and how strictly a
// body is read. It is pure: no lock, no clock, no I/O.
package contract

// Invalid is a request that breaks a rule. Message never repeats a value, because it may be a password.
type Invalid struct { //nolint:errname // read with its package: contract.Invalid
	Code    string // for programs, such as INVALID_BODY
	Message string // for people
}

// Error says what is wrong, and what would be right.
func (i *Invalid) Error() string { return i.Message }
