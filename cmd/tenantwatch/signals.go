package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// sameSignal is how long after the first signal another one counts as the same.
const sameSignal = 500 * time.Millisecond

// hangups has what SIGHUP does instead of ending the process, for a command that says so.
type hangups struct {
	instead atomic.Pointer[func()]
}

// hangupsKey finds the hangups in a ctx.
type hangupsKey struct{}

// untilEnded returns a ctx that Ctrl-C, SIGTERM and a terminal that is closed end. A second signal does not wait for
// anything, unless it comes so soon that it is the same one: timeout(1) and others signal the process and then its group.
// SIGPIPE would end the process without taking anything down; when it is caught the write returns an error. It must not be
// ignored: the processes that we start would inherit that, and go on writing into pipes that nobody reads.
func untilEnded() context.Context {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	kept := &hangups{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), hangupsKey{}, kept))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endingSignals()...)
	go func() {
		for got := range signals {
			if instead := kept.instead.Load(); got == syscall.SIGHUP && instead != nil {
				(*instead)()
				continue
			}
			break
		}
		cancel()
		time.AfterFunc(sameSignal, func() { signal.Stop(signals) })
	}()
	return ctx
}

// onHangup has f called for each SIGHUP until restore is called, in the place of ending the process.
func onHangup(ctx context.Context, f func()) (restore func()) {
	kept, ok := ctx.Value(hangupsKey{}).(*hangups)
	if !ok {
		return func() {}
	}
	kept.instead.Store(&f)
	return func() { kept.instead.Store(nil) }
}

// endingSignals are those that ask us to end.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
