package discovery_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// failingLog is a slog.Handler that does not return.
type failingLog struct{ fail func() }

func (failingLog) Enabled(context.Context, slog.Level) bool    { return true }
func (h failingLog) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h failingLog) WithGroup(string) slog.Handler             { return h }
func (h failingLog) Handle(context.Context, slog.Record) error { h.fail(); return nil }

// TestX24ALoggerThatFails loses its lines and ends nothing, wherever they come from; each is counted.
func TestX24ALoggerThatFails(t *testing.T) {
	for name, fail := range map[string]func(){"panics": func() { panic("no") }, "ends its goroutine": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				f.cfg.Logger = slog.New(failingLog{fail})
				d := f.start(t)
				d.OnTenantAdded(func(context.Context, string) { panic("as planned") })
				f.add(t, "new")
				f.feed.PublishRaw([]byte("{"))
				f.feed.Disconnect(nil)
				f.manager.FailList(-1, 500, "")
				pass(time.Minute)
				wantState(t, d, discovery.Stale)
				f.manager.ClearFaults()
				f.feed.Connect()
				pass(time.Minute)
				wantState(t, d, discovery.Live)
				wantSet(t, d, "acme", "new")
				if n := d.Status().Counters.CallbackPanics; n < 5 {
					t.Errorf("%d panics are counted", n)
				}
			})
		})
	}
}

// blockedFeed does not return when it is told of an environment.
type blockedFeed struct {
	*tenanttest.Feed

	release chan struct{}
}

func (f blockedFeed) UseEnvironment(string) { <-f.release }

// TestX24AFeedThatBlocksWhenItIsToldOfAnEnvironment holds up neither Start nor what follows.
func TestX24AFeedThatBlocksWhenItIsToldOfAnEnvironment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		release := make(chan struct{})
		f.cfg.Feed = blockedFeed{f.feed, release}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		d := f.new(t)
		if err := d.Start(ctx); err != nil || time.Since(began) > time.Second {
			t.Fatalf("after %v Start says %v", time.Since(began), err)
		}
		wantState(t, d, discovery.Live)
		f.add(t, "new")
		for _, environment := range []string{"other", "third"} {
			f.manager.ListEnvironment(1, environment)
			if err := d.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		wantSet(t, d, "acme", "new")
		f.log.want(t, 1, slog.LevelError, "the Feed cannot use the list's environment", "has not returned")
		if err := d.Close(); err == nil {
			t.Error("Close says nothing of the Feed, which has not returned")
		}
		close(release)
		settle()
	})
}
