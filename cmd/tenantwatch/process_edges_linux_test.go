package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/internal/test/edges"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/worker"
)

// processFault is a row of the matrix: what a process, or its group, does.
type processFault struct {
	script   string // NAP stands for how long it sleeps; it says "ready" unless it ends by itself
	ends     string // the event of its end, when it ends by itself
	stubborn bool   // something of its group ignores SIGTERM
	leaves   int    // so many that left the group live on
	missing  bool   // there is no such program
}

var processFaults = map[string]processFault{
	"ends when it is asked to":           {script: "trap 'echo reloaded' HUP; echo ready; sleep NAP & wait; sleep NAP"},
	"ignores SIGTERM":                    {script: "trap '' TERM; echo ready; sleep NAP", stubborn: true},
	"has a child that ignores SIGTERM":   {script: "(trap '' TERM; exec sleep NAP) & sleep 0.1; echo ready; wait", stubborn: true},
	"leaves a child that ignores it":     {script: "(trap '' TERM; exec sleep NAP) & sleep 0.1; echo ready; exit 3", ends: process.EventFailed, stubborn: true},
	"leaves a child":                     {script: "sleep NAP & exit 3", ends: process.EventFailed},
	"has a child that leaves the group":  {script: "setsid sleep NAP & sleep 0.1; echo ready; wait", leaves: 1},
	"forks and is not the one that runs": {script: "(echo ready; exec sleep NAP) & wait"},
	"exits with 0":                       {script: "exit 0", ends: process.EventDone},
	"exits with 3":                       {script: "exit 3", ends: process.EventFailed},
	"exits with 78":                      {script: "exit 78", ends: process.EventGivenUp},
	"dies by a signal":                   {script: "kill -SEGV $$; sleep NAP", ends: process.EventFailed},
	"never starts":                       {missing: true, ends: process.EventFailed},
	"writes without end":                 {script: "echo ready; yes"},
	"closes its output":                  {script: "echo ready; exec >&- 2>&-; sleep NAP"},
	"asks the terminal":                  {script: "(cat < /dev/tty) 2>/dev/null; echo ready; sleep NAP"},
	"is stopped":                         {script: "echo ready; kill -STOP $$; sleep NAP"},
	"waits for none of its children":     {script: "sleep 0 & echo ready; exec sleep NAP"},
}

// The rows for which there is no script: what the system does, or what many do at once.
const (
	tooMany = "is refused by a limit of tasks"
	ofMany  = "is one of hundreds that leave a child"
	inABox  = "leaves orphans in a container"
)

// TestEdgesOfProcesses is the matrix of what a process can do and what "work" does with it.
func TestEdgesOfProcesses(t *testing.T) {
	var faults []string
	for name := range processFaults {
		faults = append(faults, name)
	}
	slices.Sort(faults)
	edges.Table{
		Face: "processes", Faults: append(faults, tooMany, ofMany, inABox),
		Operations: []string{"start", "reconfigure by a signal", "stop", "kill after the grace", "second Ctrl-C", "end of work"},
		Cell: func(fault, operation string) edges.Cell {
			f, scripted := processFaults[fault]
			switch {
			case !scripted:
				return cellOfMany(fault, operation)
			case f.ends != "" && !f.stubborn && operation != "start" && operation != "reconfigure by a signal":
				return edges.Never("it has ended by itself, and nothing of it is left to be ended")
			}
			cell := edges.Cell{Run: func(t *testing.T) { newProcessCell(t, f).do(operation) }}
			if f.leaves > 0 && operation != "stop" {
				cell.Long = "its output is waited for"
			}
			return cell
		},
	}.Run(t)
}

func cellOfMany(fault, operation string) edges.Cell {
	switch fault + ", " + operation {
	case tooMany + ", start":
		return edges.Cell{Run: TestX33ALimitOfTasksEndsNobody, Long: "it fills a limit with processes"}
	case ofMany + ", end of work":
		return edges.Cell{Run: TestX30NothingOfManyGroupsIsLeft, Long: "it starts twelve hundred processes"}
	case inABox + ", start":
		return edges.Cell{Run: TestX31NoZombiesAsTheFirstProcess, Long: "it starts a few hundred processes"}
	case tooMany + ", end of work":
		return edges.Never("the start that was refused has left nothing; the cell of start ends the others")
	default:
		return edges.Never("there it is as with one process")
	}
}

// processCell is one process, and what is told of it.
type processCell struct {
	t      *testing.T
	fault  processFault
	nap    string
	runner *runner
	hurry  chan struct{}
	cancel context.CancelCauseFunc
	ended  chan error

	mu     sync.Mutex // guards what follows
	events []string
	said   strings.Builder
}

func newProcessCell(t *testing.T, f processFault) *processCell {
	t.Helper()
	c := &processCell{t: t, fault: f, nap: someSeconds(), hurry: make(chan struct{}), ended: make(chan error, 1)}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("NOT TESTED: there is no shell")
	}
	r := jobRunner(t)
	r.path, r.args = sh, []string{"-c", strings.ReplaceAll(f.script, "NAP", c.nap)}
	if f.missing {
		r.path = t.TempDir()
	}
	r.grace, r.hurry, r.display, r.signal = time.Hour, c.hurry, c, syscall.SIGHUP
	c.runner = r
	return c
}

// The cell is the display of its runner, and the voice of its process.

// Voice is called by the runner.
func (c *processCell) Voice(string) process.Voice { return c }

// During is not called.
func (c *processCell) During(func(error), func() error) error { return nil }

// Event notes it.
func (c *processCell) Event(e process.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e.Type)
}

// Read keeps the beginning of what the process writes.
func (c *processCell) Read(_ process.Stream, r io.Reader) {
	const most = 64 << 10
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		c.mu.Lock()
		if c.said.Len() < most {
			c.said.Write(buffer[:n])
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *processCell) has(line string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.said.String(), line+"\n")
}

// start runs the work until it is ready, or has ended.
func (c *processCell) start() {
	c.t.Helper()
	ctx, cancel := context.WithCancelCause(c.t.Context())
	c.cancel = cancel
	go func() { c.ended <- c.runner.work(ctx, "t") }()
	if c.fault.ends == "" {
		c.awaitReady()
	}
}

func (c *processCell) awaitReady() {
	c.t.Helper()
	until(c.t, func() bool { return c.has("ready") }, "it is not ready: %q", c.fault.script)
}

func (c *processCell) do(operation string) {
	c.t.Helper()
	short := 200 * time.Millisecond
	if c.fault.stubborn {
		c.runner.grace = short
	}
	switch operation {
	case "start":
		c.start()
		if c.fault.ends == "" {
			c.cancel(worker.ErrRemoved)
			c.wants(process.EventStopping, process.EventStopped)
		} else {
			c.wantsItsOwnEnd()
		}
	case "reconfigure by a signal":
		c.reconfigure()
	case "stop":
		c.endedBy(worker.ErrRemoved)
	case "end of work":
		c.endedBy(worker.ErrStopping)
	case "kill after the grace":
		c.runner.grace = time.Millisecond
		c.endedBy(worker.ErrRemoved)
	case "second Ctrl-C":
		c.runner.grace = time.Hour
		c.start()
		c.awaitReady()
		c.cancel(worker.ErrStopping)
		close(c.hurry)
		c.wants(process.EventStopped)
	}
}

// endedBy ends a process that is ready.
func (c *processCell) endedBy(cause error) {
	c.t.Helper()
	c.start()
	c.awaitReady() // even when it has ended and what it has left goes on
	c.cancel(cause)
	c.wants(process.EventStopped)
}

func (c *processCell) reconfigure() {
	c.t.Helper()
	c.start()
	if c.fault.ends != "" {
		c.wantsItsOwnEnd()
	}
	if err := c.runner.reconfigured(c.t.Context(), "t", tenant.EventCredentialsRotated); err != nil {
		c.t.Errorf("got %v", err)
	}
	c.mu.Lock()
	told := slices.Contains(c.events, process.EventSignalled)
	c.mu.Unlock()
	if told != (c.fault.ends == "") {
		c.t.Errorf("it was signalled: %v, in %q", told, c.events)
	}
	if c.fault.ends == "" {
		c.cancel(worker.ErrRemoved)
		c.wantsNothingLeft(<-c.ended)
	}
}

// wantsItsOwnEnd wants that it has ended by itself, and is told so.
func (c *processCell) wantsItsOwnEnd() {
	c.t.Helper()
	err := <-c.ended
	if (err == nil) != (c.fault.ends == process.EventDone) || errors.Is(err, worker.ErrGiveUp) != (c.fault.ends == process.EventGivenUp) {
		c.t.Errorf("got %v, want what belongs to %s", err, c.fault.ends)
	}
	c.ended <- err
	c.wants(c.fault.ends)
	if c.fault.missing {
		return
	}
	if killed := slices.Contains(c.events, process.EventKilled); c.events[0] != process.EventStarted || killed != c.fault.stubborn {
		c.t.Errorf("told %q", c.events)
	}
}

// wants waits for the end, of which that has to be told last, and wants nothing to be left.
func (c *processCell) wants(last ...string) {
	c.t.Helper()
	c.wantsNothingLeft(<-c.ended)
	events := slices.DeleteFunc(slices.Clone(c.events), func(e string) bool { return e == process.EventKilled })
	if len(events) < len(last) || !slices.Equal(events[len(events)-len(last):], last) {
		c.t.Errorf("told %q, want %q at the end", c.events, last)
	}
	if !c.fault.stubborn && c.runner.grace == time.Hour && slices.Contains(c.events, process.EventKilled) {
		select {
		case <-c.hurry:
		default:
			c.t.Errorf("told %q, and it was not killed", c.events)
		}
	}
}

func (c *processCell) wantsNothingLeft(error) {
	c.t.Helper()
	if left := naps(c.t, c.nap); left != c.fault.leaves {
		c.t.Errorf("%d are left, want %d", left, c.fault.leaves)
	}
	for _, pid := range nappers(c.t, c.nap) { // they are on their own, and ours to end
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
