package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// brokenLog is a handler that panics.
type brokenLog struct{ slog.Handler }

func (brokenLog) Enabled(context.Context, slog.Level) bool  { return true }
func (brokenLog) Handle(context.Context, slog.Record) error { panic("no") }

// TestX24ALoggerThatPanicsEndsNothing: the work that fails is run again.
func TestX24ALoggerThatPanicsEndsNothing(t *testing.T) {
	log := slog.New(brokenLog{})
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Logger: log}, func(context.Context, string) error { return errors.New("no") })
		b.add("a")
		time.Sleep(10 * time.Second)
		if n := b.group.Status().Tenants[0].Restarts; n < 2 {
			t.Errorf("%d restarts", n)
		}
		b.stop()
		ticks := 0
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		changes := func(yield func(tenant.Change) bool) {
			yield(tenant.Change{Kind: tenant.Added, TenantID: "a"})
			<-ctx.Done()
		}
		err := Every(ctx, time.Second, changes, func(context.Context, string) error { ticks++; return errors.New("no") }, EveryConfig{Logger: log})
		if err != nil || ticks < 5 {
			t.Errorf("%d ticks, %v", ticks, err)
		}
		_ = ForEach(t.Context(), slices.Values([]string{"a"}), func(context.Context, string) error { return nil },
			ForEachConfig{Logger: log, Active: func(string) bool { return false }}) // which says what was passed over
	})
}
