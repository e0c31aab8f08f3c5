package process

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seesItself reports whether /proc is there, and has the ids that we know processes by. In a container that was made by hand it
// may be that of the machine.
func seesItself() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// takeCensus returns the process groups of which somebody lives, and our children that have ended and were not waited for.
// Such processes do not live, though a signal finds them: in a container there may be nobody who waits for orphans, or only
// now and then.
func takeCensus() (living map[int]bool, ended []int, err error) {
	living = map[int]bool{}
	folder, err := os.Open("/proc")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = folder.Close() }()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, nil, err
	}
	var buffer [512]byte
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		state, parent, group, ok := readStat(name, buffer[:])
		switch {
		case !ok: // it is gone
		case state != 'Z' && state != 'X':
			living[group] = true
		case parent == os.Getpid():
			ended = append(ended, pid)
		}
	}
	return living, ended, nil
}

// readStat reads the state of a process, its parent and its group, all of which are in the first bytes of the file.
func readStat(pid string, buffer []byte) (state byte, parent, group int, ok bool) {
	file, err := syscall.Open("/proc/"+pid+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, 0, false
	}
	n, err := syscall.Read(file, buffer)
	_ = syscall.Close(file)
	if err != nil {
		return 0, 0, 0, false
	}
	// After the name, which may have anything in it and ends with the last parenthesis.
	fields := bytes.Fields(buffer[bytes.LastIndexByte(buffer[:n], ')')+1 : n])
	if len(fields) < 3 {
		return 0, 0, 0, false
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	group, err2 := strconv.Atoi(string(fields[2]))
	return fields[0][0], parent, group, err1 == nil && err2 == nil
}

// siginfo is what waitid fills in, as far as the id of the process; the package unix has no name for that.
type siginfo struct {
	_   [3]int32
	_   [0]uintptr // a union follows, which is aligned as its longest member is
	pid int32
	_   [112]byte
}

// anyEnded returns a child of ours that has ended and was not waited for, and 0 when there is none.
func anyEnded() int {
	var info siginfo
	where := (*unix.Siginfo)(unsafe.Pointer(&info)) //nolint:gosec // it is not smaller
	if err := unix.Waitid(unix.P_ALL, 0, where, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		return 0
	}
	return int(info.pid)
}
