package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The device has no room: what is printed is lost, and the work goes on.
func TestX34AFullDiskEndsNobody(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer func() { _ = full.Close() }()
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	work := ready.unstarted(t, names, "--", "tenantjob", "wait")
	work.cmd.Stdout = full
	if err := work.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	names.await("wait tenant-0001", 1)
	names.await("wait tenant-0002", 1)
	work.await(&work.err, "no space left on device")
	ready.change(t, "PUT", "/tenant-0001/suspend", "")
	names.await("wait tenant-0001", 0)
	names.await("wait tenant-0002", 1)
	if err := work.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = work.cmd.Wait()
	names.awaitNobody()
	if said := work.err.String(); work.cmd.ProcessState.ExitCode() != exitFailure || strings.Count(said, "no space left") != 1 || !strings.Contains(said, "lines lost because it failed: ") {
		t.Errorf("it says\n%s", said)
	}
	dev.interrupt()
}

// unstarted is "work" before its start.
func (r readyLine) unstarted(t *testing.T, names *roll, args ...string) *launched {
	t.Helper()
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	p := &launched{t: t, cmd: exec.CommandContext(t.Context(), path, r.workArguments(args...)...)}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + noNap, names.env()}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	return p
}

// Whoever reads the output has gone to sleep: the end does not wait for that.
func TestX34AStuckReaderDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	for name, errorsToo := range map[string]bool{"of the output": false, "of the errors too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endWithStuckReader(t, errorsToo)
		})
	}
}

func endWithStuckReader(t *testing.T, errorsToo bool) {
	t.Helper()
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(read.Close(), write.Close()) }()
	work := ready.unstarted(t, names, "--", "tenantjob", "flood")
	work.cmd.Stdout = write
	if errorsToo {
		work.cmd.Stderr = write
	}
	if err := work.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	names.await("flood tenant-0001", 1)
	names.await("flood tenant-0002", 1)
	until(t, func() bool { // or all that there is would fit
		writable := []unix.PollFd{{Fd: int32(write.Fd()), Events: unix.POLLOUT}} //nolint:gosec // it is one
		n, err := unix.Poll(writable, 0)
		return n == 0 && err == nil
	}, "the pipe is not full")
	if err := work.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	names.awaitNobody()
	ended := make(chan error, 1)
	go func() { ended <- work.cmd.Wait() }()
	select {
	case err := <-ended:
		if work.cmd.ProcessState.ExitCode() != exitFailure || !errorsToo && !strings.Contains(work.err.String(), "nobody takes") {
			t.Errorf("ended with %v, and says\n%s", err, &work.err)
		}
	case <-time.After(patience):
		t.Error("it waits for its reader")
		_ = work.cmd.Process.Kill()
		if err := <-ended; err == nil {
			t.Error("it has ended well after SIGKILL")
		}
	}
	dev.interrupt()
}

// A program that asks the terminal would be stopped if it had one.
func TestX34NoProcessHasTheTerminal(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "1")
	work, _, typeCtrlC := ready.onTerminal(t, 80, 24, newRoll(t), "--", "sh", "-c", "(cat < /dev/tty) 2>/dev/null; echo answered with $?; sleep 1000")
	work.await(&work.out, "answered with ")
	typeCtrlC()
	dev.interrupt()
}
