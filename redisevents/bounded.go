package redisevents

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
)

// The driver makes room for what a server announces, before any of it has come. So no more may be announced than this. An
// event of a publisher has 1 MiB at most; what others write is read, and told as bad, up to far more.
const (
	maxBulk     = 64 << 20
	maxElements = 1 << 18 // of one reply, that are announced and have not come
	maxLine     = 64 << 10
)

// boundedConn ends a connection on which the server announces too much, or sends more than may come by one answer.
type boundedConn struct {
	net.Conn

	frames frames
	budget *atomic.Int64 // what may still come; nil: any amount
	failed error
}

// bounded wraps a connection. What the system can be asked of a connection, it still can: the driver looks in this way
// whether the server has closed it.
func bounded(conn net.Conn, budget *atomic.Int64) net.Conn {
	made := &boundedConn{Conn: conn, budget: budget}
	if system, ok := conn.(syscall.Conn); ok {
		return struct {
			*boundedConn
			syscall.Conn
		}{made, system}
	}
	return made
}

// Read reads from the connection.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	n, err := c.Conn.Read(p)
	if c.failed = c.frames.check(p[:n]); c.failed == nil && c.budget != nil && c.budget.Add(int64(-n)) < 0 {
		c.failed = errTooMuch
	}
	if c.failed != nil {
		_ = c.Close()
		return 0, c.failed
	}
	return n, err
}

// errTooMuch means that the answer to one question was larger than is read at once.
var errTooMuch = fmt.Errorf("%w: an answer that is too large", ErrProtocol)

// frames follows what a server sends, as far as is needed to see what is announced: lines, and texts whose length a line
// says.
type frames struct {
	line []byte // the one that has begun
	skip int    // what is left of a text
	open int    // how many elements of lists are still to come
}

// check returns an error when the next piece announces too much.
func (f *frames) check(p []byte) error {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip, p = f.skip-n, p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			end = len(p) - 1
		}
		f.line, p = append(f.line, p[:end+1]...), p[end+1:]
		if len(f.line) > maxLine {
			return fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, maxLine)
		}
		if f.line[len(f.line)-1] != '\n' {
			return nil
		}
		if err := f.announced(); err != nil {
			return err
		}
		f.line = f.line[:0]
	}
	return nil
}

// announced looks at a line that is whole.
func (f *frames) announced() error {
	n, err := strconv.Atoi(string(bytes.TrimRight(f.line[1:], "\r\n")))
	f.open = max(0, f.open-1)
	switch f.line[0] {
	case '$', '=', '!': // texts
		if err == nil && n > maxBulk {
			return fmt.Errorf("%w: a text of %d bytes, the most is %d", ErrProtocol, n, maxBulk)
		}
		if err == nil && n >= 0 {
			f.skip = n + len("\r\n")
		}
	case '*', '%', '~', '>', '|': // lists and maps
		if err == nil && n > 0 {
			f.open += min(n, maxElements+1)
		}
		if f.line[0] == '%' || f.line[0] == '|' { // keys and values
			f.open += min(max(n, 0), maxElements+1)
		}
		if f.open > maxElements {
			return fmt.Errorf("%w: %d elements, the most are %d", ErrProtocol, f.open, maxElements)
		}
	}
	return nil
}
