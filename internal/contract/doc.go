// Package contract has the rules of the wire contract that a manager enforces, so that the manager and the fake that
// others test with cannot differ: what the connections of an association are, how a change is merged into them, what a
// service is shown and told of them, which names new tenants and services may have, which texts are taken, and how strictly a
// body is read. It is pure: no lock, no clock, no I/O.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	names.go, text.go, mediatype.go       which names, texts and bodies are taken
//	strictjson.go, tree.go, object.go     JSON, strictly, and with its order and its bytes
//	shapes.go, limits.go                  what a field of the connections has to be
//	connections.go, view.go, announce.go  how a change is merged, what a service is shown, and what it is told
//	before.go, sound.go                   what was stored by programs of before
package contract

// Invalid is a request that breaks a rule. Message never repeats a value, because it may be a password.
type Invalid struct { //nolint:errname // read with its package: contract.Invalid
	Code    string // for programs, such as INVALID_BODY
	Message string // for people
}

// Error says what is wrong, and what would be right.
func (i *Invalid) Error() string { return i.Message }
