// Package activeset is what a discovery decides: which tenants are in the set, which news is old, when the list is asked for again,
// and in which state the set is. It is pure. A [Core] is told what has come, and what time it is, and answers what is to be
// published, told, logged and asked; it has no lock, no clock, no goroutine and no log of its own, so that a simulation
// drives it through a million schedules as a discovery does.
//
// The files, in the order in which they are read:
//
//	ident.go      an id as it is looked up: one hash for every spelling
//	origin.go     how tenants came to be in the set
//	tree.go       a persistent map: a change copies one path, readers keep what they have
//	places.go     a persistent set of places of a base
//	base.go       an immutable set of a million tenants, and how it is built
//	set.go        the set: a base, what of it is hidden, and a tree of what was added
//	verdict.go    the one table of what each event type does
//	rows.go       a list as it comes in
//	wave.go       news, and the news of many tenants as one
//	reconcile.go  apply an event to the set, reconcile it with a list
//	changes.go    what has changed since a version, in place of a list
//	failure.go    what has to be known of an error
//	revisions.go  which revisions of an epoch were heard of, and which are missing
//	world.go      what was heard of one epoch
//	recentids.go  events that come twice
//	memory.go     what tells old news from new, and what overrides a snapshot
//	schedule.go   when the next snapshot is asked for
//	span.go       what a subscription promises, and what a feed leaves out
//	hearing.go    whether anything has come by the present subscription, and when that is too late
//	announced.go  what a list has shown and no event has announced
//	history.go    the last changes of each tenant
//	names.go      the names of the tenants, where they are kept
//	state.go      the state, and its reason
//	core.go       all of it together
//	events.go     events in
//	doubts.go     what is missing, and for how long that is not a gap
//	snapshots.go  snapshots in
//	asking.go     whether to ask for changes or for the list, and what is done with changes
//	guard.go      removals that are held back
//	inspect.go    what a simulation looks at
package activeset
