package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestEveryWaitsForWhatRunsWhenItsCtxEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		r := startRota(t, time.Minute, EveryConfig{Limit: 1, StopGrace: 2 * time.Hour}, func(ctx context.Context, _ string) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(time.Hour)
			return ctx.Err()
		})
		r.add("a", "b")
		time.Sleep(2 * time.Minute)
		stopped := time.Now()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(stopped); took != time.Hour || !errors.Is(cause, ErrStopping) {
			t.Errorf("returned after %s, with the cause %v", took, cause)
		}
		if ticks := r.ticks(); len(ticks) != 1 || ticks[0].Err != nil {
			t.Errorf("told of %+v", ticks)
		}
	})
}

func TestEveryEndsWithItsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		r := startRota(t, time.Minute, EveryConfig{}, func(ctx context.Context, _ string) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		})
		r.add("a")
		time.Sleep(time.Minute)
		close(r.changes)
		if err := <-r.ended; err != nil || !errors.Is(cause, ErrStopping) {
			t.Errorf("ended with %v, the cause %v", err, cause)
		}
		r.cancel()
	})
}

func TestEveryStopsReadingChangesThatDoNotEndWithItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		yields, ended := 0, false
		changes := func(yield func(tenant.Change) bool) {
			defer func() { ended = true }()
			for ; yields < 100 && yield(tenant.Change{Kind: tenant.Added, TenantID: "a"}); yields++ {
				time.Sleep(time.Minute)
			}
		}
		err := Every(ctx, time.Minute, changes, func(context.Context, string) error { return nil }, EveryConfig{StopGrace: time.Hour})
		if err != nil || yields > 61 || !ended {
			t.Errorf("ended with %v after %d changes; they had ended: %t", err, yields, ended)
		}
	})
}
