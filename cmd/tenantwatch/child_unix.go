//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is a process group, by the id of the process that it was made for.
type group struct{ id int }

// ownGroup makes cmd the first of a new process group. A Ctrl-C on the terminal is not for that group, so that who ends
// when, and how, is for us to say.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	diesWithUs(cmd.SysProcAttr)
}

func groupOf(cmd *exec.Cmd) (group, error) { return group{id: cmd.Process.Pid}, nil }

// terminate asks all of the group to end. One that was halted has to go on for that.
func (g group) terminate() {
	g.signal(syscall.SIGTERM)
	g.signal(syscall.SIGCONT)
}

func (g group) kill() { g.signal(syscall.SIGKILL) }

// signal sends to all of the group. Nobody else can have come by its id: that stays taken while one of the group lives, and
// for as long as it is asked about here the system does not come round to an id that has just become free.
func (g group) signal(sig syscall.Signal) { _ = syscall.Kill(-g.id, sig) } // who is gone has ended

// empty reports whether nobody is left whom we may signal. It is to be asked once the first process has been waited for.
func (g group) empty() bool {
	for { // orphans are ours to wait for when we are the first process of a container
		if pid, err := syscall.Wait4(-g.id, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
			break
		}
	}
	if syscall.Kill(-g.id, 0) != nil {
		return true
	}
	if lives(g.id) {
		return false
	}
	g.kill() // for one that came while we looked
	return true
}

func (g group) close() {}

// parseSignal knows the names of signals, with SIG before them or without.
func parseSignal(name string) (os.Signal, error) {
	upper := strings.ToUpper(name)
	sig := unix.SignalNum("SIG" + strings.TrimPrefix(upper, "SIG"))
	if sig == 0 {
		return nil, fmt.Errorf("%q is no signal; it has to be a name such as HUP or USR1", name)
	}
	return sig, nil
}
