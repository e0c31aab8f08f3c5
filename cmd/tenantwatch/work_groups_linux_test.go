package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// naps counts the processes "sleep SECONDS" of this machine, where the seconds are nobody else's.
func naps(t *testing.T, seconds string) int {
	t.Helper()
	return len(nappers(t, seconds))
}

func nappers(t *testing.T, seconds string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		if words, err := os.ReadFile(file); err == nil && strings.HasSuffix(string(words), "sleep\x00"+seconds+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// someSeconds is how long a sleep is that is nobody else's.
func someSeconds() string {
	return fmt.Sprintf("%d.%d", 10_000+os.Getpid(), time.Now().UnixNano()%1_000_000_000)
}

// Every process ends when it is asked to, and leaves one that does not listen.
func TestX30NothingOfManyGroupsIsLeft(t *testing.T) {
	t.Parallel()
	tenants := 40
	if inFull() {
		tenants = 600
	}
	dev, ready := startDev(t, strconv.Itoa(tenants))
	nap := someSeconds()
	work := ready.startWork(t, newRoll(t), "--stop-grace", "3s", "--", "sh", "-c", `(trap "" TERM; exec sleep `+nap+`) & wait`)
	until(t, func() bool { return naps(t, nap) == tenants }, "%d of %d are there", naps(t, nap), tenants)
	work.interrupt()
	if left := naps(t, nap); left > 0 {
		t.Errorf("%d are left", left)
	}
	if out := work.out.String(); strings.Count(out, "  killed: it had not ended 3s after") != tenants || strings.Count(out, "  stopped: ") != tenants {
		t.Errorf("%d were killed and %d have ended, of %d", strings.Count(out, "  killed: "), strings.Count(out, "  stopped: "), tenants)
	}
	if strings.Contains(work.err.String(), "SIGKILL did not end") {
		t.Errorf("it says\n%s", &work.err)
	}
	dev.interrupt()
}

// What has ended in time was not killed, and nobody says so.
func TestX30WhoEndsInTimeIsNotKilled(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "10")
	nap := someSeconds()
	work := ready.startWork(t, newRoll(t), "--stop-grace", "1h", "--", "sh", "-c", `sleep `+nap+` & wait`)
	until(t, func() bool { return naps(t, nap) == 10 }, "%d of 10 are there", naps(t, nap))
	work.interrupt()
	if out := work.out.String(); naps(t, nap) > 0 || strings.Contains(out, "killed") || strings.Count(out, "stopped: signal: terminated\n") != 10 {
		t.Errorf("%d are left, and it says\n%s", naps(t, nap), out)
	}
	dev.interrupt()
}

// inside starts "work" as the first process of a namespace of its own, as in a container. Options of unshare say whether /proc
// is that of the namespace.
func (r readyLine) inside(t *testing.T, options []string, args ...string) *launched {
	t.Helper()
	options = append([]string{"--pid", "--fork", "--kill-child"}, options...)
	if out, err := exec.CommandContext(t.Context(), "unshare", append(options, "true")...).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: there may be no namespaces here: %v: %s", err, out)
	}
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	p := &launched{t: t}
	p.cmd = exec.CommandContext(t.Context(), "unshare", slices.Concat(options, []string{path}, r.workArguments(args...))...)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + noNap}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// childrenOf are the pids of the children of a process, and how many of them are zombies.
func childrenOf(t *testing.T, parent int) (pids []int, zombies int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		pids = append(pids, pid)
		if fields[0] == "Z" {
			zombies++
		}
	}
	return pids, zombies
}

func TestX31NoZombiesAsTheFirstProcess(t *testing.T) {
	t.Parallel()
	const meanwhile = `n=0; while [ $n -lt 80 ]; do (setsid sleep 0.01 &); n=$((n+1)); echo "  started "; sleep 0.01; done; sleep 1000`
	own := []string{"--mount-proc"}
	for what, tt := range map[string]struct {
		options []string
		script  string
		short   bool // the others are left to the full form
	}{
		"left in the group": {own, `sleep 0.05 & exit 1`, false},
		"left the group":    {own, `setsid sleep 0.05 & exit 1`, false},
		"forked twice":      {own, `(setsid sh -c "sleep 0.05 & sleep 0.02" &) ; exit 1`, false},
		"while it runs":     {own, meanwhile, true},
		"left the group, with the list of the machine": {nil, `setsid sleep 0.05 & exit 1`, true},
		"while it runs, with /proc of ours":            {nil, meanwhile, false},
	} {
		if !tt.short && !inFull() {
			continue
		}
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dev, ready := startDev(t, "4")
			work := ready.inside(t, tt.options, "--stop-grace", "200ms", "--max-backoff", "100ms", "--", "sh", "-c", tt.script)
			work.awaitTimes(&work.out, "  started ", 80)
			until(t, func() bool { pids, _ := childrenOf(t, work.cmd.Process.Pid); return len(pids) == 1 }, "it is not there")
			first, _ := childrenOf(t, work.cmd.Process.Pid)
			if _, zombies := childrenOf(t, first[0]); zombies > 40 {
				t.Errorf("there are %d zombies", zombies)
			}
			dev.interrupt()
			if err := syscall.Kill(first[0], syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = work.cmd.Wait()
		})
	}
}

// It ignores what its writes say, as many do.
func TestX32AClosedPipeEndsWhoWritesIntoIt(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "1")
	work := ready.startWork(t, newRoll(t), "--", "sh", "-c", "while :; do echo y; done | head -1; echo over; sleep 1000")
	work.await(&work.out, "tenant-0001 | over\n")
	work.interrupt()
	dev.interrupt()
}

// limited starts "work" as somebody who may have so many processes and threads.
func (r readyLine) limited(t *testing.T, most int, args ...string) *launched {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: it takes root to become somebody who has no processes yet")
	}
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	p := &launched{t: t}
	p.cmd = exec.CommandContext(t.Context(), "prlimit", append([]string{fmt.Sprintf("--nproc=%d", most), path}, r.workArguments(args...)...)...)
	uid := uint32(2_000_000 + os.Getpid()%100_000)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + noNap}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	for _, file := range []string{path, r.APIKeyFile} { // they are below folders of ours
		for folder := filepath.Dir(file); folder != "/"; folder = filepath.Dir(folder) {
			if info, err := os.Stat(folder); err == nil && info.Mode()&0o005 != 0o005 {
				_ = os.Chmod(folder, info.Mode().Perm()|0o055)
			}
		}
		if info, err := os.Stat(file); err == nil {
			_ = os.Chmod(file, info.Mode().Perm()|0o044)
		}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestX33ALimitOfTasksEndsNobody(t *testing.T) {
	most, tenants := 60, 90
	if inFull() {
		most, tenants = 200, 300
	}
	dev, ready := startDev(t, strconv.Itoa(tenants))
	nap := someSeconds()
	work := ready.limited(t, most, "--max-backoff", "200ms", "--", "sleep", nap)
	work.await(&work.out, "  failed: start the process: ")
	work.await(&work.out, "resource temporarily unavailable")
	work.awaitTimes(&work.out, "  failed: start the process: ", 3*(tenants-most))
	if there := naps(t, nap); there < most-40 {
		t.Errorf("%d are there, with a limit of %d:\n%s", there, most, &work.out)
	}
	if threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", work.cmd.Process.Pid)); err != nil || len(threads) > 40 {
		t.Errorf("it has %d threads, %v", len(threads), err)
	}
	work.interrupt()
	if left := naps(t, nap); left > 0 || strings.Contains(work.err.String(), "goroutine") {
		t.Errorf("%d are left, and it says\n%s", left, &work.err)
	}
	dev.interrupt()
}
