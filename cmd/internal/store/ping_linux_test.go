package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestX48APingOnADiskThatIsAlmostFull fails when a change would, though a few bytes still fit, and is well again when there is room.
func TestX48APingOnADiskThatIsAlmostFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("NOT TESTED: a full disk, because no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { do(t, syscall.Unmount(dir, 0)) })
	s := database{dsn: "sqlite:" + filepath.Join(dir, "tenants.db")}.open(t)
	do(t, s.Ping(t.Context()))
	filler := fillDisk(t, filepath.Join(dir, "filler"), 16<<10)
	err := s.Ping(t.Context())
	for tries := 0; err == nil && tries < 4; tries++ { // a log that was begun again may have room for one
		err = s.Ping(t.Context())
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("a ping: %v", err)
	}
	do(t, os.Remove(filler))
	do(t, s.Ping(t.Context()))
}

// fillDisk makes a file that leaves no more than so much.
func fillDisk(t *testing.T, path string, leave int64) string {
	t.Helper()
	var disk syscall.Statfs_t
	do(t, syscall.Statfs(filepath.Dir(path), &disk))
	do(t, os.WriteFile(path, make([]byte, int64(disk.Bavail)*disk.Bsize-leave), filePerm)) //nolint:gosec // it is small
	return path
}
