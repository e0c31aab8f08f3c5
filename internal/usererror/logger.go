package usererror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

var errHandler = errors.New("the log's handler did not return")

// Logger returns a logger whose handler may panic or end its goroutine, and ends nothing else by it: the line is lost, failed
// is called if it is not nil, and the next line is tried as if nothing had been. A nil logger is silent. Each line is written
// by a goroutine of its own, which is waited for: a handler that blocks, blocks the caller.
func Logger(log *slog.Logger, failed func()) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	if failed == nil {
		failed = func() {}
	}
	return slog.New(guard{log.Handler(), failed})
}

// guard is a handler of others.
type guard struct {
	handler slog.Handler // nil where the logger is the zero one
	failed  func()
}

// Enabled is true where the handler cannot say.
func (g guard) Enabled(ctx context.Context, level slog.Level) bool {
	on := true
	if g.call(func() { on = g.handler.Enabled(ctx, level) }) != nil {
		return true // and Handle will fail too, or will not
	}
	return on
}

// Handle has the line written.
func (g guard) Handle(ctx context.Context, r slog.Record) (err error) {
	if failure := g.call(func() { err = g.handler.Handle(ctx, r) }); failure != nil {
		return failure
	}
	return err
}

// WithAttrs is without them where the handler cannot take them.
func (g guard) WithAttrs(attrs []slog.Attr) slog.Handler {
	return g.derived(func() slog.Handler { return g.handler.WithAttrs(attrs) })
}

// WithGroup is without it where the handler cannot begin one.
func (g guard) WithGroup(name string) slog.Handler {
	return g.derived(func() slog.Handler { return g.handler.WithGroup(name) })
}

func (g guard) derived(derive func() slog.Handler) slog.Handler {
	next := g
	if g.call(func() { next.handler = derive() }) != nil {
		return g
	}
	return next
}

// call returns an error when code of others has done anything but return.
func (g guard) call(code func()) error {
	ended := make(chan error, 1)
	go func() {
		failure := errHandler
		defer func() { ended <- failure }()
		defer func() {
			if value := recover(); value != nil {
				failure = fmt.Errorf("%w: it panicked", errHandler) // with a value whose methods may panic as well
			}
		}()
		code()
		failure = nil
	}()
	err := <-ended
	if err != nil {
		g.failed()
	}
	return err
}
