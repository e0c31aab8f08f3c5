//go:build mutants

package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/tenantwatch/tenantwatch/internal/test/planted"
)

// mutant is a bug that is planted to see that the simulation notices.
type mutant struct {
	bug, file string
	old, new  string
}

// mostSteps is the most that a shortened schedule may have.
const mostSteps = 12

// TestMutants plants one bug after the other and wants each to be caught by the simulation, with a short schedule. It
// prints a table of how.
func TestMutants(t *testing.T) {
	simulation := planted.Simulation{
		Test: "TestSimulation", Flags: []string{"-worker.schedules=20000"}, Trace: "-worker.trace", Replay: "-worker.replay=", Numbers: worldNumbers,
	}
	out := new(strings.Builder)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "planted bug\tschedules\tsteps\tthe shortened schedule")
	tried, escaped := 0, 0
	for _, m := range mutants {
		t.Run(m.bug, func(t *testing.T) {
			tried++ // not all are, under -run
			how, err := simulation.Hunt(t.Context(), planted.Mutation{File: m.file, Old: m.old, New: m.new}, t.TempDir())
			if err != nil {
				escaped++
				_, _ = fmt.Fprintf(table, "%s\t\t\tNOT CAUGHT\n", m.bug)
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", m.bug, how.Schedules, how.Steps, how.Schedule)
			if how.Steps > mostSteps {
				t.Errorf("the shortened schedule has %d steps: %s", how.Steps, how.Schedule)
			}
		})
	}
	_ = table.Flush() // into memory
	t.Logf("%d planted bugs, %d caught\n%s", tried, tried-escaped, out)
}
