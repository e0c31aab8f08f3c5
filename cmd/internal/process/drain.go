package process

import (
	"bufio"
	"errors"
	"io"
)

// maxLine is the longest line of a process, in bytes, that is taken in one piece.
const maxLine = 8 << 10

// drain reads lines until r ends or fails, as a pipe does that is closed here. A line that is longer than maxLine comes in
// pieces, all but the last of which are not whole. A line is without its end, and take may not keep it.
func drain(r io.Reader, take func(line []byte, whole bool)) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if n := len(line); n > 0 && err == nil {
			take(withoutReturn(line[:n-1]), true)
		} else if n > 0 {
			take(line, !errors.Is(err, bufio.ErrBufferFull))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// withoutReturn takes off the carriage return that some put before the end of a line.
func withoutReturn(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
