// Package tenant holds the words that every other package of tenantwatch speaks: what a tenant is called
// ([Summary], [CanonicalID]), what a tenant manager announces about it ([Event], [ParseEvent]), what a worker is
// told of it ([Change]), which state of the manager's data something belongs to ([Version]), and how events reach
// us ([Feed]).
//
// The package imports the standard library only, starts no goroutine and does no I/O.
package tenant
