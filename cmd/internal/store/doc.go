// Package store keeps the tenant manager's data, in the SQL of SQLite and PostgreSQL.
//
// Every change is one transaction with its revisions and its events: the counter row of the environment is raised in the
// same transaction, so that the order of the revisions is the order of the commits, and the events lie in the outbox until
// somebody has published them. What was acknowledged is there after a crash, and so are its events.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	api.go            the words: options, errors, and what the calls take and return
//	crypto.go         encryption at rest
//	epoch.go          the identity of the data
//	open.go           the Store, and what opening it prepares
//	change.go         the one way to change something: read, write, number the events
//	line.go           the changes that wait, and who makes them
//	group.go          their transaction: lock the counter, make them one after the other, commit
//	settings.go       connections as they are kept, and as programs from before read them
//	lead.go           whether this process may relay, and whether changes can be made
//	active.go         the list of a service, streamed at one revision, and its version
//	counts.go         how many tenants a list has, and the digest of their ids
//	outbox.go         what the relay asks: what is pending, and what was sent
//	since.go          what has changed since a version of a list
//	audit.go          who did what
//	quarantine.go     the events that were given up
//	readings.go       what was read and is secret, folded
//	associations.go   the calls on a tenant and a service, and their SQL
//	keys.go           those on keys and tokens
//	takeover.go       an environment that a program of before has begun under another spelling
//	backup.go         backups, and new epochs
//	tenants.go        the calls on tenants
//	seed.go           many tenants at once
//
// The schema is in migrations/, a set for each kind of database; the database as such is package sqldb.
//
// A change begins by locking the counter row of its environment (FOR UPDATE; in SQLite the only writer begins immediate) and
// keeps it until the commit. So what it has read is true when it writes, its revisions follow those of the change before, and
// one that is rolled back leaves no hole: whoever reads the outbox in the order of revisions passes nothing over.
//
// The price is that changes of one environment wait for each other. So those of a process that wait share the next transaction:
// the first of them leads, and makes the changes of at most 128 calls, one after the other, each as if it were alone. One that the
// rules refuse leaves nothing in the transaction. One that the database refuses has all of it rolled back, and then each is made by
// itself, so that each has an error of its own. When the answer to the commit is lost, all are told so, and none is made again.
package store
