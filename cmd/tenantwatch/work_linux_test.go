package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new terminal of a size: what people hold, and what a program prints on.
func openTerminal(t *testing.T, width, height uint16) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	fd := int(outside.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}))
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return outside, inside
}

// onTerminal starts "work" on a terminal of its own. typeCtrlC types that there, and waits for the end.
func (r readyLine) onTerminal(t *testing.T, width, height uint16, names *roll, args ...string) (work *launched, outside *os.File, typeCtrlC func()) {
	t.Helper()
	outside, inside := openTerminal(t, width, height)
	work = r.unstarted(t, names, args...)
	work.cmd.Env = append(work.cmd.Env, "TERM=xterm")
	work.cmd.Stdin, work.cmd.Stdout, work.cmd.Stderr = inside, inside, inside
	work.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := work.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = inside.Close()
	read, out, master := make(chan struct{}), &work.out, outside
	go func() {
		defer close(read)
		_, _ = io.Copy(out, master) // it ends with an error when nobody has the other end any more
	}()
	return work, outside, func() {
		t.Helper()
		if _, err := outside.WriteString("\x03"); err != nil {
			t.Fatal(err)
		}
		if err := work.cmd.Wait(); err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
		<-read
		_ = outside.Close()
	}
}

func TestWorkShowsATableOnATerminal(t *testing.T) {
	t.Parallel()
	dev, ready := startDev(t, "20")
	names := newRoll(t)
	work, outside, typeCtrlC := ready.onTerminal(t, 100, 10, names, "--", "tenantjob", "wait")
	work.await(&work.out, "  ledger/dev  live: 20 running")
	work.await(&work.out, "tenant-0006  running ")
	work.await(&work.out, "         0  wait for tenant-0006 of ledger in dev")
	work.await(&work.out, "and 14 more: 14 running")
	names.await("wait tenant-0020", 1)
	err := unix.IoctlSetWinsize(int(outside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 40})
	if err != nil {
		t.Fatal(err)
	}
	work.await(&work.out, "tenant-0020  running ")

	typeCtrlC()
	names.awaitNobody()
	out := work.out.String()
	_, table, _ := strings.Cut(out, "\x1b[?1049h\x1b[?25l\x1b[?7l")
	if _, rest, closed := strings.Cut(table, "\x1b[?7h\x1b[?25h\x1b[?1049l"); !closed || !strings.HasPrefix(rest, "in ") || strings.Count(rest, "\n") != 1 {
		t.Errorf("the terminal is left so:\n%q", out[max(len(out)-300, 0):])
	}
	dev.interrupt()
}
