package discovery_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// savedFile lets a discovery write its file and end.
func savedFile(t *testing.T, tenants ...string) (f *fixture, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tenants.snapshot")
	f = newFixture(t, tenants...)
	f.cfg.SnapshotFile = path
	d := f.start(t)
	pass(2 * time.Second)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return f, path
}

func (f *fixture) managerDown() { f.manager.DropList(-1) }

// TestD18BothDownAtBoot: with a good file the set is there at once, stale, with its age; and it heals by itself.
func TestD18BothDownAtBoot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, _ := savedFile(t, "acme", "globex")
		pass(time.Hour)
		f.managerDown()
		f.feed.Disconnect(nil)
		f.add(t, "new")
		f.suspend(t, "globex")
		began := time.Now()
		d := f.new(t)
		told := keep(d)
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Start took %v", took)
		}
		wantSet(t, d, "acme", "globex")
		wantState(t, d, discovery.Stale)
		if age := d.Status().Age(); age < time.Hour || age > time.Hour+time.Minute {
			t.Errorf("age %v", age)
		}
		if why := d.Explain("acme"); len(why) != 1 || why[0].Cause != tenant.CauseSnapshotFile {
			t.Errorf("explained by %v", why)
		}
		f.log.want(t, 1, slog.LevelWarn, "started from the snapshot file", "age=1h0m")
		settle()
		wantTold(t, told, "")

		f.feed.Connect()
		pass(time.Minute)
		wantState(t, d, discovery.Stale)
		f.manager.ClearFaults()
		pass(31 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme", "new")
		wantTold(t, told, "-globex, +new")
	})
}

func TestD18WithoutAFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.SnapshotFile = filepath.Join(t.TempDir(), "none")
		f.managerDown()
		f.feed.Disconnect(nil)
		if err := f.new(t).Start(t.Context()); !errors.Is(err, managerapi.ErrUnavailable) {
			t.Errorf("Start: %v", err)
		}
		if lines := f.log.find(slog.LevelWarn, "snapshot file"); len(lines) != 0 {
			t.Errorf("warned of a file that is not there yet: %q", lines)
		}
	})
}

// TestStartFromFileWhenTheManagerHangs, and what events say meanwhile wins over the file.
func TestStartFromFileWhenTheManagerHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, _ := savedFile(t, "acme", "globex")
		reached, release := f.manager.HoldList()
		defer release()
		started := make(chan error)
		d := f.new(t)
		go func() { started <- d.Start(t.Context()) }()
		<-reached
		f.suspend(t, "acme")
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "globex")
		wantState(t, d, discovery.Stale)
		pass(2 * time.Second)
		wantState(t, d, discovery.Live)
	})
}

func TestRefusedKeyIsFatalEvenWithAFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, _ := savedFile(t, "acme")
		f.manager.FailList(-1, http.StatusUnauthorized, "")
		if err := f.new(t).Start(t.Context()); !errors.Is(err, managerapi.ErrUnauthorized) {
			t.Errorf("Start: %v", err)
		}
	})
}

// TestD17FilesOfNoUse are ignored with a warning, and the start is as if there were none.
func TestD17FilesOfNoUse(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, f *fixture, path string){
		"empty":                  func(t *testing.T, _ *fixture, path string) { t.Helper(); write(t, path, nil) },
		"cut":                    func(t *testing.T, _ *fixture, path string) { t.Helper(); write(t, path, read(t, path)[:40]) },
		"of another service":     func(_ *testing.T, f *fixture, _ string) { f.cfg.ServiceName = "crm" },
		"of another environment": func(_ *testing.T, f *fixture, _ string) { f.cfg.Environment = "production" },
		"a directory": func(t *testing.T, _ *fixture, path string) {
			t.Helper()
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, path := savedFile(t, "acme")
				spoil(t, f, path)
				f.managerDown()
				if err := f.new(t).Start(t.Context()); !errors.Is(err, managerapi.ErrUnavailable) {
					t.Errorf("Start: %v", err)
				}
				f.log.want(t, 1, slog.LevelWarn, "the snapshot file is of no use", path)
			})
		})
	}
}

// TestD17FileThatCannotBeWritten: the old one stays, one warning says so, and everything else goes on.
func TestD17FileThatCannotBeWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		notADirectory := filepath.Join(t.TempDir(), "file")
		write(t, notADirectory, nil)
		f.cfg.SnapshotFile = filepath.Join(notADirectory, "tenants.snapshot")
		d := f.start(t)
		for range 3 {
			if err := f.manager.RotateCredentials(t.Context(), "acme", service); err != nil {
				t.Fatal(err)
			}
			pass(10 * time.Minute)
		}
		wantState(t, d, discovery.Live)
		f.log.want(t, 1, slog.LevelWarn, "could not be written")
	})
}

// TestD17FileIsReplacedAsAWhole: whoever reads it at any moment has the old content or the new one. A link is replaced, not
// followed, and nobody else may read the file.
func TestD17FileIsReplacedAsAWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, path := savedFile(t, "acme")
		before := read(t, path)
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		if err := errors.Join(os.Rename(path, elsewhere), os.Symlink(elsewhere, path)); err != nil {
			t.Skip(err)
		}
		d := f.start(t)
		f.add(t, "globex")
		pass(2 * time.Second)
		if !bytes.Equal(read(t, elsewhere), before) {
			t.Error("the file behind the link was written to")
		}
		if text := string(read(t, path)); !strings.Contains(text, "globex") {
			t.Errorf("the file has %q", text)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("its mode is %v", info.Mode())
		}
		f.suspend(t, "acme")
		settle()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if text := string(read(t, path)); strings.Contains(text, "acme") {
			t.Errorf("Close has not saved the last change: %q", text)
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) != 1 {
			t.Errorf("in the folder is left %v, %v", left, err)
		}
	})
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestX48AFileOfManyTenantsThatChange is written now and then, and once more at the end, with all that has changed.
func TestX48AFileOfManyTenantsThatChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.cfg.Logger, f.cfg.SnapshotFile = nil, filepath.Join(t.TempDir(), "set")
		if _, err := f.manager.Seed(t.Context(), service, 100_000); err != nil {
			t.Fatal(err)
		}
		d := f.start(t)
		pass(2 * time.Second)
		written, last := 0, ""
		for i := range 40 {
			f.add(t, fmt.Sprint("new-", i))
			pass(time.Second)
			info, err := os.Stat(f.cfg.SnapshotFile)
			if err != nil {
				t.Fatal(err)
			}
			if now := fmt.Sprint(info.ModTime(), info.Size()); now != last {
				written, last = written+1, now
			}
		}
		if written > 12 {
			t.Errorf("written %d times in 40 s", written)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(f.cfg.SnapshotFile)
		if err != nil || !strings.Contains(string(data), "new-39") {
			t.Errorf("the last change is not in the file: %v", err)
		}
	})
}
