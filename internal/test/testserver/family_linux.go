package testserver

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// killFamily kills a process and its children, which would go on for a moment, and does not wait for the process. It is
// stopped first, so that it has no more of them meanwhile.
func killFamily(process *os.Process) {
	_ = process.Signal(syscall.SIGSTOP) // all of these fail only if it has ended by itself
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", process.Pid, process.Pid))
	_ = process.Kill()
	for field := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
