package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	startTimeout  = 15 * time.Second // generous: the machine may be busy with other tests
	startAttempts = 5
	pollInterval  = 5 * time.Millisecond
	probeTimeout  = time.Second
)

// DriverDials is a goroutine of go-redis' pool, which tries a server that refuses connections again each second. It looks only
// then whether the pool was closed, and nobody can wait for it: who watches for goroutines that are left passes over it.
const DriverDials = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

// Redis is a redis-server process that belongs to one test. Its methods are for one goroutine at a time, except Client,
// Addr, Host and Port.
type Redis struct {
	t      testing.TB
	binary string
	dir    string
	first  []string // of the command line
	args   []string
	port   string
	starts int
	server *process // nil while it is down
	client *redis.Client
}

// process is one running server. Its goroutine starts it, waits for it and then closes done.
type process struct {
	cmd     *exec.Cmd
	logFile string
	done    chan struct{}
	err     error // how it ended; read it after done
}

// StartRedis starts redis-server on a free port of 127.0.0.1, without persistence, and returns once it answers. The
// server ends with the test.
//
// extraArgs are added to its command line as they are, except that "{port}" in them stands for the port: a server that
// speaks TLS alone is started with "--port", "0", "--tls-port", "{port}" and the certificates.
//
// Without a redis-server in the path the test fails if the environment variable CI is set, and is skipped otherwise.
func StartRedis(t testing.TB, extraArgs ...string) *Redis {
	t.Helper()
	return startRedis(t, t.TempDir(), nil, extraArgs)
}

func startRedis(t testing.TB, dir string, first, last []string) *Redis {
	t.Helper()
	r := &Redis{t: t, binary: findRedis(t), dir: dir, first: first, args: last}
	t.Cleanup(r.Kill)
	r.startOnFreePort()
	r.client = redis.NewClient(&redis.Options{
		Addr: r.Addr(), DisableIdentity: true, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = r.client.Close() })
	return r
}

// Addr returns "host:port".
func (r *Redis) Addr() string { return net.JoinHostPort(r.Host(), r.port) }

// Host returns the address that the server listens on.
func (r *Redis) Host() string { return "127.0.0.1" }

// Port returns the port, the same one for every Start.
func (r *Redis) Port() string { return r.port }

// Client returns a client that is closed with the test. It sends no password and speaks no TLS.
func (r *Redis) Client() *redis.Client { return r.client }

// Do runs one command and returns the reply. An error fails the test.
func (r *Redis) Do(ctx context.Context, args ...any) any {
	r.t.Helper()
	reply, err := r.client.Do(ctx, args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.t.Fatalf("redis-server, %v: %v", args[0], err)
	}
	return reply
}

// Connections returns how many clients the server has, that of this call among them.
func (r *Redis) Connections(ctx context.Context) int {
	r.t.Helper()
	list, _ := r.Do(ctx, "CLIENT", "LIST").(string)
	return strings.Count(list, "\n")
}

// Kill ends the server with SIGKILL and waits until it is gone. It does nothing when the server is down.
func (r *Redis) Kill() {
	if r.server == nil {
		return
	}
	_ = r.server.cmd.Process.Kill() // fails only if it has ended by itself
	<-r.server.done
	r.server = nil
}

// Start starts the server again, empty, on the same port, and returns once it answers. It fails the test if the server
// is up.
func (r *Redis) Start() {
	r.t.Helper()
	if r.server != nil {
		r.t.Fatal("redis-server is running already")
	}
	if err := r.start(); err != nil {
		r.t.Fatal(err)
	}
}

// Pause stops the process (SIGSTOP): its connections stay open and nothing is answered. Where there is no such signal
// the test is skipped.
func (r *Redis) Pause() {
	r.t.Helper()
	pause(r.t, r.server.cmd.Process)
}

// Resume lets the process go on after Pause.
func (r *Redis) Resume() {
	r.t.Helper()
	resume(r.t, r.server.cmd.Process)
}

func findRedis(t testing.TB) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err == nil {
		return binary
	}
	const missing = "REDIS-SERVER IS MISSING, and this test needs it. Install it with: apt-get install redis-server"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// startOnFreePort tries other ports when another process has taken the free one in the meantime.
func (r *Redis) startOnFreePort() {
	r.t.Helper()
	var err error
	for range startAttempts {
		r.port = freePort(r.t)
		if err = r.start(); err == nil {
			return
		}
	}
	r.t.Fatal(err)
}

func freePort(t testing.TB) string {
	t.Helper()
	port, err := anyFreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func anyFreePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

func (r *Redis) start() error {
	r.starts++
	log := filepath.Join(r.dir, fmt.Sprintf("redis-%d.log", r.starts))
	server, err := launch(exec.Command(r.binary, r.commandLine()...), log)
	if err != nil {
		return err
	}
	r.server = server
	if err := r.waitUntilReady(); err != nil {
		r.Kill()
		return err
	}
	return nil
}

func (r *Redis) commandLine() []string {
	args := append(slices.Clone(r.first),
		"--port", r.port, "--bind", r.Host(), "--dir", r.dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
	for _, arg := range r.args {
		args = append(args, strings.ReplaceAll(arg, "{port}", r.port))
	}
	return args
}

// launch starts the process on a goroutine of its own that keeps its thread: where the kernel ends a child together
// with its parent, parent means the thread.
func launch(cmd *exec.Cmd, logFile string) (*process, error) {
	out, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("create the log of %s: %w", filepath.Base(cmd.Path), err)
	}
	p := &process{cmd: cmd, logFile: logFile, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	endWithParent(p.cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(p.done)
		defer func() { _ = out.Close() }()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return p, nil
}

// waitUntilReady looks into the log first, since on a port that was taken from us another server may answer.
func (r *Redis) waitUntilReady() error {
	deadline := time.After(startTimeout)
	for {
		select {
		case <-r.server.done:
			return fmt.Errorf("redis-server ended: %w\n%s", r.server.err, r.server.log())
		case <-deadline:
			return fmt.Errorf("redis-server is not ready after %s\n%s", startTimeout, r.server.log())
		case <-time.After(pollInterval):
		}
		if r.server.saysReady() && r.answers() {
			return nil
		}
	}
}

func (p *process) saysReady() bool {
	log := p.log()
	return strings.Contains(log, "Ready to accept connections") || strings.Contains(log, "Sentinel ID is")
}

func (p *process) log() string {
	content, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// answers reports whether the port answers PING. A server that asks for a password or for TLS has answered too.
func (r *Redis) answers() bool {
	conn, err := net.DialTimeout("tcp", r.Addr(), probeTimeout)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if strings.Contains(strings.Join(r.args, " "), "--tls-port {port}") {
		return true
	}
	_ = conn.SetDeadline(time.Now().Add(probeTimeout))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && !strings.HasPrefix(line, "-LOADING")
}
