package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/worker"
)

const (
	// graceForKill is how much longer than its grace a process may take before it counts as one that cannot be killed.
	graceForKill = 5 * time.Second
	// spareThreads is how many threads we make before there are processes: where these use up a limit of tasks, the system
	// gives us no more, and the runtime of Go does not go on without one that it needs.
	spareThreads = 12
	// showEvery is how often the display is handed what there is, at most.
	showEvery = 250 * time.Millisecond
	// maxShowShare is the share of the time that this may take: one in so many.
	maxShowShare = 10
)

// workCommand keeps a process running for each active tenant of a service.
type workCommand struct {
	connectionFlags

	Limit int `default:"0" help:"How many processes run at the same time; the other tenants wait in line. 0 means no limit." placeholder:"N"`

	StopGrace time.Duration `default:"10s" help:"How long a process may take to end after SIGTERM, before SIGKILL."`

	MinBackoff time.Duration `default:"1s" help:"At most how long to wait after a first failure before the next process is started. This doubles with each failure in a row, up to --max-backoff."`

	MaxBackoff time.Duration `default:"1m" help:"The longest such wait. A process that lasts for this long sets the wait back to --min-backoff."`

	Ramp float64 `default:"0" help:"How many processes are started per second. 0 means no limit." placeholder:"N"`

	ReconfigureSignal string `help:"The signal, such as HUP, that is sent to the process when the configuration of its tenant has changed. Without this flag the process is ended and started again." placeholder:"NAME"`

	JSON bool `help:"Print one JSON object per line on standard output, for what happens and for each line of output." name:"json" variable:"TENANTWATCH_JSON"`

	Verbose bool `help:"Log on standard error. If standard error is the terminal, no table is shown." short:"v" variable:"TENANTWATCH_VERBOSE"`

	Command []string `arg:"" form:"bytes" help:"The program and its arguments." name:"command" optional:"" passthrough:"partial"`
}

// Help is what --help adds.
func (c *workCommand) Help() string {
	return `Each process gets the environment variables of this command, with the tenant in TENANT_ID, the service in ` +
		`TENANTWATCH_SERVICE and the environment, if there is one, in TENANTWATCH_ENVIRONMENT. Its standard input is empty. It ` +
		`has no terminal.` + "\n\n" +
		`Each process starts a session and a process group of its own. When the tenant goes, and at Ctrl-C, the group gets ` +
		`SIGTERM. It gets SIGKILL after --stop-grace, or at a second Ctrl-C. When the process ends by itself, the rest of its ` +
		`group is ended in the same way. A process that leaves the group, with setsid, is not ended. If this command is the ` +
		`first process of a container, it waits for such processes, so that they leave no zombies.` + "\n\n" +
		`Exit code 0 of a process means done: no process is started for the tenant until it goes and comes again. Exit code 78 ` +
		`(EX_CONFIG) means that trying again is useless: no process is started until the tenant goes and comes again, or its ` +
		`configuration changes. Any other end is a failure, and a new process is started.` + "\n\n" +
		`A line of output that is longer than 8 KiB is printed in pieces.`
}

// Run works until ctx ends.
func (c *workCommand) Run(ctx context.Context, std streams) error {
	const command = "tenantwatch work"
	r, err := c.runner(command)
	if err != nil {
		return err
	}
	s, err := c.settings(command, os.Getenv, std.in)
	if err != nil {
		return err
	}
	r.env = process.Environment(os.Environ(), "TENANTWATCH_SERVICE", s.service, "TENANTWATCH_ENVIRONMENT", s.environment)
	shown := c.view(std, s)
	r.display = shown.Display
	w := watcher{command: command, verbose: c.Verbose, asJSON: c.JSON, states: shown.states}
	return c.watch(ctx, std, s, w, func(d *discovery.TenantDiscovery) error { return c.supervise(ctx, std, d, r, shown) })
}

// runner returns what starts the processes, or one error that names every flag that makes no sense.
func (c *workCommand) runner(command string) (*runner, error) {
	var problems []string
	demand := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, problem)
		}
	}
	demand(c.Limit >= 0, "--limit has to be 0 or more")
	demand(c.StopGrace >= 0, "--stop-grace has to be 0 or more")
	demand(c.MinBackoff > 0, "--min-backoff has to be more than 0")
	demand(c.MaxBackoff >= c.MinBackoff, "--max-backoff has to be --min-backoff or more")
	demand(c.Ramp >= 0 && !math.IsInf(c.Ramp, 0), "--ramp has to be 0 or more") // NaN is not ≥ 0
	r := &runner{grace: c.StopGrace, running: map[string]*turn{}}
	var err error
	if c.ReconfigureSignal != "" {
		r.signal, err = process.ParseSignal(c.ReconfigureSignal)
		demand(err == nil, fmt.Sprintf("--reconfigure-signal: %v", err))
	}
	words := c.Command
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	demand(len(words) > 0 && words[0] != "", "there is no program to run")
	if len(words) > 0 && words[0] != "" {
		r.path, err = exec.LookPath(words[0])
		demand(err == nil, fmt.Sprintf("the program cannot be run: %v", err))
		r.args = words[1:]
	}
	if len(problems) > 0 {
		return nil, &usageError{
			text:   strings.Join(problems, "; "),
			advice: fmt.Sprintf("Write it as in \"%s --service NAME -- PROGRAM ARGUMENTS\"; run %q for the flags.", command, command+" --help"),
		}
	}
	return r, nil
}

// view is the display of the processes, and what is told beside them.
type view struct {
	process.Display

	states func(context.Context, discovery.Status)
	show   func(worker.Status) error // is handed what the supervisor says, now and then; nil when that is not shown
}

// view is a table on a terminal that nothing else is printed on, and otherwise lines.
func (c *workCommand) view(std streams, s settings) view {
	told := tellStatus(std.err, c.JSON)
	t, ok := process.TerminalOf(std.out.w, std.out.Write)
	if !ok || c.JSON || c.Verbose && process.IsTerminal(std.err.w) {
		matter := func(text string) { _ = std.err.line("%s  %s", process.Clock(time.Now()), text) }
		onTerminal := process.IsTerminal(std.out.w) || process.IsTerminal(std.err.w)
		return view{Display: process.NewLines(std.out, std.err, c.JSON, onTerminal, matter), states: told}
	}
	board := process.NewBoard(t, strings.TrimSuffix(s.service+"/"+s.environment, "/"))
	return view{Display: board, show: board.Show, states: func(ctx context.Context, s discovery.Status) {
		board.About(aboutState(s))
		if !process.IsTerminal(std.err.w) {
			told(ctx, s)
		}
	}}
}

// aboutState is the state in a few words, with its reason when it is not live.
func aboutState(s discovery.Status) string {
	if s.State == discovery.Live {
		return s.State.String()
	}
	return s.State.String() + " (" + shown(reasonOf(s)) + ")"
}

// supervise keeps the processes until ctx ends.
func (c *workCommand) supervise(ctx context.Context, std streams, d *discovery.TenantDiscovery, r *runner, shown view) error {
	makeThreads(spareThreads)
	cfg := worker.Config{
		Work: r.work, Limit: c.Limit, RampPerSecond: c.Ramp, StopGrace: withTimeToKill(c.StopGrace),
		MinBackoff: c.MinBackoff, MaxBackoff: c.MaxBackoff, Logger: logger(c.Verbose, c.JSON, std.err),
	}
	if r.signal != nil {
		cfg.Reconfigured = r.reconfigured
	}
	g, err := worker.NewGroup(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endingSignals()...)
	defer signal.Stop(signals)
	hurry, calm := untilHurried(ctx, signals)
	defer calm()
	r.hurry = hurry
	r.keeper = process.NewKeeper()
	defer r.keeper.Close()
	err = shown.During(cancel, func() error {
		return shown.handing(g.Status, cancel, func() error { return g.Run(ctx, d.Changes(ctx)) })
	})
	if _, ok := errors.AsType[*worker.StillRunningError](err); ok {
		err = &failure{err: err, advice: "SIGKILL did not end them: look for processes that wait for a disk or for a file system on the network."}
	}
	return err
}

// handing hands the display what the supervisor says, a few times a second, until body has returned. One that fails is handed no more.
func (v view) handing(status func() worker.Status, failed func(error), body func() error) error {
	if v.show == nil {
		return body()
	}
	over := make(chan struct{})
	var handing sync.WaitGroup
	handing.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-over:
				return
			case <-timer.C:
			}
			began := time.Now()
			if err := v.show(status()); err != nil {
				failed(err)
				return
			}
			timer.Reset(max(showEvery, maxShowShare*time.Since(began)))
		}
	})
	defer handing.Wait()
	defer close(over)
	return body()
}

// withTimeToKill is how long the group waits for a process that has so long a grace. Nobody sees the end of the longest one.
func withTimeToKill(grace time.Duration) time.Duration {
	return min(grace, math.MaxInt64-graceForKill) + graceForKill
}

// makeThreads makes so many threads, which the runtime keeps for when it needs some.
func makeThreads(n int) {
	var there sync.WaitGroup
	enough := make(chan struct{})
	for range n {
		there.Add(1)
		go func() {
			runtime.LockOSThread() // or one thread would run them all
			there.Done()
			<-enough
			runtime.UnlockOSThread()
		}()
	}
	there.Wait()
	close(enough)
}

// untilHurried returns a channel that is closed when, after ctx has ended, another signal to end comes: whoever sends it
// does not want to wait. It has to be calmed for its goroutine to end.
func untilHurried(ctx context.Context, signals <-chan os.Signal) (hurry <-chan struct{}, calm func()) {
	hurried, over := make(chan struct{}), make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-ctx.Done():
		case <-over:
			return
		}
		same := time.NewTimer(sameSignal)
		defer same.Stop()
		for soon := true; ; {
			select {
			case <-over:
				return
			case <-same.C:
				soon = false
			case <-signals:
				if !soon {
					close(hurried)
					<-over
					return
				}
			}
		}
	})
	return hurried, func() {
		close(over)
		waiting.Wait()
	}
}
