// Package planted plants bugs: it replaces one place of the code, builds the tests with that, and runs them, to see whether
// they notice. What a test has never caught, it may not be able to.
package planted

import (
	"bytes"
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
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
)

// limit is how long one run of a simulation may take.
const limit = 10 * time.Minute

// Mutation replaces a place of the code.
type Mutation struct {
	File string // relative to the package whose tests run
	Old  string // occurs once
	New  string
}

// Caught is how a simulation has caught a bug.
type Caught struct {
	Schedules, Steps int    // how many it took to find, and how many are left of the one that failed
	Schedule         string // what is left of it
}

// Simulation is how the one of a package is run: by a test that says how it failed in the words of [Failure].
type Simulation struct {
	Test    string   // its name
	Flags   []string // for a whole run
	Trace   string   // the flag for a line "schedule: …" before each, to find the one that ends the process
	Replay  string   // the flag, with its =, that takes one schedule to run
	Numbers []string // that the world of a schedule may have
}

// Failure is what a simulation says that has failed with the nth schedule and has shortened it to less.
func Failure(seed, n uint64, err error, less schedule.Schedule, again error, replay string) string {
	return fmt.Sprintf("seed %d: %v\nfound after %d schedules, shortened to %d steps: %v\n%s\nagain with %s'%s'",
		seed, err, n, len(less.Steps), again, less, replay, less)
}

var failure = regexp.MustCompile(`found after (\d+) schedules, shortened to (\d+) steps: .*\n\s*(.*)\n`)

// Hunt builds the tests of the package in the working directory with the bug in them, into dir, and runs the simulation.
// The error says that the bug cannot be planted, or has got away. A bug that ends the process is caught as well, and its
// schedule shortened from outside.
func (s Simulation) Hunt(ctx context.Context, bug Mutation, dir string) (Caught, error) {
	binary, err := bug.build(ctx, dir)
	if err != nil {
		return Caught{}, err
	}
	out, failed, err := s.execute(ctx, binary, s.Flags...)
	if err != nil {
		return Caught{}, err
	}
	if !failed {
		return Caught{}, errors.New("it has got away")
	}
	if said := failure.FindStringSubmatch(out); said != nil {
		how := Caught{Schedule: strings.TrimSpace(said[3])}
		how.Schedules, _ = strconv.Atoi(said[1]) // digits
		how.Steps, _ = strconv.Atoi(said[2])
		return how, nil
	}
	return s.crashed(ctx, binary)
}

var traced = regexp.MustCompile(`(?m)^schedule: (.*)$`)

// crashed shortens the schedule in which the process ended.
func (s Simulation) crashed(ctx context.Context, binary string) (Caught, error) {
	out, _, err := s.execute(ctx, binary, append([]string{s.Trace}, s.Flags...)...)
	if err != nil {
		return Caught{}, err
	}
	ran := traced.FindAllStringSubmatch(out, -1)
	if len(ran) == 0 {
		return Caught{}, fmt.Errorf("it failed without a schedule: %.2000s", out)
	}
	last, err := schedule.Parse(ran[len(ran)-1][1], s.Numbers...)
	if err != nil {
		return Caught{}, err
	}
	less := schedule.Shorten(last, func(less schedule.Schedule) bool {
		_, failed, err := s.execute(ctx, binary, s.Replay+less.String())
		return err == nil && failed
	})
	return Caught{Schedules: len(ran), Steps: len(less.Steps), Schedule: less.String()}, nil
}

// execute runs the simulation and reports whether it failed.
func (s Simulation) execute(ctx context.Context, binary string, args ...string) (out string, failed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"-test.run=^" + s.Test + "$", "-test.v", "-test.timeout=0"}, args...)...) //nolint:gosec // built a moment ago
	data, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); exited && ctx.Err() == nil {
		return string(data), true, nil
	}
	return string(data), false, err
}

// RunTest runs one test of a package with the bug in it, or without one when bug is nil, and reports whether it failed.
func RunTest(ctx context.Context, bug *Mutation, dir, pkg, test string) (out string, failed bool, err error) {
	args := []string{"test", "-count=1", "-timeout=5m", "-v", "-run=^" + test + "$"}
	if bug != nil {
		overlay, err := bug.overlay(dir)
		if err != nil {
			return "", false, err
		}
		args = append(args, "-overlay", overlay)
	}
	data, err := exec.CommandContext(ctx, "go", append(args, pkg)...).CombinedOutput() //nolint:gosec // the package and the test are in a table
	switch {
	case bytes.Contains(data, []byte("--- FAIL: "+test)):
		return string(data), true, nil
	case err != nil:
		return string(data), false, fmt.Errorf("test %s: %w\n%s", test, err, data)
	case !bytes.Contains(data, []byte("--- PASS: "+test)):
		return string(data), false, fmt.Errorf("there is no test %s in %s", test, pkg)
	}
	return string(data), false, nil
}

func (b Mutation) build(ctx context.Context, dir string) (binary string, err error) {
	overlay, err := b.overlay(dir)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "mutated.test")
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput() //nolint:gosec // paths of ours
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// overlay makes the file that has the go command take the code with the bug in it.
func (b Mutation) overlay(dir string) (string, error) {
	path, err := filepath.Abs(b.File)
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), b.Old); n != 1 {
		return "", fmt.Errorf("%s has the place of the bug %d times: the table has to follow the code", b.File, n)
	}
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", err
	}
	code := strings.Replace(string(source), b.Old, b.New, 1)
	err = os.WriteFile(mutated, []byte(code), 0o600)
	return overlay, errors.Join(err, os.WriteFile(overlay, replace, 0o600))
}
