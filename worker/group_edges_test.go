package worker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestAGroupWhoseChangesBreakEndsInOrder, and not with the process.
func TestAGroupWhoseChangesBreakEndsInOrder(t *testing.T) {
	bad := errors.New("bad")
	for name, breaks := range map[string]func(){"panic": func() { panic(bad) }, "exit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ran := make(chan error, 1)
				g, err := NewGroup(Config{MeterProvider: noop.NewMeterProvider(), Work: func(ctx context.Context, _ string) error {
					<-ctx.Done()
					ran <- context.Cause(ctx)
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				err = g.Run(t.Context(), func(yield func(tenant.Change) bool) {
					yield(tenant.Change{Kind: tenant.Added, TenantID: "a"})
					breaks()
				})
				panicked, ok := errors.AsType[*PanicError](err)
				if !ok || !strings.Contains(string(panicked.Stack), "group_edges_test.go") || errors.Is(err, bad) != (name == "panic") {
					t.Errorf("Run returns %v, without the stack of what broke", err)
				}
				if cause := <-ran; !errors.Is(cause, ErrStopping) {
					t.Errorf("the work ends with %v", cause)
				}
			})
		})
	}
}

func TestRunWantsChanges(t *testing.T) {
	g, err := NewGroup(Config{Work: func(context.Context, string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "changes is missing") {
		t.Errorf("Run returns %v", err)
	}
}

// onLog calls fn for each line, where the line is written.
type onLog struct {
	slog.Handler

	fn func()
}

func (h onLog) Handle(context.Context, slog.Record) error {
	h.fn()
	return nil
}

// TestNothingBeginsAfterTheEndOfCtx, although there is a change as well when the Group looks.
func TestNothingBeginsAfterTheEndOfCtx(t *testing.T) {
	for range 20 { // select draws
		synctest.Test(t, func(t *testing.T) {
			var b *bench
			var once sync.Once
			b = start(t, Config{Logger: slog.New(onLog{slog.Default().Handler(), func() {
				once.Do(func() {
					b.changes <- tenant.Change{Kind: tenant.Added, TenantID: "b"}
					b.cancel()
					synctest.Wait() // until it is handed on
				})
			}})}, func(context.Context, string) error { return errors.New("no") })
			b.changes <- tenant.Change{Kind: tenant.Added, TenantID: "a"}
			if err := <-b.ended; err != nil {
				t.Error(err)
			}
			b.wants("+a -a")
		})
	}
}
