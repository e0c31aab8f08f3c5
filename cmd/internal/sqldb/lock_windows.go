package sqldb

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// sharingViolation is what Windows says of a file that somebody has open for himself alone.
const sharingViolation = syscall.Errno(32)

// lockFile opens the file for this process alone, until it is closed or the process ends.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const shareNothing = 0
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, shareNothing, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return os.NewFile(uintptr(handle), path), nil
}

// syncDir does nothing here: Windows writes names by itself.
func syncDir(string) error { return nil }
