package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// patience is how long a test waits for what takes milliseconds when the machine is idle.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(leakless{testserver.Main(m)}, map[string]func(){"tenantwatch": main, "tenantjob": jobMain})
}

// leakless fails when goroutines are left after the tests.
type leakless struct{ m interface{ Run() int } }

// Run runs the tests.
func (l leakless) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// call runs the program in this process.
func call(ctx context.Context, stdout io.Writer, args ...string) (code int, stderr string) {
	var errors bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), stdout, &errors)
	return code, errors.String()
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

func TestC1TheReaderOfTheOutputIsGone(t *testing.T) {
	tests := []struct {
		name       string
		writes     int
		err        error
		code       int
		wantStderr string // nothing else than changes of state when empty
	}{
		{"broken pipe at once", 0, syscall.EPIPE, exitPipe, ""},
		{"broken pipe later", 3, io.ErrClosedPipe, exitPipe, ""},
		{"disk full", 3, syscall.ENOSPC, exitFailure, "write the output: " + syscall.ENOSPC.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			code, stderr := call(ctx, &failingWriter{left: tt.writes, err: tt.err}, "dev", "--churn", "200")
			if code != tt.code || ctx.Err() != nil {
				t.Errorf("exit code %d, %v, want %d before the deadline", code, ctx.Err(), tt.code)
			}
			said := withoutStates(stderr)
			if tt.wantStderr == "" && said != "" || !strings.Contains(said, tt.wantStderr) {
				t.Errorf("standard error says %q, want %q", said, tt.wantStderr)
			}
		})
	}
}

// Like "tenantwatch --help | true".
func TestC1TheReaderOfTheHelpIsGone(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"dev", "--help"}, {"version"}} {
		code, stderr := call(t.Context(), &failingWriter{err: syscall.EPIPE}, args...)
		if code != exitPipe || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %q, want %d and nothing", args, code, stderr, exitPipe)
		}
		code, stderr = call(t.Context(), &failingWriter{err: syscall.ENOSPC}, args...)
		if code != exitFailure || !strings.Contains(stderr, "write the output: "+syscall.ENOSPC.Error()) || strings.Contains(stderr, "--help") {
			t.Errorf("%v: exit code %d, stderr %q, want %d and the reason", args, code, stderr, exitFailure)
		}
	}
}

// withoutStates removes the lines that tell of a state.
func withoutStates(stderr string) string {
	var rest []string
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, " with ") || !strings.Contains(line, "subscribed") {
			rest = append(rest, line)
		}
	}
	return strings.Join(rest, "")
}

func TestC1EndedWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"dev"},
		{"follow", "--service", "s", "--manager-url", "http://127.0.0.1:1", "--redis-url", "redis://127.0.0.1:1", "--api-key-file", "-"},
	} {
		var stdout bytes.Buffer
		code, stderr := call(ctx, &stdout, args...)
		if code != exitDone || stdout.Len() > 0 || stderr != "" {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want 0 and nothing", args[0], code, &stdout, stderr)
		}
	}
}

func TestC1FollowSaysWhatItWaitsFor(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	stderr := &cancelAfter{lines: 1, cancel: cancel}
	address := silent.Addr().String()
	code := run(ctx, []string{
		"follow", "--service", "s", "--manager-url", "http://" + address, "--redis-url", "redis://" + address, "--api-key-file", key,
	}, strings.NewReader(""), io.Discard, stderr)
	want := "starting with 0 tenants: Redis has to confirm and the manager at http://" + address + " to answer"
	if code != exitDone || !strings.Contains(stderr.text.String(), want) {
		t.Errorf("exit code %d, stderr %q, want %q", code, &stderr.text, want)
	}
}

func TestDevEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &cancelAfter{lines: 3, cancel: cancel}
	code, stderr := call(ctx, out, "dev", "--churn", "200", "--json")
	if code != exitDone || withoutStates(strings.ReplaceAll(stderr, `"tenants"`, " with ")) != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if !strings.Contains(out.text.String(), `"type":"summary"`) {
		t.Errorf("no summary in %q", &out.text)
	}
}

// cancelAfter calls cancel once it has got some lines.
type cancelAfter struct {
	lines  int
	cancel context.CancelFunc
	text   bytes.Buffer
}

func (w *cancelAfter) Write(p []byte) (int, error) {
	w.lines -= bytes.Count(p, []byte("\n"))
	if w.lines <= 0 {
		w.cancel()
	}
	return w.text.Write(p)
}
