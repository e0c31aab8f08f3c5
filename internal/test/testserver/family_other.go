//go:build !linux

package testserver

import "os"

// killFamily ends a process and its children. There is no list of them here, so the process is asked to end them at once.
func killFamily(process *os.Process) { _ = quit(process) }
