//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// diesWithUs does nothing: the system has no such thing.
func diesWithUs(*syscall.SysProcAttr) {}

func groupOf(cmd *exec.Cmd) (group, error) { return group{id: cmd.Process.Pid}, nil }

// empty reports whether nobody is left whom we may signal. It is to be asked once the first process has been waited for.
func (g group) empty() bool { return syscall.Kill(-g.id, 0) != nil }

// close kills what came while it was looked.
func (g group) close() {
	if !g.empty() {
		g.kill()
	}
}
