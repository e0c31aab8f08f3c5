package testserver_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

const (
	soon    = 10 * time.Second
	briefly = 50 * time.Millisecond
)

// startEcho starts a server that sends everything back.
func startEcho(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func dial(t *testing.T, p *testserver.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// exchange sends text and returns what came back within the time, up to the length of text, and why it ended.
func exchange(t *testing.T, conn net.Conn, text string, within time.Duration) (string, error) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	return receive(conn, len(text), within)
}

func receive(conn net.Conn, most int, within time.Duration) (string, error) {
	buf := make([]byte, most)
	_ = conn.SetReadDeadline(time.Now().Add(within))
	n, err := io.ReadFull(conn, buf)
	return string(buf[:n]), err
}

func TestProxyModesOnAnOpenConnection(t *testing.T) {
	tests := []struct {
		name   string
		mode   testserver.Mode
		within time.Duration
		want   string
		err    error
	}{
		{"pass", testserver.Pass, soon, "hello", nil},
		{"close", testserver.Close, soon, "", io.EOF},
		{"reset", testserver.Reset, soon, "", syscall.ECONNRESET},
		{"silence", testserver.Silence, briefly, "", os.ErrDeadlineExceeded},
		{"trickle", testserver.Trickle, 500 * time.Millisecond, "h", os.ErrDeadlineExceeded},
		{"mute", testserver.Mute, briefly, "", os.ErrDeadlineExceeded},
		{"split", testserver.SplitBytes, soon, "hello", nil},
		{"refuse", testserver.Refuse, soon, "hello", nil},
		{"cut", testserver.CutAfter(3), soon, "hel", io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testserver.NewProxy(t, startEcho(t))
			conn := dial(t, p)
			if got, err := exchange(t, conn, "first", soon); got != "first" || err != nil {
				t.Fatalf("before the mode: %q, %v", got, err)
			}
			p.Set(tt.mode)
			got, err := exchange(t, conn, "hello", tt.within)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestProxyModesOnANewConnection(t *testing.T) {
	tests := []struct {
		name   string
		mode   testserver.Mode
		within time.Duration
		want   string
		err    error
	}{
		{"close", testserver.Close, soon, "", io.EOF},
		{"reset", testserver.Reset, soon, "", syscall.ECONNRESET},
		{"refuse", testserver.Refuse, soon, "", io.EOF},
		{"mute", testserver.Mute, briefly, "", os.ErrDeadlineExceeded},
		{"silence", testserver.Silence, briefly, "", os.ErrDeadlineExceeded},
		{"cut", testserver.CutAfter(5), soon, "hello", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testserver.NewProxy(t, startEcho(t))
			p.Set(tt.mode)
			var got string
			conn, err := net.Dial("tcp", p.Addr())
			if err == nil { // a reset may come before the dial is over
				defer func() { _ = conn.Close() }()
				got, err = exchange(t, conn, "hello", tt.within)
			}
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestProxySilenceEnds(t *testing.T) {
	p := testserver.NewProxy(t, startEcho(t))
	conn := dial(t, p)
	p.Set(testserver.Silence)
	if got, _ := exchange(t, conn, "held", briefly); got != "" {
		t.Fatalf("%q passed in the silence", got)
	}
	p.Set(testserver.Pass)
	if got, err := receive(conn, 4, soon); got != "held" || err != nil {
		t.Errorf("after the silence: %q, %v", got, err)
	}
}

func TestProxyCountsConnections(t *testing.T) {
	for _, mode := range []testserver.Mode{testserver.Pass, testserver.Silence, testserver.Mute, testserver.Close} {
		p := testserver.NewProxy(t, startEcho(t))
		conn := dial(t, p)
		waitForConns(t, p, 1)
		p.Set(mode)
		_, _ = conn.Write([]byte("held"))
		_ = conn.Close()
		waitForConns(t, p, 0)
		if got := p.Accepted(); got != 1 {
			t.Errorf("accepted %d, want 1", got)
		}
	}
}

func waitForConns(t *testing.T, p *testserver.Proxy, want int) {
	t.Helper()
	for end := time.Now().Add(soon); p.Conns() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections, want %d", p.Conns(), want)
		}
	}
}

func TestAProxyLeadsElsewhere(t *testing.T) {
	p := testserver.NewProxy(t, startEcho(t))
	old := dial(t, p)
	if got, err := exchange(t, old, "before", soon); got != "before" {
		t.Fatalf("got %q, %v", got, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p.SetTarget(listener.Addr().String())
	dial(t, p)
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if got, err := exchange(t, old, "after", soon); got != "after" {
		t.Errorf("the old connection got %q, %v", got, err)
	}
}
