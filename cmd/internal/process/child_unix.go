//go:build unix

package process

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

// ownGroup makes cmd the first of a new session, and so of a new process group. A Ctrl-C on the terminal is not for that group,
// so that who ends when, and how, is for us to say. Nor has a session without a terminal one to ask: in a group that is not
// in its foreground a process that does so would be stopped, and would stay that way.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	diesWithUs(cmd.SysProcAttr)
}

// terminate asks all of the group to end. One that was halted has to go on for that.
func (g group) terminate() {
	g.signal(syscall.SIGTERM)
	g.signal(syscall.SIGCONT)
}

func (g group) kill() { g.signal(syscall.SIGKILL) }

// signal sends to all of the group. Nobody else can have come by its id: that stays taken while one of the group lives, or
// was not waited for.
func (g group) signal(sig syscall.Signal) { _ = syscall.Kill(-g.id, sig) } // who is gone has ended

// ParseSignal knows the names of signals, with SIG before them or without.
func ParseSignal(name string) (os.Signal, error) {
	upper := strings.ToUpper(name)
	sig := unix.SignalNum("SIG" + strings.TrimPrefix(upper, "SIG"))
	if sig == 0 {
		return nil, fmt.Errorf("%q is not a signal; it has to be a name such as HUP or USR1", name)
	}
	return sig, nil
}
