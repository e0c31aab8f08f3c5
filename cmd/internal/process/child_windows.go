package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a job that the process, and what it starts, are in, and the id of its console group.
type group struct {
	job windows.Handle
	id  uint32
}

// ownGroup makes cmd the first of a new console group, which Ctrl-C does not reach.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// groupOf puts a process into a new job, which is killed when its handle is closed, also by our end.
func groupOf(cmd *exec.Cmd) (group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return group{}, err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))) //nolint:gosec // that is how the call takes it
	if err == nil {
		var assigned error
		err = cmd.Process.WithHandle(func(handle uintptr) {
			assigned = windows.AssignProcessToJobObject(job, windows.Handle(handle))
		})
		err = errors.Join(err, assigned)
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return group{}, fmt.Errorf("put the process into a job: %w", err)
	}
	return group{job: job, id: uint32(cmd.Process.Pid)}, nil //nolint:gosec // it was one
}

// terminate is Ctrl-Break, the only request to end that a process without a window can get.
func (g group) terminate() { _ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, g.id) }

func (g group) kill() { _ = windows.TerminateJobObject(g.job, 1) }

// empty kills what the first process, which has ended, has left: nothing there could be asked to end.
func (g group) empty() bool {
	g.kill()
	return true
}

func (g group) close() { _ = windows.CloseHandle(g.job) }

// ParseSignal knows none.
func ParseSignal(string) (os.Signal, error) {
	return nil, errors.New("there are no signals on Windows")
}
