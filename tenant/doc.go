// Package tenant defines the types that every other package of tenantwatch shares: a row of the manager's list
// ([Summary]), an event that the manager announces ([Event]), a change that a worker is told of ([Change]), a state of
// the manager's data ([Version]), and a source of events ([Feed]).
//
// The package needs little more than the standard library, starts no goroutine and does no I/O.
//
// # Terms
//
// A tenant is one customer of an application. A service is one program of that application, such as "ledger". The
// tenant manager is the server that knows all tenants. An association says that a tenant uses a service; the tenant
// is active for the service when both the tenant and the association are active.
//
// An environment, such as "production", separates the tenants of one installation from those of another. A list is
// the manager's answer to the question which tenants are active for a service. A snapshot is a list as a program
// takes it in, together with its [Version]. A heartbeat is a short message that the manager sends every few seconds,
// with the newest version that it has announced.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	id.go, words.go                     ids, words for a status, and the rows of a list
//	version.go, environment.go          the state of the data, and the environment, that something belongs to
//	event.go, payload.go, heartbeat.go  what comes over the wire
//	wire.go                             how an event is read
//	exact.go                            JSON whose names are compared exactly
//	change.go                           what a worker is told
//	feed.go, snapshot.go                what a source of events, and a source of lists, has to do
//	changesource.go, digest.go          what a source of changes has to do, and how a list is checked after them
package tenant
