package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/http2wire"
)

// wireAnswer is what came over a connection. Without a status it was closed without an answer.
type wireAnswer struct {
	status int
	header http.Header
	body   string
	err    error
}

// head is the request up to its body. length below zero is chunks without an end.
func (r edgeRequest) head(length int) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: x\r\n", r.method, r.target)
	switch {
	case length < 0:
		out.WriteString("Transfer-Encoding: chunked\r\n")
	case length > 0:
		fmt.Fprintf(&out, "Content-Length: %d\r\n", length)
	}
	_ = r.header.Write(&out) // into memory
	return out.String()
}

// send sends the request, and reads the answer; of a stream, and where the status is enough, not its body.
func (r edgeRequest) send(ctx context.Context, withBody bool) wireAnswer {
	return exchange(ctx, r.url, "", func(_ context.Context, w io.Writer) {
		_, _ = io.WriteString(w, r.head(len(r.body))+"\r\n"+r.body) // the answer may come before all of it is taken
	}, withBody)
}

// exchange sends a text, goes on sending with more in the background, and reads the answer.
func exchange(ctx context.Context, url, text string, more func(ctx context.Context, w io.Writer), withBody bool) wireAnswer {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return wireAnswer{err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer func() { _ = conn.Close() }() // it has been read
	defer cancel()
	_ = conn.SetDeadline(time.Now().Add(patience)) // shows at the reading
	_, _ = io.WriteString(conn, text)              // the answer says whether it came
	if more != nil {
		sending.Go(func() { more(ctx, conn) })
	}
	return readAnswer(conn, withBody)
}

func readAnswer(conn io.Reader, withBody bool) wireAnswer {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) // its body is not closed, which would read a stream to its end
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return wireAnswer{err: errors.New("neither an answer nor an end came")}
	}
	if err != nil {
		return wireAnswer{}
	}
	got := wireAnswer{status: resp.StatusCode, header: resp.Header}
	if withBody || resp.StatusCode >= http.StatusBadRequest {
		data, err := io.ReadAll(resp.Body)
		got.body, got.err = string(data), err
	}
	return got
}

// trickle sends a byte now and then.
func trickle(ctx context.Context, w io.Writer) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := io.WriteString(w, "1"); err != nil {
				return
			}
		}
	}
}

// flood sends chunks without an end.
func flood(_ context.Context, w io.Writer) {
	chunk := "4000\r\n" + strings.Repeat("a", 0x4000) + "\r\n"
	for {
		if _, err := io.WriteString(w, chunk); err != nil {
			return // the server, or the test, has had enough
		}
	}
}

// slowCalls are all calls of a row at once, so that the row takes no longer than one of its cells.
func (e *edge) slowCalls(t *testing.T, row string, inBody bool, more func(context.Context, io.Writer)) map[string]wireAnswer {
	t.Helper()
	if done := e.slowResults[row]; done != nil {
		return done
	}
	got := map[string]wireAnswer{}
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, id := range e.ids {
		c := e.calls[id]
		if c.kind == kindRoom {
			continue
		}
		r := e.good(t, c)
		text := r.head(0) + "X-Slow: "
		if inBody {
			text = r.head(1000) + "\r\n{"
		}
		running.Go(func() {
			answer := exchange(t.Context(), e.short, text, more, false)
			mu.Lock()
			defer mu.Unlock()
			got[id] = answer
		})
	}
	e.othersAreServed(t)
	running.Wait()
	e.slowResults[row] = got
	return got
}

// leave sends a text and goes away.
func leave(t *testing.T, url, text string) {
	t.Helper()
	conn := dial(t, url)
	_, _ = io.WriteString(conn, text) // nobody waits for what comes of it
	_ = conn.Close()
}

// shutWindow makes the call over HTTP/2 with a window of 0, and returns when the head of its answer has come. done goes away.
func (e *edge) shutWindow(t *testing.T, r edgeRequest) (first byte, done func()) {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}} //nolint:gosec // it is our own
	conn, err := dialer.DialContext(t.Context(), "tcp", e.tls)
	if err != nil {
		t.Fatal(err)
	}
	done = func() { _ = conn.Close() }
	_ = conn.SetDeadline(time.Now().Add(patience)) // shows at the reading
	fields := [][2]string{{":method", r.method}, {":scheme", "https"}, {":authority", "x"}, {":path", r.target}}
	for name := range r.header {
		fields = append(fields, [2]string{strings.ToLower(name), r.header.Get(name)})
	}
	var out bytes.Buffer
	http2wire.Begin(&out, 0)
	http2wire.Request(&out, 1, fields, r.body)
	if _, err := conn.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := http2wire.Read(conn)
		if err != nil {
			t.Fatalf("no head of an answer: %v", err)
		}
		if frame.Type == http2wire.Headers && len(frame.Payload) > 0 {
			return frame.Payload[0], done
		}
	}
}
