//go:build !windows

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFolder locks a folder until unlock or the end of the process, however it ends. It fails at once when another holds it.
func lockFolder(path string) (unlock func() error, err error) {
	folder, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), folder.Close())
	}
	return folder.Close, nil
}
