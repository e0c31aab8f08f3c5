package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDevRemovesWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	start := func() (*launched, string) {
		p := startProcess(t, []string{"TMPDIR=" + folder}, "dev", "--no-churn", "--json")
		return p, filepath.Dir(p.ready().APIKeyFile)
	}
	kill := func(p *launched) {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	killed, old := start()
	if _, err := os.Stat(filepath.Join(old, "tenants.db-wal")); err != nil {
		t.Error(err)
	}
	kill(killed)
	killed, fresh := start()
	kill(killed)
	living, held := start()
	foreign := filepath.Join(folder, "somebody-elses")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(folder, filesPrefix+"link")); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-2 * youngFolder)
	for _, path := range []string{old, held, foreign, elsewhere} {
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
	}

	last, _ := start()
	for path, want := range map[string]bool{old: false, fresh: true, held: true, filepath.Join(held, "api-key"): true, foreign: true, elsewhere: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", path, err, want)
		}
	}
	last.interrupt()
	living.interrupt()
}

// TestDevIsTheRealManager: what it does is in the metrics of serve, and its database in files that are its user's alone.
func TestDevIsTheRealManager(t *testing.T) {
	t.Parallel()
	dev := startProcess(t, nil, "dev", "--churn", "100", "--json")
	ready := dev.ready()
	for deadline := time.Now().Add(patience); ; {
		metrics := get(t, ready.MetricsURL)
		moves := strings.Contains(metrics, `requests_total{method="POST",route="/v1/tenants/{id}/associations/{service}",status="201"}`) &&
			strings.Contains(metrics, `requests_total{method="PUT",route="/v1/tenants/{id}/suspend",status="204"}`)
		if moves && strings.Contains(metrics, "\ntenantwatch_outbox_leading 1\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the churn does not show in\n%s", metrics)
		}
	}
	folder := filepath.Dir(ready.APIKeyFile)
	var names []string
	if err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		names = append(names, entry.Name())
		return err
	}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"tenants.db", "tenants.db-wal", "encryption-key", "api-key", "headers"} {
		if !slices.Contains(names, name) {
			t.Errorf("no %s among %q", name, names)
		}
	}
	dev.interrupt()
	if !strings.Contains(dev.out.String(), `"unpublished":0}`) {
		t.Errorf("it ends with\n%s", &dev.out)
	}
}

// Supervisors and timeout(1) signal the process and then its group, so that it gets the same signal twice.
func TestDevHeedsTheSameSignalTwiceAsOne(t *testing.T) {
	t.Parallel()
	hangsUp(t)
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			p := startProcess(t, []string{"TMPDIR=" + folder}, "dev", "--no-churn", "--json")
			p.ready()
			ended := make(chan error, 1)
			go func() { ended <- p.cmd.Wait() }()
			for soon := time.Now().Add(sameSignal / 5); time.Now().Before(soon); {
				if err := p.cmd.Process.Signal(signal); err != nil {
					break // it has ended
				}
			}
			if err := <-ended; err != nil {
				t.Errorf("ended with %v\n%s", err, &p.err)
			}
			if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}
