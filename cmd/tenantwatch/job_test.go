package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// jobMain is "tenantjob WHAT [ARG]", the program that the tests of "work" run for each tenant. As long as it lives it has a
// connection to the roll at JOB_ROLL, if there is one.
func jobMain() {
	what, arg := os.Args[1], ""
	if len(os.Args) > 2 {
		arg = os.Args[2]
	}
	enroll(what)
	sayf("%s for %s of %s in %s\n", what, os.Getenv("TENANT_ID"), os.Getenv("TENANTWATCH_SERVICE"), os.Getenv("TENANTWATCH_ENVIRONMENT"))
	switch what {
	case "wait": // ends when it is asked to
	case "exit":
		code, _ := strconv.Atoi(arg)
		_, _ = os.Stderr.WriteString("about to exit\n")
		exit(code)
	case "stubborn", "orphan": // it and its child do not listen
		signal.Ignore(syscall.SIGTERM)
		startGrandchild()
		if what == "orphan" {
			exit(1)
		}
	case "grandchild":
		signal.Ignore(syscall.SIGTERM)
		sayf("ready\n")
	case "flood": // without end, without lines, and no text
		for junk := bytes.Repeat([]byte{0, 0xff, '\x1b', '[', '2', 'J'}, 10_000); ; {
			_, _ = os.Stdout.Write(junk)
		}
	case "reload":
		reload()
	}
	for {
		time.Sleep(time.Hour) // in real time: it is there to be ended
	}
}

func sayf(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format, args...) }

func exit(code int) {
	os.Exit(code) //nolint:forbidigo // it is a main
}

// enroll keeps the connection until the process ends, or lets the process end with it: a test that has failed leaves nobody.
func enroll(what string) {
	address := os.Getenv("JOB_ROLL")
	if address == "" {
		return
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(conn, "%s %s\n", what, os.Getenv("TENANT_ID"))
	_, _ = conn.Read(make([]byte, 1)) // it is noted
	go func() {
		_, _ = conn.Read(make([]byte, 1))
		exit(exitFailure)
	}()
}

func startGrandchild() {
	cmd := exec.CommandContext(context.Background(), os.Args[0], "grandchild") //nolint:gosec // it is this program
	out, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; line != "ready\n" && err == nil; {
		line, err = lines.ReadString('\n')
	}
	sayf("the grandchild is there\n")
}

// reload says so for each SIGHUP.
func reload() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	sayf("ready to reload\n")
	for range signals {
		sayf("reloaded\n")
	}
}

// roll knows the jobs that live, whoever has started them.
type roll struct {
	t        *testing.T
	listener net.Listener

	mu    sync.Mutex // guards what follows
	alive map[string]int
	most  map[string]int
	conns []net.Conn
}

func newRoll(t *testing.T) *roll {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &roll{t: t, listener: listener, alive: map[string]int{}, most: map[string]int{}}
	var calling sync.WaitGroup
	calling.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			calling.Go(func() { r.attend(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.mu.Lock()
		for _, conn := range r.conns {
			_ = conn.Close()
		}
		r.mu.Unlock()
		calling.Wait()
	})
	return r
}

func (r *roll) env() string { return "JOB_ROLL=" + r.listener.Addr().String() }

func (r *roll) attend(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	name, err := lines.ReadString('\n')
	if err != nil {
		return
	}
	name = name[:len(name)-1]
	r.count(name, 1)
	_, _ = conn.Write([]byte{1})
	_, _ = lines.ReadByte() // until it ends
	r.count(name, -1)
}

func (r *roll) count(name string, change int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive[name] += change
	r.most[name] = max(r.most[name], r.alive[name])
}

// await waits until so many jobs of the name live.
func (r *roll) await(name string, want int) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		got := r.alive[name]
		r.mu.Unlock()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d live of %q, want %d", got, name, want)
		}
	}
}

// awaitNobody waits until no job lives at all.
func (r *roll) awaitNobody() {
	r.t.Helper()
	r.mu.Lock()
	names := make([]string, 0, len(r.alive))
	for name := range r.alive {
		names = append(names, name)
	}
	r.mu.Unlock()
	if len(names) == 0 {
		r.t.Error("nobody was ever there")
	}
	for _, name := range names {
		r.await(name, 0)
	}
}

// neverTwo fails when there were ever two of a name.
func (r *roll) neverTwo() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, n := range r.most {
		if n > 1 {
			r.t.Errorf("%d lived at the same time of %q", n, name)
		}
	}
}
