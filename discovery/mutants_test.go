//go:build mutants

package discovery_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/tenantwatch/tenantwatch/internal/test/planted"
)

// mutant is a bug that is planted, by replacing one place of the code, to see that the simulation notices.
type mutant struct {
	layer string // in which it is to be seen
	bug   string
	rule  string // of docs/guarantees.md and ARCHITECTURE.md that it breaks
	file  string
	old   string // occurs once
	new   string
}

// The most that a shortened schedule may have, and the schedules to try before a mutant has got away.
const (
	mostSteps = 20
	coreTries = 1_000_000
	liveTries = 4_000
)

// TestMutants plants one bug after the other and wants each to be caught by the simulation, with a schedule of at most 20
// steps. It prints a table of how.
func TestMutants(t *testing.T) {
	out := new(strings.Builder)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "planted bug\trule\tlayer\tschedules\tsteps\tthe shortened schedule")
	tried, escaped := 0, 0
	for _, m := range mutants {
		t.Run(m.bug, func(t *testing.T) {
			tried++ // not all are, under -run
			how, err := m.hunt(t)
			if err != nil {
				escaped++
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t\t\tNOT CAUGHT\n", m.bug, m.rule, m.layer)
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\n", m.bug, m.rule, m.layer, how.Schedules, how.Steps, how.Schedule)
			t.Logf("after %d schedules, by %s", how.Schedules, how.Schedule)
			if how.Steps > mostSteps {
				t.Errorf("the shortened schedule has %d steps: %s", how.Steps, how.Schedule)
			}
		})
	}
	_ = table.Flush() // into memory
	t.Logf("%d planted bugs, %d caught\n%s", tried, tried-escaped, out)
}

// hunt runs the simulation with the bug in the code.
func (m mutant) hunt(t *testing.T) (planted.Caught, error) {
	t.Helper()
	tries := map[string]int{"core": coreTries, "live": liveTries}[m.layer]
	simulation := planted.Simulation{
		Test: "TestSimulation", Trace: "-simulation.trace", Replay: "-simulation.replay=", Numbers: worldNumbers,
		Flags: []string{"-simulation.layer=" + m.layer, "-simulation.schedules=" + strconv.Itoa(tries), "-simulation.core=1"},
	}
	return simulation.Hunt(t.Context(), planted.Mutation{File: m.file, Old: m.old, New: m.new}, t.TempDir())
}

// namedMutant is a bug that a test of its own catches.
type namedMutant struct {
	bug, rule, pkg, file, old, new string
	test                           string
}

// TestNamedMutants plants each of them, and wants its test to pass without it and to fail with it.
func TestNamedMutants(t *testing.T) {
	for _, m := range namedMutants {
		t.Run(m.bug, func(t *testing.T) {
			if out, failed, err := planted.RunTest(t.Context(), nil, "", m.pkg, m.test); err != nil || failed {
				t.Fatalf("%s fails without it: %v\n%s", m.test, err, out)
			}
			bug := planted.Mutation{File: filepath.Join(m.pkg, m.file), Old: m.old, New: m.new}
			out, failed, err := planted.RunTest(t.Context(), &bug, t.TempDir(), m.pkg, m.test)
			if err != nil || !failed {
				t.Fatalf("%s does not catch it: %v\n%s", m.test, err, out)
			}
			t.Logf("%s: caught by %s", m.rule, m.test)
		})
	}
}
