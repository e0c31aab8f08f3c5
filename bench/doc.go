// Command bench measures the library against what people write by hand, and against the floor, in one run. Each row of its table has
// contenders that take turns, round after round, so that what else the machine does hits all of them; a figure is the median
// of the rounds, and what counts is the ratio. docs/performance.md says what came of it.
//
// By hand is an RWMutex around a map[string]struct{}, which is copied for every reader of all ids; json.Unmarshal of the whole
// list into []*struct, and of an event's envelope and then of its payload; callbacks on the receive path; no compression.
//
// The files, in the order in which they are read:
//
//	byhand.go   what people write
//	measure.go  time, allocations and memory of one contender
//	table.go    rows, goals and what is printed
//	fixture.go  ids, lists, events, a feed and a manager in memory
//	reads.go    the rows of those who read the set
//	events.go   the rows of what arrives
//	lists.go    the rows of lists: bootstrap, and reconciles
//	chart.go    a chart, drawn as SVG
//	growth.go   how cost grows: with tenants, events and watchers
//	main.go     flags, and the run
package main
