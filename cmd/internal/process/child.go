package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// killPatience is how long it is waited for the rest of a group to be gone once it was killed. It is a moment, or for ever.
	killPatience = time.Second
	// pipePatience is how long the output of processes is read that have left the group and live on.
	pipePatience = 2 * time.Second
)

// Child is a process, and whatever it starts without taking that out of its group.
type Child struct {
	cmd    *exec.Cmd
	group  group
	keeper *Keeper
	pipes  [2]*os.File   // its standard output and standard error, for reading
	exited chan struct{} // closed when the process has ended
	over   bool          // the same, for the keeper
	err    error         // how it ended; to be read once run has returned
}

// Start starts a process in a group of its own. Its standard input is empty.
func Start(ctx context.Context, k *Keeper, path string, args, env []string) (*Child, error) {
	c := &Child{keeper: k, exited: make(chan struct{})}
	// It is ended by its group, which a context knows nothing of.
	c.cmd = exec.CommandContext(context.Background(), path, args...) //nolint:gosec // to run what the user says is what it is for
	c.cmd.Env = env
	ownGroup(c.cmd)
	var writing [2]*os.File
	defer func() { closeAll(writing[:]) }()
	for i := range writing {
		var err error
		if c.pipes[i], writing[i], err = os.Pipe(); err != nil {
			closeAll(c.pipes[:])
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
	}
	c.cmd.Stdout, c.cmd.Stderr = writing[0], writing[1]
	if err := k.start(ctx, c); err != nil {
		closeAll(c.pipes[:])
		if errors.Is(err, syscall.EAGAIN) {
			err = fmt.Errorf("there may be no more processes (ulimit -u, or the limit of the container): %w", err)
		}
		return nil, err
	}
	return c, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		if file != nil {
			_ = file.Close()
		}
	}
}

// Run reads what the process writes until nothing of its group is left, which is when the process has ended by itself, or
// what ctx's end brings about: a request to end, and after the grace, or when hurry is closed, SIGKILL.
func (c *Child) Run(ctx context.Context, grace time.Duration, hurry <-chan struct{}, v Voice) {
	var reading sync.WaitGroup
	for i, pipe := range c.pipes {
		reading.Go(func() { v.Read(Stream(i), pipe) })
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		v.Event(Event{Type: EventStopping, PID: c.PID(), Reason: stopReason(ctx)})
	}
	c.end(grace, hurry, v)
	<-c.exited
	c.keeper.reap(c)
	late := time.AfterFunc(pipePatience, func() { closeAll(c.pipes[:]) })
	reading.Wait()
	late.Stop()
	closeAll(c.pipes[:])
}

// PID is the id of the process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// HasEnded reports whether the process has ended.
func (c *Child) HasEnded() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// Signal sends to the process alone.
func (c *Child) Signal(sig os.Signal) error { return c.cmd.Process.Signal(sig) }

// State is how the process ended, once Run has returned.
func (c *Child) State() *os.ProcessState { return c.cmd.ProcessState }

// Err is nil for exit code 0, once Run has returned.
func (c *Child) Err() error { return c.err }

// end asks what there still is of the group to end, and kills what does not: all of it, without looking first.
func (c *Child) end(grace time.Duration, hurry <-chan struct{}, v Voice) {
	c.group.terminate()
	if c.await(grace, hurry) {
		return
	}
	c.group.kill()
	v.Event(Event{Type: EventKilled, PID: c.PID(), Reason: killReason(grace, hurry)})
	<-c.exited
	c.await(killPatience, nil)
}

func killReason(grace time.Duration, hurry <-chan struct{}) string {
	select {
	case <-hurry:
		return "tenantwatch was told not to wait"
	default:
		return fmt.Sprintf("it had not ended %s after it was asked to", grace)
	}
}

// await waits until the group is gone, the time is up or hurry is closed. It reports whether the group is gone.
func (c *Child) await(most time.Duration, hurry <-chan struct{}) bool {
	gone, stop := c.keeper.watch(c)
	defer stop()
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-gone:
		return true
	case <-hurry:
	case <-late.C:
	}
	return false
}

// Environment is that of a process: ours, with what the pairs of name and value say.
func Environment(ours []string, pairs ...string) []string {
	env := slices.Clone(ours)
	for pair := range slices.Chunk(pairs, 2) {
		env = append(env, pair[0]+"="+pair[1]) // the last one of a name counts
	}
	return env
}
