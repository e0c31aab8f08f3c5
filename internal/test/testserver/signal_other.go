//go:build !unix

package testserver

import (
	"os"
	"testing"
)

func pause(t testing.TB, _ *os.Process) {
	t.Helper()
	skipSignals(t)
}

func resume(t testing.TB, _ *os.Process) {
	t.Helper()
	skipSignals(t)
}

func skipSignals(t testing.TB) {
	t.Helper()
	t.Skip("this system cannot stop a process and let it go on")
}
