package process

import "syscall"

// diesWithUs has a process killed when we are, by somebody or something that lets us end nothing ourselves. What it has
// started itself is not killed then.
func diesWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
