//go:build mutants

package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
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
	mostSteps    = 20
	coreTries    = 1_000_000
	liveTries    = 4_000
	mutantsLimit = 10 * time.Minute // for one
)

// caught is how a mutant was.
type caught struct {
	layer            string
	schedules, steps int
	schedule         string
}

// TestMutants plants one bug after the other and wants each to be caught by the simulation, with a schedule of at most 20
// steps. It prints a table of how.
func TestMutants(t *testing.T) {
	out := new(strings.Builder)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "planted bug\trule\tlayer\tschedules\tsteps\tthe shortened schedule")
	planted, escaped := 0, 0
	for _, m := range mutants {
		t.Run(m.bug, func(t *testing.T) {
			planted++ // not all are, under -run
			how, err := m.hunt(t)
			if err != nil {
				escaped++
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t\t\tNOT CAUGHT\n", m.bug, m.rule, m.layer)
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\n", m.bug, m.rule, how.layer, how.schedules, how.steps, how.schedule)
			t.Logf("after %d schedules, by %s", how.schedules, how.schedule)
			if how.steps > mostSteps {
				t.Errorf("the shortened schedule has %d steps: %s", how.steps, how.schedule)
			}
		})
	}
	_ = table.Flush() // into memory
	t.Logf("%d planted bugs, %d caught\n%s", planted, planted-escaped, out)
}

// hunt builds the tests with the bug in them and runs the simulation.
func (m mutant) hunt(t *testing.T) (caught, error) {
	t.Helper()
	binary, err := m.build(t)
	if err != nil {
		return caught{}, err
	}
	how, err := m.run(t, binary)
	if err == nil && how.schedules == 0 {
		err = errors.New("it has got away")
	}
	return how, err
}

func (m mutant) build(t *testing.T) (binary string, err error) {
	t.Helper()
	dir := t.TempDir()
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "discovery.test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// overlay makes the file that has the go command take the code with the bug in it.
func (m mutant) overlay(dir string) (string, error) {
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("%s has the place of the bug %d times: the table has to follow the code", m.file, n)
	}
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", err
	}
	code := strings.Replace(string(source), m.old, m.new, 1)
	err = os.WriteFile(mutated, []byte(code), 0o600)
	return overlay, errors.Join(err, os.WriteFile(overlay, replace, 0o600))
}

var found = regexp.MustCompile(`found after (\d+) schedules, shortened to (\d+) steps: .*\n\s*(.*)\n`)

// run lets the simulation run. A bug that ends the process is caught as well, and its schedule shortened from outside.
func (m mutant) run(t *testing.T, binary string) (caught, error) {
	t.Helper()
	tries := map[string]int{"core": coreTries, "live": liveTries}[m.layer]
	out, failed, err := execute(t, binary, "-simulation.layer="+m.layer, "-simulation.schedules="+strconv.Itoa(tries),
		"-simulation.core=1", "-simulation.trace="+strconv.FormatBool(m.layer == "live"))
	if err != nil || !failed {
		return caught{}, err
	}
	how := caught{layer: m.layer}
	if said := found.FindStringSubmatch(out); said != nil {
		how.schedules, _ = strconv.Atoi(said[1]) // digits
		how.steps, _ = strconv.Atoi(said[2])
		how.schedule = strings.TrimSpace(said[3])
		return how, nil
	}
	return m.crashed(t, binary, out)
}

// crashed shortens the schedule in which the process ended.
func (m mutant) crashed(t *testing.T, binary, out string) (caught, error) {
	t.Helper()
	traced := regexp.MustCompile(`(?m)^schedule: (.*)$`).FindAllStringSubmatch(out, -1)
	if len(traced) == 0 {
		return caught{}, fmt.Errorf("it failed without a schedule: %.2000s", out)
	}
	last, err := parseSchedule(traced[len(traced)-1][1])
	if err != nil {
		return caught{}, err
	}
	less := shorten(last, func(s schedule) bool {
		_, failed, err := execute(t, binary, "-simulation.replay="+s.String())
		return err == nil && failed
	})
	return caught{layer: "live", schedules: len(traced), steps: len(less.steps), schedule: less.String()}, nil
}

// execute runs the simulation and reports whether it failed.
func execute(t *testing.T, binary string, args ...string) (out string, failed bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mutantsLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"-test.run=^TestSimulation$", "-test.v", "-test.timeout=0"}, args...)...)
	data, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return string(data), true, nil
	}
	return string(data), false, err
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
			overlay, err := (mutant{file: filepath.Join(m.pkg, m.file), old: m.old, new: m.new}).overlay(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if out, failed := m.runTest(t); failed {
				t.Fatalf("%s fails without it:\n%s", m.test, out)
			}
			out, failed := m.runTest(t, "-overlay", overlay)
			if !failed || !strings.Contains(out, "--- FAIL: "+m.test) {
				t.Fatalf("%s does not catch it:\n%s", m.test, out)
			}
			t.Logf("%s: caught by %s", m.rule, m.test)
		})
	}
}

func (m namedMutant) runTest(t *testing.T, flags ...string) (out string, failed bool) {
	t.Helper()
	args := append(append([]string{"test"}, flags...), "-count=1", "-timeout=5m", "-v", "-run=^"+m.test+"$", m.pkg)
	data, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	return string(data), err != nil || !strings.Contains(string(data), "--- PASS: "+m.test)
}
