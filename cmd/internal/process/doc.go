// Package process is a process and its group, and what people see of it: what "tenantwatch work" keeps for each tenant.
//
// A [Child] is started in a group of its own by a [Keeper], which hears of its end and of that of its group. What the process writes,
// and what happens to it, goes to a [Voice] of a [Display]: [Lines] has a line for everything, and [Board] paints a table. A display is
// handed what it shows, and calls nobody who supervises.
//
// A process has a goroutine for each of its streams; [Child.Run] waits for the two, and for the one goroutine of the keeper to say
// that nothing is left of the group. A process has no thread, except on systems that are not Linux. Whoever supervises waits for no
// output: a process waits for a reader that is slow, and for one that is stuck its lines are dropped and counted.
//
// # Files, in reading order
//
//	text.go                     times for people, and what is wrong with an output
//	terminal.go, terminal_*.go  what a table is painted on, and text without what a terminal obeys
//	voice.go                    what happens to a process, and the two interfaces
//	drain.go                    the lines of a stream, in pieces if they are long
//	outlet.go                   what many processes have to say, written in turn
//	lines.go                    the display that prints a line for everything
//	picture.go                  the table as lines; pure
//	board.go                    the display that paints it
//	census_linux.go             which groups live, by /proc
//	child_*.go                  a process group, by system
//	keeper_*.go                 hears of the end of processes, and looks what is left of their groups, for all at once
//	child.go                    a process from its start to its end
//	reader_*.go                 whether anybody reads our own output
package process
