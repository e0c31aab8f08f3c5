package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// failure is an error as many are written: a nil one panics as soon as it is asked anything.
type failure struct{ cause error }

func (f *failure) Error() string { return "failed: " + f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// mood is an error whose methods do what a test wants.
type mood struct{ text, unwrap, is, as func() }

func (m *mood) Error() string { do(m.text); return "in a mood" }
func (m *mood) Unwrap() error { do(m.unwrap); return nil }
func (m *mood) Is(error) bool { do(m.is); return false }
func (m *mood) As(any) bool   { do(m.as); return false }

func do(what func()) {
	if what != nil {
		what()
	}
}

func fails() { panic("a method of the error") }

// brokenErrors are errors with a method that does not return, by what is wrong.
func brokenErrors() map[string]error {
	return map[string]error{
		"a nil pointer":   (*failure)(nil),
		"Error":           &mood{text: fails},
		"Unwrap":          &mood{unwrap: fails},
		"Is":              &mood{is: fails},
		"As":              &mood{as: fails},
		"Unwrap, wrapped": errors.Join(context.Canceled, &mood{unwrap: fails}),
		"runtime.Goexit":  &mood{is: runtime.Goexit},
		"Is, afterwards":  &mood{is: tomorrow(fails)},
		"As, afterwards":  &mood{as: tomorrow(fails)},
	}
}

// tomorrow is something that is done once time has passed: an error may be asked well, and then not.
func tomorrow(what func()) func() {
	today := time.Now()
	return func() {
		if time.Since(today) > 0 {
			what()
		}
	}
}

// each runs test in a bubble for each broken error.
func each(t *testing.T, test func(t *testing.T, err error)) {
	t.Helper()
	for name := range brokenErrors() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, brokenErrors()[name]) })
		})
	}
}

func TestX24ABrokenErrorIsAFailureOfItsTenantAlone(t *testing.T) {
	each(t, func(t *testing.T, broken error) {
		var log bytes.Buffer
		cfg := Config{MinBackoff: time.Minute, MaxBackoff: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		b := start(t, cfg, func(ctx context.Context, id string) error {
			switch id {
			case "panics":
				panic(broken)
			case "returns":
				return broken
			case "ends with it":
				<-ctx.Done()
				return broken
			}
			<-ctx.Done()
			return ctx.Err()
		})
		b.add("ends with it", "panics", "returns", "well")
		b.wantStates("ends with it running, panics restarting, returns restarting, well running")
		b.remove("ends with it")
		b.reconfigure("well")
		time.Sleep(2 * time.Minute)
		b.wantStates("panics restarting, returns restarting, well running")
		b.wantLastErrors("panics", "returns")
		if got := pageOf(b.group); !strings.Contains(got, "well") || !strings.Contains(got, "returns") {
			t.Errorf("the page says %q", got)
		}
		b.stop()
		if got := log.String(); strings.Count(got, "failed while it was ending") != 1 || strings.Count(got, "a tenant failed\"") < 4 {
			t.Errorf("the log says\n%s", got)
		}
	})
}

// wantLastErrors wants that the errors of some have a text.
func (b *bench) wantLastErrors(ids ...string) {
	b.t.Helper()
	for _, one := range b.group.Status().Tenants {
		if has := one.LastError != nil && one.LastError.Error() != ""; has != slices.Contains(ids, one.TenantID) {
			b.t.Errorf("%s: %v", one.TenantID, one.LastError)
		}
	}
}

func pageOf(g *Group) string {
	answer := httptest.NewRecorder()
	Handler(g).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	return answer.Body.String()
}

func TestX24ABrokenErrorOfTheHookRestartsTheRun(t *testing.T) {
	each(t, func(t *testing.T, broken error) {
		told := 0
		b := start(t, Config{MinBackoff: 2, Reconfigured: func(context.Context, string, tenant.EventType) error {
			told++
			if told == 2 {
				panic(broken)
			}
			return broken
		}}, nil)
		b.add("t")
		b.said()
		time.Sleep(time.Minute)
		b.reconfigure("t")
		b.wants("-t +t")
		time.Sleep(time.Minute)
		b.reconfigure("t")
		b.wants("-t +t")
		b.stop()
	})
}

func TestX24ABrokenErrorOfTheChangesIsReturned(t *testing.T) {
	each(t, func(t *testing.T, broken error) {
		changes := func(func(tenant.Change) bool) { panic(broken) }
		work := func(context.Context, string) error { return nil }
		g, err := NewGroup(Config{Work: work})
		if err != nil {
			t.Fatal(err)
		}
		every := Every(t.Context(), time.Hour, changes, work, EveryConfig{})
		for _, err := range []error{g.Run(t.Context(), changes), every} {
			if panicked, ok := errors.AsType[*PanicError](err); !ok || len(panicked.Stack) == 0 || err.Error() == "" {
				t.Errorf("got %T, %v", err, err)
			}
		}
	})
}

func TestX24ABrokenErrorFailsOneTenantOfAPass(t *testing.T) {
	each(t, func(t *testing.T, broken error) {
		worked := 0
		err := ForEach(t.Context(), slices.Values([]string{"returns", "panics", "well"}), func(_ context.Context, id string) error {
			worked++
			switch id {
			case "returns":
				return broken
			case "panics":
				panic(broken)
			}
			return nil
		}, ForEachConfig{Limit: 1, Active: func(string) bool { return true }})
		failed, ok := errors.AsType[*PassError](err)
		if worked != 3 || !ok || len(failed.Failed) != 2 || failed.Failed[0].TenantID != "returns" || err.Error() == "" {
			t.Errorf("%d were worked for, and the error is %v", worked, err)
		}
	})
}

// Whoever ends the ctx of a pass says why, in an error of their own.
func TestX24ABrokenCauseEndsAPass(t *testing.T) {
	each(t, func(t *testing.T, broken error) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(broken)
		err := ForEach(ctx, slices.Values([]string{"t"}), func(context.Context, string) error { return nil }, ForEachConfig{})
		failed, ok := errors.AsType[*PassError](err)
		if !ok || failed.NotRun != 1 || failed.Stopped == nil || err.Error() == "" {
			t.Errorf("got %T", err)
		}
	})
}

func TestX24ABrokenErrorIsOneTickThatFailed(t *testing.T) {
	each(t, func(t *testing.T, broken error) {
		var log bytes.Buffer
		var ticks []string
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		changes := func(yield func(tenant.Change) bool) {
			_ = yield(tenant.Change{Kind: tenant.Added, TenantID: "t"})
			<-ctx.Done()
		}
		err := Every(ctx, time.Minute, changes, func(context.Context, string) error {
			if len(ticks)%2 == 0 {
				panic(broken)
			}
			return broken
		}, EveryConfig{Logger: slog.New(slog.NewTextHandler(&log, nil)), Ended: func(tick Tick) {
			ticks = append(ticks, tick.Err.Error())
			if len(ticks) == 3 {
				panic(broken)
			}
		}})
		if err != nil || len(ticks) < 9 || strings.Count(log.String(), "a tick of a tenant failed") != len(ticks) {
			t.Errorf("got %v after %q, and the log\n%s", err, ticks, &log)
		}
	})
}

// What a user makes of a TenantError may be broken too.
func TestX24ATenantErrorSaysWhatItCan(t *testing.T) {
	for err, want := range map[*TenantError]string{
		{TenantID: "t", Err: (*failure)(nil)}:   "tenant t: an error of type *worker.failure, whose methods fail: ",
		{TenantID: "t"}:                         "tenant t",
		{TenantID: "t", Err: errors.New("why")}: "tenant t: why",
	} {
		if got := err.Error(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
