//go:build linux || darwin

package sqldb

import (
	"path/filepath"
	"syscall"
)

// free is what others than the superuser can still write where the file is.
func (l *sqlite) free() (bytes uint64, known bool) {
	var disk syscall.Statfs_t
	if syscall.Statfs(filepath.Dir(l.path), &disk) != nil || disk.Bsize <= 0 {
		return 0, false
	}
	return disk.Bavail * uint64(disk.Bsize), true // which has another type on each system
}
