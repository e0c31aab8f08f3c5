package process

import (
	"errors"
	"io"
	"runtime"
	"syscall"
	"time"
)

// Clock is how the time of what happens is shown to people: local, with how far that is from UTC.
func Clock(t time.Time) string {
	return t.Local().Format("15:04:05.000Z07:00") //nolint:gosmopolitan // they compare it with the clock on the wall
}

// ErrOutput means that the output cannot be written.
var ErrOutput = errors.New("write the output")

// ErrStuck means that a write does not come to an end.
var ErrStuck = errors.New("nobody takes it")

// BrokenPipe reports whether err means that nobody reads the output any more.
func BrokenPipe(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	if ok && runtime.GOOS == "windows" {
		return errno == 109 || errno == 232 // ERROR_BROKEN_PIPE, ERROR_NO_DATA
	}
	return ok && errno == syscall.EPIPE || errors.Is(err, io.ErrClosedPipe)
}
