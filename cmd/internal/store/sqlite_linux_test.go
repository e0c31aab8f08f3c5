package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestM07SQLiteMayNotBeWritten is for one who may not write to the file, to its directory, or to either. Root may, and so
// becomes somebody else for it.
func TestM07SQLiteMayNotBeWritten(t *testing.T) {
	for name, modes := range map[string]struct{ dir, file os.FileMode }{
		"the directory": {0o555, 0o666}, "the file": {0o777, 0o444}, "both": {0o555, 0o444},
	} {
		t.Run(name, func(t *testing.T) {
			db := sqliteFile(t)
			s := db.open(t)
			makeEvents(t, s, 2)
			do(t, s.Close())
			path := strings.TrimPrefix(db.dsn, "sqlite:")
			dir := filepath.Dir(path)
			do(t, errors.Join(
				os.Chmod(path, modes.file), os.Chmod(path+".lock", 0o666), os.Chmod(dir, modes.dir), os.Chmod(filepath.Dir(dir), 0o755))) //nolint:gosec // others are to read
			opened := make(chan error)
			go func() {
				if os.Getuid() == 0 {
					const nobody = 65534
					runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
					if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
						opened <- errno
						return
					}
				}
				s, err := Open(context.Background(), db.dsn, Options{Environment: testEnvironment, Key: testKey})
				if err == nil {
					err = errors.Join(errors.New("it was opened"), s.Close())
				}
				opened <- err
			}()
			if err := <-opened; !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
			do(t, errors.Join(os.Chmod(path, 0o600), os.Chmod(dir, 0o700))) //nolint:gosec // a directory
			wantRecovered(t, db.open(t), 2)
		})
	}
}
