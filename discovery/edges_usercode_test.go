package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX05AFeedThatEndsItsGoroutine is run again, as one that panics is; what it missed is repaired.
func TestX05AFeedThatEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		var ends atomic.Int32
		f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
			if ends.Add(1)%2 == 1 {
				sink(tenant.Signal{Kind: tenant.SignalSubscribed})
				wait(ctx, time.Minute)
				runtime.Goexit()
			}
			return f.feed.Run(ctx, sink)
		})
		d := f.start(t)
		wantState(t, d, discovery.Live)
		f.add(t, "missed")
		pass(time.Minute)
		wantState(t, d, discovery.Polling)
		if err := d.Status().FeedError; err == nil || !strings.Contains(err.Error(), "ended its goroutine") {
			t.Errorf("the feed's error is %v", err)
		}
		pass(5 * time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme", "missed")
	})
}

// TestX05AClientThatEndsItsGoroutine has failed, at once: at Start, and later.
func TestX05AClientThatEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		var ends atomic.Bool
		f.cfg.TMClient = fetcher(func(ctx context.Context, s string) ([]*tenant.Summary, error) {
			if ends.Load() {
				runtime.Goexit()
			}
			return f.manager.Fetcher().GetActiveTenantsByService(ctx, s)
		})
		ends.Store(true)
		d := f.new(t)
		began := time.Now()
		if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended its goroutine") || time.Since(began) > 0 {
			t.Errorf("after %v Start says %v", time.Since(began), err)
		}
		ends.Store(false)
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ends.Store(true)
		for range 6 {
			if err := d.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "ended its goroutine") {
				t.Errorf("Refresh says %v", err)
			}
		}
		ends.Store(false)
		pass(time.Minute)
		wantState(t, d, discovery.Live)
	})
}

// spoilt is an error one of whose methods panics, or ends the goroutine. All are called at the first look.
type spoilt struct {
	method string
	exit   bool
}

func (s *spoilt) do(method string) {
	switch {
	case s == nil: // reading the receiver would panic
		panic("of a nil pointer")
	case s.method == method && s.exit:
		runtime.Goexit()
	case s.method == method:
		panic(method + " panics")
	}
}

func (s *spoilt) Error() string             { s.do("Error"); return "spoilt" }
func (s *spoilt) Unwrap() error             { s.do("Unwrap"); return nil }
func (s *spoilt) Is(error) bool             { s.do("Is"); return false }
func (s *spoilt) As(any) bool               { s.do("As"); return false }
func (s *spoilt) RetryDelay() time.Duration { s.do("RetryDelay"); return 0 }
func (s *spoilt) HTTPStatus() int           { s.do("HTTPStatus"); return 500 }

func spoiltErrors() map[string]error {
	all := map[string]error{"a nil pointer": (*spoilt)(nil)}
	for _, method := range []string{"Error", "Unwrap", "Is", "As", "RetryDelay", "HTTPStatus"} {
		all[method] = &spoilt{method: method}
		all[method+" ends the goroutine"] = &spoilt{method: method, exit: true}
		all[method+" deep inside"] = errors.Join(errors.New("outer"), &spoilt{method: method})
	}
	return all
}

// TestX24AnErrorOfTheClientWhoseMethodsPanic fails the request and nothing else, and Status can be printed.
func TestX24AnErrorOfTheClientWhoseMethodsPanic(t *testing.T) {
	for name, spoilt := range spoiltErrors() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				var fails atomic.Bool
				fails.Store(true)
				f.cfg.TMClient = fetcher(func(ctx context.Context, s string) ([]*tenant.Summary, error) {
					if fails.Load() {
						return nil, spoilt
					}
					return f.manager.Fetcher().GetActiveTenantsByService(ctx, s)
				})
				d := f.new(t)
				wantSound(t, d.Start(t.Context()))
				fails.Store(false)
				if err := d.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				fails.Store(true)
				wantSound(t, d.Refresh(t.Context()))
				f.feed.Disconnect(nil)
				pass(time.Minute)
				wantState(t, d, discovery.Stale)
				wantSound(t, d.Status().SnapshotError)
				fails.Store(false)
				f.feed.Connect()
				pass(time.Minute)
				wantState(t, d, discovery.Live)
			})
		})
	}
}

// askedOnceError is an error whose methods may be called where it enters, and nowhere else.
type askedOnceError struct{ asked *atomic.Int32 }

func (e askedOnceError) check() {
	if !bytes.Contains(debug.Stack(), []byte("usererror.Look")) {
		e.asked.Add(1)
	}
}

func (e askedOnceError) Error() string             { e.check(); return "asked" }
func (e askedOnceError) Unwrap() error             { e.check(); return nil }
func (e askedOnceError) Is(error) bool             { e.check(); return false }
func (e askedOnceError) As(any) bool               { e.check(); return false }
func (e askedOnceError) RetryDelay() time.Duration { e.check(); return 0 }
func (e askedOnceError) HTTPStatus() int           { e.check(); return 503 }

// TestX24AnErrorIsAskedOnce of the client, the feed and the cause of a ctx: where it enters, and nowhere else.
func TestX24AnErrorIsAskedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Int32
		f := newFixture(t, "acme")
		f.cfg.SnapshotFile = filepath.Join(t.TempDir(), "set")
		f.cfg.TMClient = fetcher(func(ctx context.Context, s string) ([]*tenant.Summary, error) {
			if f.manager.Requests() > 3 {
				return nil, askedOnceError{&asked}
			}
			return f.manager.Fetcher().GetActiveTenantsByService(ctx, s)
		})
		d := f.start(t)
		for range 5 {
			_ = d.Refresh(t.Context())
		}
		f.feed.Disconnect(askedOnceError{&asked})
		pass(time.Minute)
		wantState(t, d, discovery.Stale)
		_ = d.Explain("acme")
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		late := make(chan struct{})
		f.cfg.TMClient = fetcher(func(context.Context, string) ([]*tenant.Summary, error) { // which does not heed its ctx
			<-late
			return nil, askedOnceError{&asked}
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(askedOnceError{&asked}) })
		_ = f.new(t).Start(ctx)
		close(late)
		settle()
		if n := asked.Load(); n != 0 {
			t.Errorf("it was asked %d times where it did not enter", n)
		}
	})
}

// wantSound holds that an error can be asked anything.
func wantSound(t *testing.T, err error) {
	t.Helper()
	var delay interface{ RetryDelay() time.Duration }
	switch {
	case err == nil || err.Error() == "":
		t.Errorf("there is no error, or it says nothing: %v", err)
	case errors.Is(err, context.Canceled):
		t.Errorf("it is said to be the end of a ctx: %v", err)
	case errors.As(err, &delay) && delay.RetryDelay() != 0:
		t.Errorf("it asks for %v", delay.RetryDelay())
	}
}

// TestX24AnErrorOfTheFeedWhoseMethodsPanic is that of a lost link, of an event that cannot be used, of a gap or of what a
// subscription lacks, and ends nothing.
func TestX24AnErrorOfTheFeedWhoseMethodsPanic(t *testing.T) {
	for name, spoilt := range spoiltErrors() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				kinds := []tenant.SignalKind{tenant.SignalSubscribed, tenant.SignalBadEvent, tenant.SignalGap, tenant.SignalLost}
				f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
					if len(kinds) == 0 {
						return f.feed.Run(ctx, sink)
					}
					sink(tenant.Signal{Kind: tenant.SignalSubscribed})
					sink(tenant.Signal{Kind: kinds[0], Err: spoilt})
					kinds = kinds[1:]
					wait(ctx, 10*time.Second)
					return spoilt
				})
				d := f.start(t)
				pass(10500 * time.Millisecond)
				wantSound(t, d.Status().FeedError)
				pass(10 * time.Minute)
				wantState(t, d, discovery.Live)
				wantSet(t, d, "acme")
				if n := d.Status().Counters.EventsBad; n != 1 {
					t.Errorf("%d bad events, want 1", n)
				}
			})
		})
	}
}

// TestX24ACauseOrACallbackWhoseErrorPanics is not an end of the process, nor is Start left hanging.
func TestX24ACauseOrACallbackWhoseErrorPanics(t *testing.T) {
	for name, spoilt := range spoiltErrors() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				_, release := f.manager.HoldList()
				defer release()
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(spoilt) })
				if err := f.new(t).Start(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("Start says %v", err)
				}
				release()
				d := f.start(t)
				wantRefreshEnds(t, d, ctx)
				d.OnTenantAdded(func(context.Context, string) { panic(spoilt) })
				f.add(t, "new")
				settle()
				if n := d.Status().Counters.CallbackPanics; n != 1 {
					t.Errorf("%d panics, want 1", n)
				}
				f.log.want(t, 1, slog.LevelError, "a callback panicked")
			})
		})
	}
}

func wantRefreshEnds(t *testing.T, d *discovery.TenantDiscovery, ctx context.Context) { //nolint:revive // the ctx is what is tested
	t.Helper()
	if err := d.Refresh(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Refresh says %v", err)
	}
}
