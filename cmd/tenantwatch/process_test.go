package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/tenantwatch/tenantwatch/internal/test/edges" // for its flag
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// launched is the program, running on its own.
type launched struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startProcess starts it with no other settings in its environment than env.
func startProcess(t *testing.T, env []string, args ...string) *launched {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no Ctrl-C to send")
	}
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	p := &launched{t: t, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=" + noNap}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// await waits until the text is in the buffer.
func (p *launched) await(b *lockedBuffer, text string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(b.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no %q in\n%s\nstandard error:\n%s", text, b, &p.err)
		}
	}
}

// interrupt sends Ctrl-C and waits for the end.
func (p *launched) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("after Ctrl-C: %v\n%s", err, &p.err)
	}
}

func (p *launched) ready() readyLine {
	p.t.Helper()
	p.await(&p.out, "\n")
	line, _, _ := strings.Cut(p.out.String(), "\n")
	var ready readyLine
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		p.t.Fatalf("%v in %q", err, line)
	}
	return ready
}

// change asks the manager for a change.
func (r readyLine) change(t *testing.T, method, path, body string) {
	t.Helper()
	headers, err := os.ReadFile(r.HeadersFile)
	if err != nil {
		t.Fatal(err)
	}
	status, err := request(method, r.ManagerURL+"/v1/tenants"+path, string(headers), body)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s %s: status %d, %v", method, path, status, err)
	}
}

func (r readyLine) follow(t *testing.T) *launched {
	t.Helper()
	return startProcess(t, nil, "follow", "--service", r.Service, "--environment", r.Environment,
		"--manager-url", r.ManagerURL, "--redis-url", r.RedisURL, "--api-key-file", r.APIKeyFile)
}

// The manager is polled every 12 s at the earliest while there are no events, so what shows sooner came by an event.
func TestFollowsThroughARealRedis(t *testing.T) {
	t.Parallel()
	redis := testserver.StartRedis(t)
	dev := startProcess(t, nil, "dev", "--no-churn", "--json", "--tenants", "3", "--redis-url", "redis://"+redis.Addr())
	ready := dev.ready()
	follow := ready.follow(t)
	follow.await(&follow.out, "+  tenant-0003  bootstrap\n")
	follow.await(&follow.err, "live with 3 tenants")

	began := time.Now()
	ready.change(t, "PUT", "/tenant-0002/suspend", "")
	follow.await(&follow.out, "-  tenant-0002  tenant.suspended\n")
	ready.change(t, "POST", "/tenant-0003/associations/ledger/credentials/rotate", "")
	follow.await(&follow.out, "~  tenant-0003  tenant.credentials.rotated\n")
	t.Logf("two changes were told within %s", time.Since(began))

	redis.Kill()
	follow.await(&follow.err, "polling with 2 tenants: the manager is polled; no events from Redis: ")
	ready.change(t, "DELETE", "/tenant-0003/associations/ledger", "")
	ready.change(t, "PUT", "/tenant-0001/suspend", "")
	ready.change(t, "PUT", "/tenant-0001/reactivate", "")
	redis.Start()
	follow.await(&follow.err, "live with 1 tenant:")
	follow.await(&follow.out, "-  tenant-0003  ") // by a list or by its event, which waited: whichever was first
	ready.change(t, "POST", "/tenant-0001/associations/ledger/credentials/rotate", "")
	follow.await(&follow.out, "~  tenant-0001  tenant.credentials.rotated\n")
	if out := follow.out.String(); strings.Count(out, "+  tenant-0001") != 1+strings.Count(out, "-  tenant-0001") {
		t.Errorf("what was undone while Redis was down is wrong now:\n%s", out)
	}
	follow.interrupt()
	dev.interrupt()
	assertNoSecrets(t, follow, ready.APIKey, ready.Token)
}

func TestS08NoSecretShows(t *testing.T) {
	const right, wrong = "canary-password", "canary-mistake"
	redis := testserver.StartRedis(t, "--requirepass", right)
	dev := startProcess(t, nil, "dev", "--verbose", "--json", "--redis-url", "redis://:"+right+"@"+redis.Addr())
	ready := dev.ready()
	dev.await(&dev.err, `"state":"live"`)

	settings := []string{
		"MULTI_TENANT_URL=" + ready.ManagerURL, "APPLICATION_NAME=ledger", "ENV_NAME=dev", "MULTI_TENANT_SERVICE_API_KEY=" + ready.APIKey,
		"MULTI_TENANT_REDIS_HOST=" + redis.Host(), "MULTI_TENANT_REDIS_PORT=" + redis.Port(),
	}
	follow := startProcess(t, append(settings, "MULTI_TENANT_REDIS_PASSWORD="+right), "follow", "--verbose")
	follow.await(&follow.err, "live with ")
	follow.await(&follow.out, "  tenant.")
	refused := startProcess(t, append(settings, "MULTI_TENANT_REDIS_PASSWORD="+wrong), "follow", "--verbose")
	refused.await(&refused.err, "no events from Redis: refused by Redis: subscribe to ")

	for _, p := range []*launched{follow, refused, dev} {
		p.interrupt()
	}
	assertNoSecrets(t, follow, "canary", ready.APIKey, ready.Token)
	assertNoSecrets(t, refused, "canary", ready.APIKey, ready.Token)
	assertNoSecrets(t, dev, "canary")
}

func assertNoSecrets(t *testing.T, p *launched, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(p.out.String()+p.err.String(), secret) {
			t.Errorf("a secret shows:\n%s\n%s", &p.out, &p.err)
		}
	}
}

// Like "tenantwatch dev | head -1".
func TestC1BrokenPipeOfAProcess(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "dev", "--churn", "100", "--json")
	folder := t.TempDir()
	cmd.Env = []string{"TMPDIR=" + folder, "GORACE=" + noNap}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = write, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	_, _ = read.Read(make([]byte, 1))
	_ = read.Close()
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() != exitPipe || ctx.Err() != nil {
		t.Errorf("ended with %v, want exit code %d", err, exitPipe)
	}
	if strings.Contains(stderr.String(), "goroutine") || strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("it has something to say:\n%s", &stderr)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// Like "tenantwatch dev --no-churn | head -1": there is no next line that would show it.
func TestC1TheReaderOfAQuietProcessIsGone(t *testing.T) { //nolint:tparallel // they share a process
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("it shows with the next line")
	}
	dev := startProcess(t, nil, "dev", "--no-churn", "--json", "--tenants", "1")
	ready := dev.ready()
	for _, args := range [][]string{
		{"dev", "--no-churn"},
		{"follow", "--service", ready.Service, "--manager-url", ready.ManagerURL, "--redis-url", ready.RedisURL, "--api-key-file", ready.APIKeyFile},
	} {
		t.Run(args[0], func(t *testing.T) { closeAfterOneLine(t, args) })
	}
	dev.interrupt()
}

func closeAfterOneLine(t *testing.T, args []string) {
	t.Helper()
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	folder := t.TempDir()
	cmd.Env = []string{"TMPDIR=" + folder, "GORACE=" + noNap}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Error(err)
	}
	_ = stdout.Close()
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() != exitPipe || ctx.Err() != nil || withoutStates(stderr.String()) != "" {
		t.Errorf("ended with %v, want exit code %d and nothing else said:\n%s", err, exitPipe, &stderr)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestDevTakesItsFilesAway(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	if code, stderr := call(t.Context(), &bytes.Buffer{}, "dev", "--duration", "10ms"); code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// inFull reports whether what takes long is to be run too, as make matrix does.
func inFull() bool {
	full := flag.Lookup("edges.full")
	return full != nil && full.Value.String() == "true"
}

// onlyInFull is for what takes long, and whose parts have tests of their own.
func onlyInFull(t *testing.T) {
	t.Helper()
	if !inFull() {
		t.Skip("left to the full run, make proofs")
	}
}

// until waits until ok.
func until(t *testing.T, ok func() bool, what string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf(what, args...)
		}
	}
}
