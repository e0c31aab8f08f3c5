// Package sqldb is a database as such: SQLite in one file, or PostgreSQL. It opens, locks, migrates and backs up, runs transactions,
// and says of an error whether the database is to blame. What is kept, and its SQL, is the caller's.
//
// What the two databases do in their own way is behind one interface, dialect; nobody above it asks which one it is.
//
// The files, in the order in which they are read:
//
//	gate.go           lets everybody pass, or nobody
//	sqlitelog.go      how SQLite's log is kept short, though lists overlap
//	dialect.go        errors, limits, and what each kind of database does in its own way
//	tx.go             statements, in a transaction or each by itself, and those that are sent together
//	room.go           how much goes on at once, and whether a change has room
//	db.go             the DB: its transactions, each kind with connections of its own, and what an error means
//	lead.go           the lease of the one process that leads
//	migrate.go        the engine of migrations
//	files.go          files that are opened without waiting
//	lock_unix.go, lock_linux.go, lock_other.go, lock_windows.go
//	                  the locks of SQLite's file
//	sqlite.go         the dialect of SQLite
//	sqlitetx.go       its transactions that change something, and the statements that it knows
//	free_unix.go, free_other.go
//	                  how much its disk has left
//	driverfiles.go    the files that the driver of PostgreSQL reads
//	farend.go         whether PostgreSQL's address leads to the same server still, as far as it is known
//	sessions.go       what a connection to it has to be
//	postgres.go       the dialect of PostgreSQL
//	pgpipe.go         its transactions that change something, with few round trips
//	watch.go          who looks where the address leads
//	witness.go        what tells that when no connection is left
//	pglocks.go        its locks
//	pgmigrate.go      migrations that keep nobody waiting for long
//	backup.go         backups and restoring
//	open.go           the way in
package sqldb
