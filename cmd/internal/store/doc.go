// Package store keeps the tenant manager's data in SQL: SQLite in one file, or PostgreSQL.
//
// Every change is one transaction with its revisions and its events: the counter row of the environment is raised in the
// same transaction, so that the order of the revisions is the order of the commits, and the events lie in the outbox until
// somebody has published them. What was acknowledged is there after a crash, and so are its events.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	settings.go                     connections as they are kept, and as programs from before read them
//	change.go                       the one way to change something: lock the counter, change, number the events, commit
//	tx.go                           transactions, the pools, and what an error means
//	tenants.go, associations.go, keys.go, seed.go
//	                                the calls, and their SQL
//	active.go                       the list of a service, streamed at one revision, and its version
//	outbox.go, lead.go              what the relay asks: what is pending, what was sent, and whether it is the one
//	quarantine.go                   the events that were given up
//	audit.go, readings.go           who did what; what was read and is secret, folded
//	ping.go                         whether a change can be made, and has room
//	sqlite.go, postgres.go, lock_*.go
//	                                what each database does in its own way
//	files.go, driverfiles.go        files that are opened without waiting, and those that the driver of PostgreSQL reads
//	sessions.go, farend.go, witness.go, pglocks.go, pgmigrate.go
//	                                PostgreSQL's connections: what one has to be, whether its address leads to the same server still, and the locks
//	sqlitelog.go, gate.go           how SQLite's log is kept short, though lists overlap
//	migrate.go, migrations/         the schema, a set for each database
//	takeover.go                     an environment that a program of before has begun under another spelling
//	crypto.go, backup.go            encryption at rest; backups, and new epochs
//
// A change begins by locking the counter row of its environment (FOR UPDATE; in SQLite the only writer begins immediate) and
// keeps it until the commit. So what it has read is true when it writes, its revisions follow those of the change before, and
// one that is rolled back leaves no hole: whoever reads the outbox in the order of revisions passes nothing over. The price is
// that changes of one environment wait for each other, for a commit each.
package store
