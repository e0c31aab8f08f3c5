package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestD15CallbackPanics: the others run on, and the next one too.
func TestD15CallbackPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		d.OnTenantAdded(func(context.Context, string) { panic("no database") })
		told := keep(d)
		f.add(t, "acme")
		settle()
		f.add(t, "beta")
		f.suspend(t, "acme")
		settle()
		wantTold(t, told, "+acme, +beta, -acme")
		if n := d.Status().Counters.CallbackPanics; n != 2 {
			t.Errorf("%d panics counted", n)
		}
		f.log.want(t, 2, slog.LevelError, "panicked", "no database", "faults_callbacks_test.go")
	})
}

// TestD15CallbackEndsItsGoroutine: as t.FailNow does in a test of our users.
func TestD15CallbackEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		exit := true
		d.OnTenantAdded(func(context.Context, string) {
			if exit {
				exit = false
				panicExit()
			}
		})
		if err := d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "acme")); err != nil {
			t.Error(err)
		}
		told := keep(d)
		f.add(t, "beta")
		settle()
		wantTold(t, told, "+beta")
	})
}

// TestD15CallbackBlocks for five minutes: everything but the other callbacks goes on, and afterwards they hear the net
// change, in order.
func TestD15CallbackBlocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		watcher := collect(t.Context(), d)
		release := make(chan struct{})
		d.OnTenantAdded(func(_ context.Context, id string) {
			if id == "blocker" {
				<-release
			}
		})
		told := keep(d)
		f.add(t, "blocker")
		settle()
		watcher.read()
		for range 5 {
			for i := range 1000 {
				id := fmt.Sprint("short", i)
				f.add(t, id)
				if err := f.manager.Delete(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			pass(time.Minute)
		}
		f.add(t, "beta")
		f.suspend(t, "acme")
		if err := f.manager.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		settle()
		wantSet(t, d, "acme", "beta", "blocker")
		pass(time.Second)
		wantState(t, d, discovery.Live)
		if news := watcher.read(); !strings.HasSuffix(news, "added beta event, removed acme event, added acme event") {
			t.Errorf("the watcher was held up: %q", news)
		}
		wantTold(t, told, "")
		close(release)
		settle()
		wantTold(t, told, "+blocker, +beta, -acme, +acme")
	})
}

// TestD16CloseAnywhere: from a callback, many at once, during the bootstrap, during a reconnect, while a callback blocks.
func TestD16CloseAnywhere(t *testing.T) {
	t.Run("from a callback", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			d := f.start(t)
			result := make(chan error, 1)
			d.OnTenantAdded(func(context.Context, string) { result <- d.Close() })
			began := time.Now()
			f.add(t, "acme")
			if err := <-result; !errors.Is(err, discovery.ErrCallbackRunning) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("took %v", took)
			}
			settle()
			if err := d.Close(); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	})
	t.Run("while a callback blocks", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			d := f.start(t)
			release := make(chan struct{})
			var cancelled bool
			d.OnTenantAdded(func(ctx context.Context, _ string) {
				<-ctx.Done()
				cancelled = true
				<-release
			})
			told := keep(d) // whose functions come after it
			f.add(t, "acme", "beta")
			settle()
			if err := d.Close(); !errors.Is(err, discovery.ErrCallbackRunning) {
				t.Errorf("got %v", err)
			}
			close(release)
			settle()
			if err := d.Close(); err != nil || !cancelled {
				t.Errorf("later: %v, ctx cancelled: %v", err, cancelled)
			}
			wantTold(t, told, "")
		})
	})
	t.Run("a hundred at once, with callers inside", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			d := f.start(t)
			d.OnTenantAdded(func(ctx context.Context, _ string) { <-ctx.Done() })
			results := make(chan error)
			go func() { results <- d.HandleEvent(t.Context(), event(tenant.EventServiceAssociated, "acme")) }()
			_, release := f.manager.HoldListBeforeRead()
			go func() { results <- d.Refresh(t.Context()) }()
			settle()
			began := time.Now()
			for range 100 {
				go func() { results <- d.Close() }()
			}
			closed := 0
			for range 102 {
				switch err := <-results; {
				case err == nil:
					closed++
				case !errors.Is(err, discovery.ErrClosed):
					t.Errorf("got %v", err)
				}
			}
			release()
			if took := time.Since(began); closed < 100 || took > time.Second {
				t.Errorf("%d of 100 closed, after %v", closed, took)
			}
		})
	})
	t.Run("during the bootstrap", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			d := f.new(t)
			reached, release := f.manager.HoldList()
			defer release()
			started := make(chan error)
			go func() { started <- d.Start(t.Context()) }()
			<-reached
			if err := d.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := <-started; !errors.Is(err, discovery.ErrClosed) {
				t.Errorf("Start: %v", err)
			}
			if err := d.Start(t.Context()); !errors.Is(err, discovery.ErrClosed) {
				t.Errorf("Start again: %v", err)
			}
		})
	})
	t.Run("while Start waits for the feed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			f.cfg.Feed = feedFunc(func(ctx context.Context, _ func(tenant.Signal)) error {
				<-ctx.Done()
				return ctx.Err()
			})
			d := f.new(t)
			started := make(chan error)
			go func() { started <- d.Start(t.Context()) }()
			settle()
			if err := d.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := <-started; !errors.Is(err, discovery.ErrClosed) {
				t.Errorf("Start: %v", err)
			}
		})
	})
	t.Run("during a reconnect", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			d := f.start(t)
			f.feed.Disconnect(nil)
			pass(time.Minute)
			began := time.Now()
			if err := d.Close(); err != nil || time.Since(began) != 0 {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
	t.Run("with a feed that does not heed its ctx", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFixture(t)
			release := make(chan struct{})
			f.cfg.Feed = feedFunc(func(_ context.Context, sink func(tenant.Signal)) error {
				sink(tenant.Signal{Kind: tenant.SignalSubscribed})
				<-release
				return nil
			})
			d := f.start(t)
			began := time.Now()
			if err := d.Close(); err == nil || errors.Is(err, discovery.ErrCallbackRunning) || time.Since(began) > 1050*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			close(release)
			settle()
		})
	})
}
