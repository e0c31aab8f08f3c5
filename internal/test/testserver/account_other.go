//go:build !unix

package testserver

import (
	"os"
	"os/exec"
)

// account is whom a server runs as: here, always whoever runs the test.
type account struct{}

func serviceAccount(string) (account, error) { return account{}, nil }

func (account) own(string) error { return nil }

func (account) run(cmd *exec.Cmd) *exec.Cmd { return cmd }

func quit(process *os.Process) error { return process.Kill() }
