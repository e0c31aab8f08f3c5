package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// WhileRead returns a ctx that ends, with EPIPE as its cause, when out is a pipe that nobody reads any more. A service of
// which nothing is told for days would otherwise not notice before its next line. stop ends the watching.
func WhileRead(parent context.Context, out *os.File) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	if info, err := out.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return ctx, func() { cancel(nil) }
	}
	// Opened again, because the flag is shared with everybody who holds the same opening.
	pipe, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", out.Fd()), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ENXIO) { // there is no reader even now
			cancel(syscall.EPIPE)
		}
		return ctx, func() { cancel(nil) }
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		if waitForHangup(pipe) == nil {
			cancel(syscall.EPIPE)
		}
	})
	return ctx, func() {
		cancel(nil)
		_ = pipe.Close() // ends the waiting
		watching.Wait()
	}
}

// waitForHangup returns nil when the last reader of the pipe is gone: the writing end of a pipe becomes readable by nothing
// else.
func waitForHangup(pipe *os.File) error {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	woken := false
	return conn.Read(func(uintptr) bool {
		defer func() { woken = true }()
		return woken
	})
}
