// Package tenant holds the words that every other package of tenantwatch speaks: what a tenant is called
// ([Summary], [CanonicalID]), what a tenant manager announces about it ([Event], [ParseEvent]), what a worker is
// told of it ([Change]), which state of the manager's data something belongs to ([Version]), and how events reach
// us ([Feed]).
//
// The package imports the standard library only, starts no goroutine and does no I/O.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	id.go, words.go                     ids, words for a state, and the rows of a list
//	version.go, environment.go          of which state of the data, and of which environment, something is
//	event.go, payload.go, heartbeat.go  what comes over the wire
//	exact.go                            JSON whose names count as they are spelled
//	change.go                           what a worker is told
//	feed.go, snapshot.go                what a source of events, and one of lists, has to do
package tenant
