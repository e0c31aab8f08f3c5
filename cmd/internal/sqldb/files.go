package sqldb

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/tenantwatch/tenantwatch/internal/atomicfile"
)

const filePerm = 0o600 // secrets are encrypted, names are not

// openFile opens a file that has its data on a disk, and waits for nothing: somebody may have put a pipe in its place, from
// which nothing ever comes.
func openFile(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NONBLOCK, filePerm)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file but %s", path, kindOf(info.Mode()))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&os.ModeNamedPipe != 0:
		return "a pipe"
	case mode&os.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// touch makes an empty file beside path, which SQLite takes as it is.
func touch(path string) (string, error) {
	f, err := atomicfile.Create(path, ".unfinished")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}
