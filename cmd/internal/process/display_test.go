package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/worker"
)

func TestLinesOfAProcessAreBounded(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct {
		name, text string
		want       []string // one that goes on ends with a +
	}{
		{"nothing", "", nil},
		{"lines", "a\n\nb\r\n", []string{"a", "", "b"}},
		{"no end", "a\nb", []string{"a", "b"}},
		{"long", long + "y\nz\n", []string{long + "+", "y", "z"}},
		{"very long", long + long + "\n", []string{long + "+", long + "+", ""}},
		{"long without an end", long + long, []string{long + "+", long + "+"}},
		{"a return alone", "\r\n\r", []string{"", "\r"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			drain(strings.NewReader(tt.text), func(line []byte, whole bool) {
				got = append(got, string(line)+map[bool]string{false: "+"}[whole])
			})
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %.40q, want %.40q", got, tt.want)
			}
		})
	}
}

func TestNothingThatATerminalWouldObeyIsLeft(t *testing.T) {
	for line, want := range map[string]string{
		"plain ünïcode ✓": "plain ünïcode ✓",
		"a\tb":            "a b",
		"\x1b[31mred\x1b[0m \x1b[2J\x1b[5;5Hthere": "red there",
		"\x1b]0;title\agone":                       "gone",
		"\x1b]0;title\x1b\\gone":                   "gone",
		"\x1bP1;2|text\x1b\\after":                 "after",
		"\x1b(Bset\x1b7saved\x1bcreset":            "setsavedreset",
		"cut off \x1b":                             "cut off ",
		"cut off \x1b[12":                          "cut off ",
		"cut off \x1b]0;ti":                        "cut off ",
		"cut off \x1b(":                            "cut off ",
		"\x00\a\b\x7f":                             "\ufffd\ufffd\ufffd\ufffd",
		"\u009b31m\u202e":                          "\ufffd31m\ufffd",
		"\xff\xc3":                                 "\ufffd\ufffd",
	} {
		if got := harmless([]byte(line)); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func FuzzHarmless(f *testing.F) {
	f.Add([]byte("\x1b[1mx\x1b]a\x1b\\\r\n\xff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if text := harmless(line); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			t.Errorf("%q became %q", line, text)
		}
	})
}

// slowWriter takes one write for each permit.
type slowWriter struct {
	permits chan struct{}
	mu      sync.Mutex
	text    bytes.Buffer
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.permits
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func plainLines(out io.Writer) *Lines {
	return NewLines(out, io.Discard, false, false, func(string) {})
}

// One that prints without end has to wait, and loses nothing; another's line waits for one write, not for all of them.
func TestAChattyProcessWaitsAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &slowWriter{permits: make(chan struct{})}
		l := plainLines(out)
		const chatter = 10_000
		chatted, err := make(chan struct{}), error(nil)
		go func() {
			defer close(chatted)
			err = l.During(nil, func() error {
				l.Voice("chatty").Read(StandardOutput, strings.NewReader(strings.Repeat("a lot to say\n", chatter)))
				return nil
			})
		}()
		synctest.Wait()
		quiet := l.Voice("quiet")
		quiet.Event(Event{Type: EventDone}) // does not wait
		quiet.Read(StandardOutput, strings.NewReader("a word\n"))
		for range 3 {
			out.permits <- struct{}{}
			synctest.Wait()
		}
		if text := out.text.String(); !strings.Contains(text, "  quiet   done\nquiet  | a word\n") || strings.Count(text, "a lot") == chatter {
			t.Errorf("after three writes:\n%.300s", text)
		}
		close(out.permits)
		<-chatted
		if n := strings.Count(out.text.String(), "chatty | a lot to say\n"); n != chatter || err != nil {
			t.Errorf("%d lines, %v, want %d", n, err, chatter)
		}
	})
}

// When nothing can be written any more, processes do not wait for that; what was lost is counted.
func TestAStuckOutputStopsNoProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &slowWriter{permits: make(chan struct{})}
		l := plainLines(out)
		const chatter = 10_000
		err := l.During(nil, func() error {
			v := l.Voice("chatty")
			began := time.Now()
			v.Read(StandardOutput, strings.NewReader(strings.Repeat("a lot to say\n", chatter)))
			if waited := time.Since(began); waited != stalledAfter {
				t.Errorf("waited %s, want %s once", waited, stalledAfter)
			}
			v.Event(Event{Type: EventDone})
			close(out.permits)
			return nil
		})
		text, lost := out.text.String(), 0
		if _, rest, ok := strings.Cut(text, "  dropped "); ok {
			_, _ = fmt.Sscan(rest, &lost)
		}
		if n := strings.Count(text, "a lot to say\n"); err != nil || n == 0 || n+lost != chatter || !strings.Contains(text, "  chatty  done\n") {
			t.Errorf("%d lines and %d lost, of %d; %v; the end is %q", n, lost, chatter, err, text[len(text)-100:])
		}
	})
}

func TestAnOutputThatFailsStopsAll(t *testing.T) {
	refused := syscall.EPIPE // nobody reads any more
	for name, show := range map[string]Display{
		"lines": plainLines(&failingWriter{left: 1, err: refused}),
		"board": NewBoard(Terminal{
			write: func(text []byte) error { _, err := (&failingWriter{err: refused}).Write(text); return err },
			size:  func() (width, height int, err error) { return 80, 24, nil },
		}, "t"),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			err := show.During(cancel, func() error {
				for ctx.Err() == nil {
					show.Voice("t").Event(Event{Type: EventDone})
					time.Sleep(time.Millisecond)
				}
				v := show.Voice("t")
				v.Read(StandardOutput, strings.NewReader(strings.Repeat("waits for nobody any more\n", 10_000)))
				return nil
			})
			if !errors.Is(err, refused) || !errors.Is(context.Cause(ctx), refused) {
				t.Errorf("got %v and %v, want %v", err, context.Cause(ctx), refused)
			}
		})
	}
}

// A disk that is full may have room again. Until then what is printed is lost and counted, and nobody is ended for it.
func TestX34WhatADiskHasNoRoomForIsCounted(t *testing.T) {
	disk := &fullDisk{room: 3}
	var said bytes.Buffer
	l := NewLines(disk, &said, false, false, func(text string) { said.WriteString(text + "\n") })
	err := l.During(func(err error) { t.Errorf("all are ended by %v", err) }, func() error {
		v := l.Voice("t")
		disk.free(t, l, func() { v.Event(Event{Type: EventDone}) })
		v.Read(StandardOutput, strings.NewReader("a\nb\n"))
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "lines lost because it failed: 1") {
		t.Errorf("got %v", err)
	}
	if text := disk.text.String(); !strings.HasSuffix(text, "\nt | a\nt | b\n") || len(text) != len("...\nt | a\nt | b\n") {
		t.Errorf("the disk has %q", text)
	}
	if text := said.String(); strings.Count(text, "no space left on device") != 1 || !strings.Contains(text, "can be written again") {
		t.Errorf("it says %q", text)
	}
}

// fullDisk has room for so many bytes, and then for none until it is freed.
type fullDisk struct {
	mu     sync.Mutex
	room   int
	failed int
	text   bytes.Buffer
}

func (d *fullDisk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(d.room, len(p))
	d.text.Write(p[:n])
	d.room -= n
	if n < len(p) {
		d.failed++
		return n, syscall.ENOSPC
	}
	return n, nil
}

// free makes room once a write has failed that something was done for.
func (d *fullDisk) free(t *testing.T, l *Lines, something func()) {
	t.Helper()
	something()
	failed := func() bool {
		l.outlet.mu.Lock()
		defer l.outlet.mu.Unlock()
		return l.outlet.failure != nil
	}
	for deadline := time.Now().Add(patience); !failed(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing has failed")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = 1 << 20
}

// What waits for a reader that is stuck has a bound, whatever happens meanwhile.
func TestX34WhatAStuckReaderKeepsWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &slowWriter{permits: make(chan struct{})}
		l := plainLines(out)
		err := l.During(nil, func() error {
			for i := range 3 * maxQueuedInAll / maxQueued {
				v := l.Voice(fmt.Sprint("t", i%100)) // each run of a tenant has its own
				v.Event(Event{Type: EventStarted})
				v.Read(StandardOutput, strings.NewReader(strings.Repeat(strings.Repeat("x", 1000)+"\n", 2*maxQueued/1000)))
				v.Event(Event{Type: EventFailed})
			}
			return nil
		})
		if size := l.outlet.size; size > maxQueuedInAll+maxQueued || l.outlet.dropped == 0 {
			t.Errorf("%d bytes wait, and %d were dropped", size, l.outlet.dropped)
		}
		if !errors.Is(err, ErrStuck) {
			t.Errorf("got %v, want %v", err, ErrStuck)
		}
		close(out.permits)
	})
}

func statusOf(now time.Time, of ...worker.State) worker.Status {
	var s worker.Status
	for i, state := range of {
		s.Tenants = append(s.Tenants, worker.TenantStatus{TenantID: fmt.Sprintf("t%d", i), State: state, Since: now.Add(-75 * time.Second)})
	}
	return s
}

func TestThePicture(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local) //nolint:gosmopolitan // it is shown by the clock on the wall
	s := statusOf(now, worker.Running, worker.Restarting, worker.Done, worker.Waiting, worker.Overstaying, worker.GivenUp, worker.Running)
	s.Tenants[1].LastError, s.Tenants[1].Restarts = errors.New("exit status 1"), 12
	s.Tenants[3].Place = 4
	s.Tenants[5].LastError = fmt.Errorf("%w: %w", worker.ErrGiveUp, errors.New("exit status 78"))
	p := picture{
		title: "ledger/dev", now: now, status: s, about: "live",
		last:  func(id string) string { return map[string]string{"t0": "hello", "t1": "boom"}[id] },
		width: 60, height: 9,
	}
	want := []string{
		cut(Clock(now)+"  ledger/dev  live: 1 overstaying, 1 given up, 1 restarting, 1 waiting", p.width),
		"",
		"TENANT  STATE        SINCE  RESTARTS  LAST LINE",
		"t4      overstaying     1m         0",
		"t5      given up        1m         0  exit status 78",
		"t1      restarting      1m        12  exit status 1: boom",
		"t3      waiting         1m         0  number 4 in line",
		"t0      running         1m         0  hello",
		"and 2 more: 1 running, 1 done",
	}
	if got := p.lines(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p.height = 10 // it fits, without a line about the rest
	if got := p.lines(); len(got) != 10 || got[9] != "t2      done            1m         0" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	for p.height = range 12 {
		for p.width = range 70 {
			got := p.lines()
			if len(got) > p.height || slices.ContainsFunc(got, func(line string) bool { return len([]rune(line)) > p.width }) {
				t.Fatalf("%d × %d does not hold\n%s", p.width, p.height, strings.Join(got, "\n"))
			}
		}
	}
}

// failingWriter takes some writes and refuses those after them.
type failingWriter struct {
	left int
	err  error
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left == 0 {
		return 0, w.err
	}
	w.left--
	return len(p), nil
}

// patience is how long something may take that takes no time.
const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
