//go:build unix

package testserver

import (
	"os"
	"syscall"
	"testing"
)

func pause(t testing.TB, process *os.Process) {
	t.Helper()
	signal(t, process, syscall.SIGSTOP)
}

func resume(t testing.TB, process *os.Process) {
	t.Helper()
	signal(t, process, syscall.SIGCONT)
}

func signal(t testing.TB, process *os.Process, sig os.Signal) {
	t.Helper()
	if err := process.Signal(sig); err != nil {
		t.Fatalf("send redis-server a signal: %v", err)
	}
}
