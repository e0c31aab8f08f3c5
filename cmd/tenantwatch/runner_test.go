package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/worker"
)

func jobRunner(t *testing.T, args ...string) *runner {
	t.Helper()
	c := workCommand{MinBackoff: 1, MaxBackoff: 1, Command: append([]string{"--", "tenantjob"}, args...)}
	r, err := c.runner("tenantwatch work")
	if err != nil {
		t.Fatal(err)
	}
	r.env = process.Environment(os.Environ(), "GORACE", noNap)
	r.display = process.NewBoard(process.Terminal{}, "")
	r.keeper = process.NewKeeper()
	t.Cleanup(r.keeper.Close)
	return r
}

func TestWhatAnExitCodeMeans(t *testing.T) {
	for code, want := range map[string]error{"0": nil, "1": errors.New("exit status 1"), "78": worker.ErrGiveUp} {
		err := jobRunner(t, "exit", code).work(t.Context(), "t")
		if (err == nil) != (want == nil) || errors.Is(err, worker.ErrGiveUp) != errors.Is(want, worker.ErrGiveUp) {
			t.Errorf("exit code %s: got %v, want %v", code, err, want)
		}
	}
}

// A program that went away after the start is a failure like any other.
func TestAProgramThatCannotBeStartedIsAFailure(t *testing.T) {
	r := jobRunner(t, "wait")
	r.path = t.TempDir()
	if err := r.work(t.Context(), "t"); err == nil || errors.Is(err, worker.ErrGiveUp) {
		t.Errorf("got %v", err)
	}
	if len(r.running) != 0 {
		t.Error("it is kept")
	}
}

// TestMain sees that no goroutine is left.
func TestARunLeavesNoFileOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no list of them")
	}
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	r := jobRunner(t, "exit", "1")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	_ = r.work(t.Context(), "t") // whatever is opened once
	before := open()
	for range 5 {
		_ = r.work(t.Context(), "t")
		if err := r.work(stopped, "t"); !errors.Is(err, context.Canceled) {
			t.Errorf("a run that was cancelled: got %v", err)
		}
	}
	r.path = t.TempDir()
	for range 5 {
		_ = r.work(t.Context(), "t")
	}
	if after := open(); after > before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}
