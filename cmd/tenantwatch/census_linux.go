package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// seesItself reports whether /proc is there, and has the ids that we know processes by. In a container that was made by hand it
// may be that of the machine.
func seesItself() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// takeCensus returns the process groups of which somebody lives, and our children that have ended and were not waited for.
// Such processes do not live, though a signal finds them: in a container there may be nobody who waits for orphans, or only
// now and then. One that is blind sees nobody, and what is left of a group gets no grace there.
func takeCensus(blind bool) (living map[int]bool, ended []int, err error) {
	living = map[int]bool{}
	if blind {
		return living, nil, nil
	}
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
