package sqldb

import (
	"errors"
	"os"
	"syscall"
)

// lockData locks the database's file itself until it is closed: the lock beside it can be removed, and another name of the same
// file has another one beside it. SQLite's own locks are of another kind, which this one is not in the way of.
func lockData(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}
