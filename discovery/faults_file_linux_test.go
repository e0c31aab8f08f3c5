package discovery

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// saveLimited, in the environment, makes the test binary a process that may write only small files.
const saveLimited = "TENANTWATCH_TEST_SAVE_LIMITED"

// TestSaveLimited is not a test, but the other process of TestD17FileSizeIsLimited.
func TestSaveLimited(t *testing.T) {
	path := os.Getenv(saveLimited)
	if path == "" {
		t.Skip("it runs as the other process of TestD17FileSizeIsLimited only")
	}
	d, states := saver(t, path)
	if err := d.save(states[0]); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 4096, Max: 4096}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := d.save(states[1]); !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("saved beyond the limit: %v", err)
	}
}

// TestD17FileSizeIsLimited: the writing ends half way, the old file stays whole, and nothing else is left.
func TestD17FileSizeIsLimited(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tenants.snapshot")
	_, states := saver(t, path)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSaveLimited$") //nolint:gosec // the test itself
	child.Env = append(os.Environ(), saveLimited+"="+path)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantFirstState(t, path, states)
	wantAlone(t, dir)
}

// TestD17DiskFull, on a small file system of its own: the old file stays whole, and once there is room the new one comes.
func TestD17DiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("NOT TESTED: a full disk, because no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path, filler := filepath.Join(dir, "tenants.snapshot"), filepath.Join(dir, "filler")
	d, states := saver(t, path)
	if err := d.save(states[0]); err != nil {
		t.Fatal(err)
	}
	fill(t, filler)
	for range 3 {
		if err := d.save(states[1]); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is full, and saving says %v", err)
		}
	}
	wantFirstState(t, path, states)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wantAlone(t, dir)
	if err := d.save(states[1]); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 4096); err == nil; {
		_, err = file.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	_ = file.Close() // nothing of it matters
}

// TestD17DirectoryReadOnly, for one who may not write to it; root may, and so becomes somebody else for it.
func TestD17DirectoryReadOnly(t *testing.T) {
	const nobody = 65534
	dir := filepath.Join(t.TempDir(), "kept")
	path := filepath.Join(dir, "tenants.snapshot")
	d, states := saver(t, path)
	if err := errors.Join(os.Mkdir(dir, 0o700), d.save(states[0]), os.Chmod(dir, 0o500)); err != nil { //nolint:gosec // a directory
		t.Fatal(err)
	}
	said := make(chan error)
	go func() {
		if os.Getuid() == 0 {
			runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
			for _, way := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
				if err := os.Chown(way, nobody, -1); err != nil {
					said <- err
					return
				}
			}
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
				said <- errno
				return
			}
		}
		if _, err := os.Stat(path); err != nil { // else it is not the writing that is not allowed
			said <- fmt.Errorf("%w, and not even looking is allowed: %v", errors.ErrUnsupported, err) //nolint:errorlint // it must not pass for the permission that is wanted
			return
		}
		said <- d.save(states[1])
	}()
	if err := <-said; !errors.Is(err, os.ErrPermission) {
		t.Errorf("saving says %v", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory
		t.Fatal(err)
	}
	wantFirstState(t, path, states)
	wantAlone(t, dir)
}

// wantFirstState fails unless the file is the first of the states.
func wantFirstState(t *testing.T, path string, states [2]savedState) {
	t.Helper()
	wantOneState(t, path, [2]savedState{states[0], states[0]})
}

// wantAlone fails when there is more than one file in the directory.
func wantAlone(t *testing.T, dir string) {
	t.Helper()
	if left, err := filesIn(dir); err != nil || len(left) != 1 {
		t.Errorf("in the directory is left %v, %v", left, err)
	}
}
