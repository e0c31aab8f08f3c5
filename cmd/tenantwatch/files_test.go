package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestDevRemovesWhatAKilledOneLeft(t *testing.T) {
	folder := t.TempDir()
	start := func() (*process, string) {
		p := startProcess(t, []string{"TMPDIR=" + folder}, "dev", "--no-churn", "--json")
		return p, filepath.Dir(p.ready().APIKeyFile)
	}
	kill := func(p *process) {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	killed, old := start()
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

// Supervisors and timeout(1) signal the process and then its group, so that it gets the same signal twice.
func TestDevHeedsTheSameSignalTwiceAsOne(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
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
