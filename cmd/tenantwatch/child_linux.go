package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// diesWithUs has a process killed when we are, by somebody or something that lets us end nothing ourselves. What it has
// started itself is not killed then.
func diesWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// lives reports whether somebody of the group lives. Those that have ended and were not waited for do not, though a signal
// finds them: in a container there may be nobody who waits for orphans, or only now and then.
func lives(group int) bool {
	folder, err := os.Open("/proc")
	if err != nil {
		return true
	}
	defer func() { _ = folder.Close() }()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return true
	}
	id := []byte(strconv.Itoa(group))
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it is gone
		}
		// After the name, which may have anything in it and ends with the last parenthesis: state, parent, group.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 2 && bytes.Equal(fields[2], id) && !bytes.ContainsAny(fields[0], "ZX") {
			return true
		}
	}
	return false
}
