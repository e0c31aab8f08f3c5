package discovery_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// faultReport is the table of what was measured.
type faultReport struct {
	scale scale
	lines []*faultLine
}

// faultLine is one fault on one feed.
type faultLine struct {
	Feed, Fault, Row string
	Bound            time.Duration
	// NotToBeHad is why the fault could not be made here.
	NotToBeHad string

	mu       sync.Mutex // guards Measured
	Measured []measurement
}

func (r *faultReport) line(feed string, f *fault) *faultLine {
	line := &faultLine{Feed: feed, Fault: f.name, Row: f.row, Bound: f.bound}
	r.lines = append(r.lines, line)
	return line
}

func (l *faultLine) add(m measurement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Measured = append(l.Measured, m)
}

// publish prints the table or, in a namespace, writes the measurements for the one who prints it.
func (r *faultReport) publish(t *testing.T) {
	t.Helper()
	if *faultsResult == "" {
		t.Logf("an allowance of %v is on top of each bound\n\n%s", r.scale.allowance, r.table())
		return
	}
	data, err := json.Marshal(r.lines)
	if err == nil {
		err = os.WriteFile(*faultsResult, data, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// table is in Markdown.
func (r *faultReport) table() string {
	var out strings.Builder
	out.WriteString("| feed | fault | row | times | p50 | max | bound | what was observed |\n|---|---|---|---|---|---|---|---|\n")
	for _, l := range r.lines {
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", l.Feed, l.Fault, l.Row, l.cells())
	}
	return out.String()
}

func (l *faultLine) cells() string {
	if l.NotToBeHad != "" {
		return "0 | – | – | " + seconds(l.Bound) + " | not to be had here: " + l.NotToBeHad
	}
	took := make([]time.Duration, 0, len(l.Measured))
	for _, m := range l.Measured {
		took = append(took, m.Took)
	}
	slices.Sort(took)
	longest := time.Duration(0)
	if len(took) > 0 {
		longest = took[len(took)-1]
	}
	return fmt.Sprintf("%d | %s | %s | %s | %s", len(took), seconds(median(took)), seconds(longest), seconds(l.Bound), l.observed())
}

// observed tells of one cycle what was in the middle.
func (l *faultLine) observed() string {
	text := fmt.Sprintf("%d net changes, %d callbacks, %d reconciles, %d requests",
		l.middle(func(m measurement) int { return m.Net }),
		l.middle(func(m measurement) int { return m.Callbacks }),
		l.middle(func(m measurement) int { return int(m.Reconciles) }), //nolint:gosec // some
		l.middle(func(m measurement) int { return m.Requests }))
	noticed := slices.MaxFunc(append(l.Measured, measurement{}), func(a, b measurement) int { return cmp.Compare(a.Noticed, b.Noticed) }).Noticed
	if noticed > 0 {
		text += ", noticed within " + seconds(noticed)
	}
	return text
}

func (l *faultLine) middle(of func(measurement) int) int {
	all := make([]int, 0, len(l.Measured))
	for _, m := range l.Measured {
		all = append(all, of(m))
	}
	slices.Sort(all)
	return median(all)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s" }

// namespaces are the ways to a network namespace of one's own: as root, and as anybody where the system lets one.
var namespaces = [][]string{
	{"unshare", "--net"},
	{"unshare", "--user", "--map-root-user", "--net"},
}

// inside is run in the namespace: only its own loopback is there, and its own firewall.
const inside = `PATH="$PATH:/usr/sbin:/sbin"; ip link set lo up && iptables -L -n >/dev/null && exec "$@"`

// runApart runs the test binary in a network namespace, for this fault alone, and takes over what it measured.
func (f *fault) runApart(t *testing.T, s scale, line *faultLine) {
	t.Helper()
	way, reason := wayApart(t)
	if reason != "" {
		line.NotToBeHad = reason
		t.Logf("NOT TO BE HAD HERE: %s: %s", f.name, reason)
		return
	}
	result := filepath.Join(t.TempDir(), "measured.json")
	command := apart(t, way, os.Args[0], "-test.run=^TestFaults$", "-test.v", "-faults.only="+f.name, "-faults.result="+result,
		"-faults.full="+strconv.FormatBool(*faultsFull), "-faults.times="+strconv.Itoa(s.times))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("in the namespace: %v\n%s", err, output)
	}
	data, err := os.ReadFile(result)
	if err != nil {
		t.Fatalf("it left no result: %v\n%s", err, output)
	}
	var lines []*faultLine
	if err := json.Unmarshal(data, &lines); err != nil || len(lines) == 0 {
		t.Fatalf("its result is %s: %v", data, err)
	}
	for _, other := range lines {
		if other.Feed == line.Feed {
			line.Measured = other.Measured
		}
	}
}

// wayApart finds out how this system gives a namespace, or why it does not.
func wayApart(t *testing.T) (way []string, reason string) {
	t.Helper()
	var reasons []string
	for _, way := range namespaces {
		output, err := apart(t, way, "true").CombinedOutput()
		if err == nil {
			return way, ""
		}
		first, _, _ := strings.Cut(string(bytes.TrimSpace(output)), "\n")
		reasons = append(reasons, fmt.Sprintf("%s: %v %s", strings.Join(way, " "), err, first))
	}
	return nil, strings.Join(reasons, "; ")
}

func apart(t *testing.T, way []string, args ...string) *exec.Cmd {
	t.Helper()
	command := slices.Concat(way[1:], []string{"sh", "-c", inside, "sh"}, args)
	return exec.CommandContext(t.Context(), way[0], command...) //nolint:gosec // it runs this very test
}

// drop adds (-A) rules that drop every packet from and to Redis, or takes them back (-D). It works on the firewall of the
// namespace that this process has to itself.
func (a *arena) drop(how string) {
	a.t.Helper()
	if *faultsResult == "" {
		a.t.Fatal("not in a namespace of its own")
	}
	for _, port := range []string{"--dport", "--sport"} {
		output, err := exec.CommandContext(a.t.Context(), "iptables", how, "INPUT", "-p", "tcp", port, a.redis.Port(), "-j", "DROP").CombinedOutput()
		if err != nil {
			a.t.Fatalf("iptables %s: %v %s", how, err, output)
		}
	}
}
