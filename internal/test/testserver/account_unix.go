//go:build unix

package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom a server runs as. Zero is whoever runs the test.
type account struct{ uid, gid uint32 }

// serviceAccount is the named account when the test runs as root, whom some servers refuse, and nobody else otherwise.
func serviceAccount(name string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return account{}, err
	}
	const decimal, bits = 10, 32
	uid, err := strconv.ParseUint(found.Uid, decimal, bits)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(found.Gid, decimal, bits)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w", name, err)
	}
	return account{uid: uint32(uid), gid: uint32(gid)}, nil
}

// own gives a file or a directory to the account.
func (a account) own(path string) error {
	if a == (account{}) {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// run has cmd run as the account.
func (a account) run(cmd *exec.Cmd) *exec.Cmd {
	if a != (account{}) {
		id := syscall.Credential{Uid: a.uid, Gid: a.gid}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &id}
	}
	return cmd
}

// quit asks a server to end at once, with all the processes that belong to it.
func quit(process *os.Process) error { return process.Signal(syscall.SIGQUIT) }
