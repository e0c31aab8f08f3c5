// Package edges is for tests: the edge matrix of a face, which is where the project meets something that is not its own.
//
// A row is something that the far end can do: refuse, be another server, go silent in the middle. A column is an operation
// of ours that reaches it. Each cell is run and has its expected outcome, or says in a line why it cannot happen. Nothing
// may be left open: a cell that is missing fails the test, and so does an exported function or method of the face's
// packages that takes a context or returns an error and is neither a column nor said to stay inside.
//
// "go test" runs what is quick. With -edges.full, as in "make matrix", the cells that take longer run too.
package edges

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

var full = flag.Bool("edges.full", false, "run the cells of the edge matrices that take long, too")

// Table is the matrix of one face.
type Table struct {
	// Face names it in the output: redis, postgresql, files, http client, http server, processes or settings, as a string
	// literal, which a rule over the source looks for.
	Face string
	// Packages are the directories whose exported functions and methods are looked through, relative to the test, as
	// string literals too. A package main has none: its columns are what the face has otherwise.
	Packages []string
	// Faults are the rows, Operations the columns. An operation that is a function or a method is called as [Exported]
	// calls it, "Publisher.Publish"; others may have any name.
	Faults, Operations []string
	// Inside has the functions and methods that reach nothing outside, and those that a column stands for, each with
	// the reason.
	Inside map[string]string
	// Cell returns what is to be done at the crossing of a row and a column.
	Cell func(fault, operation string) Cell
}

// Cell is one crossing. Exactly one of Run and Never is set.
type Cell struct {
	// Run does the operation under the fault and fails the test when something else comes out than should.
	Run func(t *testing.T)
	// Never says why the fault cannot happen to the operation.
	Never string
	// Long says why the cell is left out of a quick run. Empty runs it always.
	Long string
}

// Never is a cell that cannot happen.
func Never(why string) Cell { return Cell{Never: why} }

// Run runs every cell as a subtest, and prints how many there are.
func (t Table) Run(tt *testing.T) {
	tt.Helper()
	for _, problem := range t.problems() {
		tt.Error(problem)
	}
	for _, name := range unlisted(tt, t) {
		tt.Errorf("%s: %s reaches outside, or may: give it a column, or say in Inside why it does not", t.Face, name)
	}
	var ran, never, long atomic.Int32
	tt.Run("cells", func(tt *testing.T) {
		for _, fault := range t.Faults {
			for _, operation := range t.Operations {
				cell := t.Cell(fault, operation)
				switch {
				case cell.Run == nil:
					never.Add(1)
				case cell.Long != "" && !*full:
					long.Add(1)
				default:
					ran.Add(1)
					tt.Run(strings.ReplaceAll(fault+"/"+operation, " ", "_"), cell.Run)
				}
			}
		}
	})
	tt.Logf("edges: %s: %d cells: %d run, %d can't happen, %d left to the full run", t.Face, len(t.Faults)*len(t.Operations), ran.Load(), never.Load(), long.Load())
}

// problems are what is wrong with the table itself.
func (t Table) problems() []string {
	var found []string
	for _, names := range [][]string{t.Faults, t.Operations} {
		sorted := slices.Sorted(slices.Values(names))
		if len(names) == 0 || len(slices.Compact(sorted)) != len(names) {
			found = append(found, fmt.Sprintf("%s: a row or column is there twice, or there is none: %q", t.Face, names))
		}
	}
	for name, why := range t.Inside {
		if why == "" || slices.Contains(t.Operations, name) {
			found = append(found, fmt.Sprintf("%s: %s is in Inside without a reason, or is a column as well", t.Face, name))
		}
	}
	for _, fault := range t.Faults {
		for _, operation := range t.Operations {
			if cell := t.Cell(fault, operation); (cell.Run == nil) == (cell.Never == "") {
				found = append(found, fmt.Sprintf("%s: the cell of %q and %q has to be run, or to say why it cannot happen", t.Face, fault, operation))
			}
		}
	}
	slices.Sort(found)
	return found
}
