package server

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestX42AFloodOfFailedHandshakes is a line each ten seconds, with a count; what is of another kind is not lost in it.
func TestX42AFloodOfFailedHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		n := newNoise(slog.New(slog.NewTextHandler(&out, nil)))
		errors := slog.NewLogLogger(n, slog.LevelWarn)
		for i := range 10_000 {
			errors.Printf("http: TLS handshake error from 192.0.2.%d:4711: EOF", i%256)
			if i == 5000 {
				errors.Print("http: Accept error: too many open files; retrying in 5ms")
			}
		}
		time.Sleep(linesEvery + time.Second)
		if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "Accept error") || !strings.Contains(got, "more_of_the_kind=9998 within=10s") {
			t.Errorf("the log:\n%s", got)
		}
		time.Sleep(linesEvery)
		errors.Print("http: TLS handshake error from 192.0.2.1:1: EOF")
		errors.Print("http: TLS handshake error from 192.0.2.1:2: EOF")
		n.close()
		if got := out.String(); strings.Count(got, "\n") != 5 {
			t.Errorf("after a while the log is:\n%s", got)
		}
	})
}

// TestX42ByRealConnections: whoever connects to the TLS port and speaks no TLS.
func TestX42ByRealConnections(t *testing.T) {
	h := start(t)
	server := h.httpServer(h.public)
	l := tlsListener(t)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	const flood = 300
	for range flood {
		conn := dial(t, "http://"+l.Addr().String())
		_, _ = fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n") // the answer is read
		_, _ = io.Copy(io.Discard, conn)
	}
	eventually(t, "all have been heard of", func() bool {
		h.noise.mu.Lock()
		defer h.noise.mu.Unlock()
		kind := h.noise.kinds["http: TLS handshake error"]
		return kind != nil && kind.left == flood-1
	})
	h.noise.close()
	log := h.log.String()
	if n := strings.Count(log, "TLS handshake error"); n != 2 || !strings.Contains(log, fmt.Sprint("more_of_the_kind=", flood-2)) {
		t.Errorf("%d lines for %d handshakes:\n%s", n, flood, log)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("it ended of itself")
	}
}
