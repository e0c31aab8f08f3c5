package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// jobVariable makes this test binary do a job instead of testing.
const jobVariable = "TENANTWATCH_OUTBOX_TEST_JOB"

func TestMain(m *testing.M) {
	if text := os.Getenv(jobVariable); text != "" {
		if err := doJob(text); err != nil {
			fmt.Fprintln(os.Stdout, "failed: "+err.Error()) //nolint:errcheck // nobody is there to hear of it
		}
		return
	}
	goleak.VerifyTestMain(testserver.Main(m), goleak.IgnoreAnyFunction(testserver.DriverDials))
}

// job is what a child does. It ends when its standard input does, or by being killed.
type job struct {
	DSN        string
	Host, Port string // of Redis
	// Writers is how many goroutines make changes. Zero only relays.
	Writers int
	// Life tells the tenants of one child from those of another.
	Life int
	// Die has it kill itself when it should mark what it has sent.
	Die bool
}

// doJob runs in the child. Its standard output has what it logs, and what its writers say.
func doJob(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	s, err := openStore(ctx, j.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	publisher, err := newPublisher(redisevents.Config{Host: j.Host, Port: j.Port})
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	cfg := Config{Store: s, Publisher: publisher, Keep: -1, Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))}
	if j.Die {
		cfg.Store = mortal{s}
	}
	relay, err := New(cfg)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { _ = relay.Run(ctx) })
	for i := range j.Writers {
		all.Go(func() { newWriter(s, relay, j.Life, i).run(ctx) })
	}
	return nil
}

// mortal is a store whose relay dies between publishing and marking.
type mortal struct{ *store.Store }

func (m mortal) MarkSent(context.Context, ...store.EventRef) error {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	return err
}

// child is a process that does a job.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed when all that it printed is read

	mu    sync.Mutex
	lines []string
}

// startChild starts a child that ends with the test, if it does not end before.
func startChild(t testing.TB, j job) *child {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(os.Args[0]), done: make(chan struct{})} //nolint:gosec // this very binary
	c.cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.stdin, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go c.read(out)
	t.Cleanup(c.kill)
	return c
}

// read keeps whole lines only: the last one may have been cut.
func (c *child) read(out io.Reader) {
	defer close(c.done)
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		c.mu.Lock()
		c.lines = append(c.lines, strings.TrimSuffix(line, "\n"))
		c.mu.Unlock()
	}
}

// kill ends the child with SIGKILL and waits until it is gone and read to the end.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // fails only if it has ended
	<-c.done
	_ = c.cmd.Wait() // its error is that it was killed
}

// said returns how many lines so far have the word in them.
func (c *child) said(word string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, line := range c.lines {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

const (
	soon      = 60 * time.Second // for what has to happen at all
	pollEvery = 2 * time.Millisecond
)

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !condition(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
