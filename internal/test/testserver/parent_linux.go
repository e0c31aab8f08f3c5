package testserver

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the server when the thread that started it ends.
func endWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
