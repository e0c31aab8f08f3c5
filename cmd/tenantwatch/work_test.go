package main

import (
	"context"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// startWork starts "work" for the tenants of dev, with a roll of what it starts.
func (r readyLine) startWork(t *testing.T, names *roll, args ...string) *launched {
	t.Helper()
	return startProcess(t, []string{names.env()}, r.workArguments(args...)...)
}

func (r readyLine) workArguments(args ...string) []string {
	return append([]string{
		"work", "--service", r.Service, "--environment", r.Environment, "--manager-url", r.ManagerURL,
		"--redis-url", r.RedisURL, "--api-key-file", r.APIKeyFile, "--min-backoff", "10ms",
	}, args...)
}

func startDev(t *testing.T, tenants string) (dev *launched, ready readyLine) {
	t.Helper()
	dev = startProcess(t, nil, "dev", "--no-churn", "--json", "--tenants", tenants)
	ready = dev.ready()
	return dev, ready
}

func TestWorkFollowsTheTenants(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	work := ready.startWork(t, names, "--", "tenantjob", "wait")
	names.await("wait tenant-0001", 1)
	names.await("wait tenant-0002", 1)
	work.await(&work.out, "tenant-0002 | wait for tenant-0002 of ledger in dev\n")

	ready.change(t, "PUT", "/tenant-0002/suspend", "")
	work.await(&work.out, "  tenant-0002  stopping: the tenant was removed\n")
	work.await(&work.out, "  tenant-0002  stopped: signal: terminated\n")
	names.await("wait tenant-0002", 0)
	ready.change(t, "PUT", "/tenant-0002/reactivate", "")
	names.await("wait tenant-0002", 1)

	ready.change(t, "POST", "/tenant-0001/associations/ledger/credentials/rotate", "")
	work.await(&work.out, "  tenant-0001  stopping: the tenant was reconfigured\n")
	work.awaitTimes(&work.out, "tenant-0001  started (pid ", 2)
	names.await("wait tenant-0001", 1)

	work.interrupt()
	names.awaitNobody()
	names.neverTwo()
	if out := work.out.String(); strings.Count(out, "stopping: tenantwatch is ending") != 2 || strings.Contains(out, "failed") {
		t.Errorf("the end is not told, or something failed:\n%s", out)
	}
	dev.interrupt()
}

// awaitTimes waits until the text is in the buffer so often.
func (p *launched) awaitTimes(b *lockedBuffer, text string, want int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); strings.Count(b.String(), text) < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not %d times %q in\n%s\nstandard error:\n%s", want, text, b, &p.err)
		}
	}
}

func TestWorkRestartsWhatCrashes(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	work := ready.startWork(t, names, "--", "tenantjob", "exit", "3")
	work.awaitTimes(&work.out, "tenant-0001  failed: exit status 3\n", 3)
	work.awaitTimes(&work.out, "tenant-0002  failed: exit status 3\n", 3)
	work.await(&work.err, "tenant-0001 | about to exit\n")
	work.interrupt()
	names.awaitNobody()
	names.neverTwo()
	dev.interrupt()
}

// What a process has started goes with it, though neither listens.
func TestNothingOfAGroupOutlivesItsTenant(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	work := ready.startWork(t, names, "--stop-grace", "200ms", "--", "tenantjob", "stubborn")
	work.await(&work.out, "tenant-0001 | the grandchild is there\n")
	work.await(&work.out, "tenant-0002 | the grandchild is there\n")
	ready.change(t, "PUT", "/tenant-0001/suspend", "")
	names.await("stubborn tenant-0001", 0)
	names.await("grandchild tenant-0001", 0)
	work.await(&work.out, "tenant-0001  killed: it had not ended 200ms after it was asked to\n")
	work.await(&work.out, "tenant-0001  stopped: signal: killed\n")
	names.await("grandchild tenant-0002", 1)
	work.interrupt()
	names.awaitNobody()
	dev.interrupt()
}

// A process that crashes leaves nothing that the next one would meet.
func TestNothingOfAGroupOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "1")
	names := newRoll(t)
	work := ready.startWork(t, names, "--stop-grace", "50ms", "--", "tenantjob", "orphan")
	work.awaitTimes(&work.out, "tenant-0001 | the grandchild is there\n", 3)
	work.interrupt()
	names.awaitNobody()
	names.neverTwo()
	dev.interrupt()
}

func TestASecondCtrlCWaitsForNoGrace(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "1")
	names := newRoll(t)
	work := ready.startWork(t, names, "--stop-grace", "1h", "--", "tenantjob", "stubborn")
	work.await(&work.out, "tenant-0001 | the grandchild is there\n")
	if err := work.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	work.await(&work.out, "stopping: tenantwatch is ending\n")
	ended := make(chan error, 1)
	go func() { ended <- work.cmd.Wait() }()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(patience); ; {
		select {
		case <-again.C:
			_ = work.cmd.Process.Signal(syscall.SIGTERM) // soon it is another one
			continue
		case err := <-ended:
			if err != nil {
				t.Errorf("after two signals: %v\n%s", err, &work.err)
			}
		case <-deadline:
			t.Error("it waits for the grace")
			_ = work.cmd.Process.Kill()
			if err := <-ended; err == nil {
				t.Error("it has ended well after SIGKILL")
			}
		}
		break
	}
	names.awaitNobody()
	work.await(&work.out, "killed: tenantwatch was told not to wait\n")
	dev.interrupt()
}

// timeout(1) and others signal the process and then its group: that is one request to end.
func TestTheSameSignalTwiceIsNoHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		signals := make(chan os.Signal, 1)
		hurry, calm := untilHurried(ctx, signals)
		hurried := func() bool {
			synctest.Wait()
			select {
			case <-hurry:
				return true
			default:
				return false
			}
		}
		signals <- os.Interrupt // the first, which ends ctx as well
		cancel()
		synctest.Wait()
		signals <- os.Interrupt
		if hurried() {
			t.Error("the same signal hurries")
		}
		time.Sleep(sameSignal + time.Millisecond)
		signals <- os.Interrupt
		if !hurried() {
			t.Error("another signal does not hurry")
		}
		calm()
	})
}

// When tenantwatch is killed it can end nothing; the system does.
func TestAProcessDiesWithUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no other system does that")
	}
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	work := ready.startWork(t, names, "--", "tenantjob", "wait")
	names.await("wait tenant-0001", 1)
	names.await("wait tenant-0002", 1)
	if err := work.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = work.cmd.Wait()
	names.awaitNobody()
	dev.interrupt()
}

func TestWorkSendsTheSignalInsteadOfARestart(t *testing.T) {
	dev, ready := startDev(t, "1")
	names := newRoll(t)
	work := ready.startWork(t, names, "--reconfigure-signal", "sighup", "--", "tenantjob", "reload")
	work.await(&work.out, "tenant-0001 | ready to reload\n")
	ready.change(t, "POST", "/tenant-0001/associations/ledger/credentials/rotate", "")
	work.await(&work.out, "tenant-0001 | reloaded\n")
	work.await(&work.out, "tenant-0001  signalled: hangup, because of tenant.credentials.rotated\n")
	work.interrupt()
	if out := work.out.String(); strings.Count(out, "  started ") != 1 {
		t.Errorf("it was started again:\n%s", out)
	}
	names.awaitNobody()
	dev.interrupt()
}

// Nobody reads what they print, and yet they are stopped when their tenant goes, and so are we.
func TestAFloodThatNobodyReadsHoldsUpNothing(t *testing.T) {
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, ready.workArguments("--", "tenantjob", "flood")...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + noNap, names.env()}
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	names.await("flood tenant-0001", 1)
	names.await("flood tenant-0002", 1)
	ready.change(t, "PUT", "/tenant-0001/suspend", "")
	names.await("flood tenant-0001", 0)
	ready.change(t, "PUT", "/tenant-0001/reactivate", "")
	names.await("flood tenant-0001", 1)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	names.awaitNobody()
	_ = read.Close() // now it can end, because its output can
	_ = cmd.Wait()
	dev.interrupt()
}

// Like "tenantwatch work … | head -1".
func TestC1WorkEndsAllWhenItsReaderIsGone(t *testing.T) {
	dev, ready := startDev(t, "2")
	names := newRoll(t)
	t.Setenv("JOB_ROLL", names.listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := &failingWriter{left: 5, err: syscall.EPIPE} // more than the lines before the first job is there
	code, stderr := call(ctx, out, ready.workArguments("--", "tenantjob", "exit", "1")...)
	if code != exitPipe || ctx.Err() != nil || strings.Contains(stderr, "broken pipe") {
		t.Errorf("exit code %d, %v, stderr %q, want %d", code, ctx.Err(), stderr, exitPipe)
	}
	names.awaitNobody()
	dev.interrupt()
}

func TestC1WorkEndedWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, stderr := call(ctx, &failingWriter{}, "work", "--service", "s", "--manager-url", "http://127.0.0.1:1",
		"--redis-url", "redis://127.0.0.1:1", "--api-key-file", "-", "--", "tenantjob", "wait")
	if code != exitDone || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and nothing", code, stderr)
	}
}

// TestX26TheLongestGrace is not made the shortest by what is added to it.
func TestX26TheLongestGrace(t *testing.T) {
	for _, grace := range []time.Duration{math.MaxInt64, math.MaxInt64 - graceForKill, 0} {
		if all := withTimeToKill(grace); all < grace || all < graceForKill {
			t.Errorf("%d with the time to kill is %d", grace, all)
		}
	}
}
